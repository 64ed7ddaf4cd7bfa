//! The demo API: a small shop behind OAuth2 on loopback, which `haul demo` starts and then extracts.
//!
//! Comes in: a folder for what an API would remember, and HTTP requests on 127.0.0.1. Goes out: tokens, pages of three
//! made-up tables that hold the same records every time, and counts of what happened. It does not know jobs, stores or
//! the client that it serves: to haul it is an API like any other, with single-use refresh tokens, a 429 and a 500.

use std::fs::{File, TryLockError};
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::serve::ListenerExt;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod api;
mod approve;
mod grants;
mod job_file;
mod memory;
mod oauth;
mod page;
mod truth;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use approve::approve;
pub(crate) use job_file::{SCHEMA_FILE, job_file};

use grants::Grants;
use memory::Memory;
use truth::Table;

/// Name of the lock file beside `api.json`.
const LOCK_FILE: &str = "api.lock";
/// Where we look for a port first: below the ephemeral ranges of Linux, macOS and Windows, so that no outgoing
/// connection sits on the remembered port when the next process wants it back.
const PORT_FIRST: u16 = 20_000;
/// Number of ports in that range; it ends before Linux's ephemeral ports at 32,768.
const PORT_SPAN: u16 = 12_000;
/// Ports tried there before the system chooses one; more misses than this mean that the range is not ours to use.
const PORT_TRIES_MAX: usize = 16;
/// How long `stop` waits for answers under way; a page takes milliseconds.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// A running demo API.
///
/// - It holds its folder's lock: two processes never write one `api.json`.
/// - Without `stop` it ends when dropped, though not before answers under way are sent.
pub(crate) struct DemoApi {
    port_changed: bool,
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
    _lock: File,
}

/// What has happened since the API was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DemoStats {
    /// Codes exchanged for tokens.
    pub logins: u64,
    /// Refresh tokens exchanged for their successors.
    pub refreshes: u64,
    /// Refresh tokens that came a second time and cost their family.
    pub reuses: u64,
    /// Requests below `/api/v1`, refused ones included.
    pub requests: u64,
    /// Requests answered with 429.
    pub throttled: u64,
    /// Requests answered with 500 on purpose.
    pub failed: u64,
}

/// What the request handlers work with.
struct Shared {
    /// `http://127.0.0.1:PORT`; also the issuer of the tokens.
    origin: String,
    grants: std::sync::Mutex<Grants>,
    counters: Counters,
    /// True once the 429 was sent.
    has_throttled: AtomicBool,
    /// True once the 500 was sent.
    has_failed: AtomicBool,
}

#[derive(Default)]
struct Counters {
    logins: AtomicU64,
    refreshes: AtomicU64,
    reuses: AtomicU64,
    requests: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
}

/// Why the demo API did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("make the demo's folder `{}`", path.display())]
    MakeFolder { path: PathBuf, source: io::Error },
    #[error("another `haul demo` is at work in `{}`", folder.display())]
    Busy { folder: PathBuf },
    #[error("read what the demo API remembers from `{}`", path.display())]
    ReadMemory { path: PathBuf, source: io::Error },
    #[error("`{}` is not a memory of the demo API", path.display())]
    ParseMemory { path: PathBuf, source: serde_json::Error },
    #[error("`{}` has version {version}, this haul knows version {known}", path.display())]
    MemoryVersion { path: PathBuf, version: u32, known: u32 },
    #[error("write what the demo API remembers to `{}`", path.display())]
    WriteMemory { path: PathBuf, source: io::Error },
    #[error("listen on port {port} of 127.0.0.1")]
    Listen { port: u16, source: io::Error },
    #[error("get random bytes from the system")]
    Random,
}

impl DemoApi {
    /// Starts the API on 127.0.0.1; `folder` is made when it is missing.
    ///
    /// A given `port` is taken or it is an error. Without one the folder's last port is taken when it is free,
    /// because a credential is bound to its origin, else any free one; [`DemoApi::port_changed`] tells.
    pub(crate) async fn start(folder: &Path, port: Option<u16>) -> Result<DemoApi, Error> {
        std::fs::create_dir_all(folder).map_err(|source| Error::MakeFolder { path: folder.to_owned(), source })?;
        let lock = lock_folder(folder)?;
        let mut memory = Memory::open(folder)?;
        let remembered = memory.port();
        let listener = listen(port, remembered).await?;
        let port = listener.local_addr().map_err(|source| Error::Listen { port: 0, source })?.port();
        memory.set_port(port)?;

        let shared = Arc::new(Shared {
            origin: format!("http://127.0.0.1:{port}"),
            grants: std::sync::Mutex::new(Grants::new(memory)),
            counters: Counters::default(),
            has_throttled: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        // Without nodelay the end of a page waits for the client's delayed acknowledgement, up to 40 ms a page.
        // A socket that refuses the option still works, only slower.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let serve = axum::serve(listener, api::router(shared.clone())).with_graceful_shutdown(async move {
            // An error means that the sender was dropped, which is a wish to stop as well.
            drop(stopped.await);
        });
        let server = tokio::spawn(async move { serve.await });
        let port_changed = remembered.is_some_and(|before| before != port);
        Ok(DemoApi { port_changed, shared, stop, server, _lock: lock })
    }

    /// `http://127.0.0.1:PORT`, without a path: what [`job_file`] wants to know.
    pub(crate) fn url(&self) -> &str {
        &self.shared.origin
    }

    /// The port that the API listens on.
    #[cfg(test)]
    pub(crate) fn port(&self) -> u16 {
        self.shared.origin.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap()
    }

    /// True when the folder's last port was taken: a credential stored for the old origin does not fit this API.
    pub(crate) fn port_changed(&self) -> bool {
        self.port_changed
    }

    /// The records that the API holds, table by table.
    pub(crate) fn row_counts() -> [(&'static str, u64); 3] {
        Table::ALL.map(|table| (table.name(), table.rows()))
    }

    /// Counts since the start.
    #[cfg(test)]
    pub(crate) fn stats(&self) -> DemoStats {
        self.shared.counters.read()
    }

    /// Ends the API after the answers under way and tells the final counts.
    pub(crate) async fn stop(self) -> DemoStats {
        // An error means that the server has already ended.
        let _ = self.stop.send(());
        let abort = self.server.abort_handle();
        if tokio::time::timeout(STOP_WAIT_MAX, self.server).await.is_err() {
            // A client that does not read its answer must not keep the demo from ending.
            abort.abort();
        }
        self.shared.counters.read()
    }
}

impl Shared {
    fn grants(&self) -> std::sync::MutexGuard<'_, Grants> {
        // What is remembered changes on a copy that is swapped in, and each list is whole after every push and pop:
        // after a panic elsewhere the grants are still sound.
        self.grants.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Counters {
    fn read(&self) -> DemoStats {
        DemoStats {
            logins: self.logins.load(Ordering::Relaxed),
            refreshes: self.refreshes.load(Ordering::Relaxed),
            reuses: self.reuses.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// One more of something.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Takes the folder for this process; the system gives it back when the process ends, however it ends.
fn lock_folder(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK_FILE);
    let lock = File::create(&path).map_err(|source| Error::MakeFolder { path, source })?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Busy { folder: folder.to_owned() }),
        // Some network file systems have no locks. The demo still works there for one process at a time.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
    }
}

async fn listen(wanted: Option<u16>, remembered: Option<u16>) -> Result<TcpListener, Error> {
    let bind = async |port: u16| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| Error::Listen { port, source })
    };
    if let Some(port) = wanted {
        return bind(port).await;
    }
    if let Some(port) = remembered
        && let Ok(listener) = bind(port).await
    {
        return Ok(listener);
    }
    for _ in 0..PORT_TRIES_MAX {
        let mut bytes = [0; 2];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
        if let Ok(listener) = bind(PORT_FIRST + u16::from_le_bytes(bytes) % PORT_SPAN).await {
            return Ok(listener);
        }
    }
    bind(0).await
}
