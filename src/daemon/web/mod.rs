//! The web page of the daemon, its health checks and its metrics: rendered here from what the board and the records hold, usable
//! without JavaScript, live with a little. Whoever may not look sees nothing; what changes something is protected once more.

mod actions;
mod chart;
mod connect;
mod credentials;
mod data;
mod guard;
mod health;
mod job;
mod live;
mod metrics;
mod overview;
mod powerbi;
mod run;
mod session;
mod shares;
mod table;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::connect::Logins;
pub(crate) use self::session::Access;
use self::session::Sessions;
use self::shares::SharesSeen;
use self::view::{Problem, Views};
use super::board::{Board, Books, Seat};
use crate::auth::Vault;
use crate::engine::{Settings, text_of};
use crate::limits::{DATA_READS_MAX, PREVIEWS_AT_ONCE, WEB_SHUTDOWN_MAX};
use crate::state::RecordStore;
use crate::store::Store;

/// What the page works with.
pub(crate) struct Web {
    pub board: Arc<Board>,
    pub settings: Arc<Settings>,
    pub records: Arc<RecordStore>,
    pub access: Access,
    /// Reads the folder of jobs anew.
    pub reload: mpsc::Sender<()>,
    /// The daemon takes no slot any more.
    pub is_stopped: CancellationToken,
}

/// The same with what it makes for itself.
struct Site {
    web: Web,
    sessions: Sessions,
    logins: Logins,
    views: Views,
    vault: OnceCell<Arc<Vault>>,
    shares: SharesSeen,
    /// A preview may fetch a whole file.
    previews: Semaphore,
    /// Files on their way to readers by signed links.
    data_reads: Arc<Semaphore>,
    /// Answers that go on and on end then.
    is_over: CancellationToken,
}

/// Answers until `is_over`, beside the keepers of jobs and not between them.
pub(crate) fn serve_web(
    listener: TcpListener,
    web: Web,
    is_over: CancellationToken,
) -> JoinHandle<std::io::Result<()>> {
    tokio::spawn(answer(listener, web, is_over))
}

async fn answer(listener: TcpListener, web: Web, is_over: CancellationToken) -> std::io::Result<()> {
    let site = Arc::new(Site {
        shares: SharesSeen::new(&web.records),
        web,
        sessions: Sessions::default(),
        logins: Logins::default(),
        views: Views::new(),
        vault: OnceCell::new(),
        previews: Semaphore::new(PREVIEWS_AT_ONCE),
        data_reads: Arc::new(Semaphore::new(DATA_READS_MAX)),
        is_over: is_over.clone(),
    });
    let served = axum::serve(listener, router(site)).with_graceful_shutdown(is_over.clone().cancelled_owned());
    tokio::select! {
        served = served.into_future() => served,
        // A browser that does not close its connection is not waited for.
        () = async { is_over.cancelled().await; tokio::time::sleep(WEB_SHUTDOWN_MAX).await } => Ok(()),
    }
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(overview::page))
        .route("/jobs/{job}", get(job::page))
        .route("/jobs/{job}/runs/{run}", get(run::page))
        .route("/jobs/{job}/tables/{table}", get(table::page))
        .route("/jobs/{job}/powerbi", get(powerbi::page))
        .route("/jobs/{job}/powerbi/{file}", get(powerbi::file))
        .route("/jobs/{job}/run", post(actions::run_now))
        .route("/jobs/{job}/stop", post(actions::stop))
        .route("/jobs/{job}/pause", post(actions::pause))
        .route("/jobs/{job}/resume", post(actions::resume))
        .route("/jobs/{job}/held/{run}/approve", post(actions::approve))
        .route("/jobs/{job}/held/{run}/discard", post(actions::discard))
        .route("/jobs/{job}/connect", post(connect::begin))
        .route("/jobs/{job}/connect/paste", post(connect::paste))
        .route("/data/{job}/{*path}", get(data::file))
        .route("/callback", get(connect::callback))
        .route("/credentials", get(credentials::page))
        .route("/reload", post(actions::reload))
        .route("/live", get(live::changes))
        .route("/healthz", get(health::is_alive))
        .route("/readyz", get(health::is_ready))
        .route("/metrics", get(metrics::page))
        .route("/login", get(session::login_page).post(session::log_in))
        .route("/login/callback", get(session::oidc_callback))
        .route("/logout", post(session::log_out))
        .route("/assets/{name}", get(view::asset))
        .fallback(view::nothing_here)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), guard::guard))
        .with_state(site)
}

impl Site {
    /// A job that is kept.
    fn seat(&self, job: &str) -> Result<Seat, Problem> {
        self.web.board.seat(job).ok_or_else(|| Problem::not_found(format!("There is no job “{job}”.")))
    }

    /// A job with its records.
    fn open(&self, job: &str) -> Result<(Seat, Arc<Books>), Problem> {
        let seat = self.seat(job)?;
        let books = seat.books.clone().ok_or_else(|| Problem::not_now(format!("“{job}” is being opened.")))?;
        Ok((seat, books))
    }

    /// A job with its destination.
    fn open_store(&self, job: &str) -> Result<(Seat, Arc<Store>), Problem> {
        let seat = self.seat(job)?;
        let store = seat.store.clone();
        let store =
            store.map_err(|why| Problem::not_now(format!("The destination of “{job}” cannot be opened: {why}.")))?;
        Ok((seat, store))
    }

    async fn vault(&self) -> Result<&Arc<Vault>, String> {
        let open = || self.web.settings.open_vault(&self.web.records);
        self.vault.get_or_try_init(open).await.map_err(|error| text_of(&error))
    }
}
