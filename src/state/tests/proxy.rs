//! A proxy between a store and its server that loses what it is told to lose.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Stands in a value that is to be lost; a request is recognised by it.
pub(super) const LOST: &str = "LOSE-THIS";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Pass,
    /// The next request with `LOST` does not reach the server.
    LoseRequest,
    /// The next request with `LOST` reaches the server, its answer is lost.
    LoseAnswer,
    /// Nothing passes, and nobody hears why.
    Silent,
}

pub(super) struct Proxy {
    pub address: String,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    server: String,
    mode: Mutex<Mode>,
    lost: AtomicU32,
    /// Told when an answer came that is to be lost.
    came: Notify,
    /// Waited for before the connection of a lost answer is closed, where a test holds it.
    go_on: Notify,
    is_held: Mutex<bool>,
}

impl Proxy {
    pub(super) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let shared = Arc::new(Shared {
            server,
            mode: Mutex::new(Mode::Pass),
            lost: AtomicU32::new(0),
            came: Notify::new(),
            go_on: Notify::new(),
            is_held: Mutex::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Proxy { address, shared, accepting }
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().expect("a mode") = mode;
    }

    /// How many requests or answers were lost.
    pub(super) fn lost(&self) -> u32 {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// Holds the connection of the next lost answer open until `go_on`.
    pub(super) fn hold(&self) {
        *self.shared.is_held.lock().expect("a flag") = true;
    }

    /// Waits until the server has answered what is to be lost.
    pub(super) async fn answer_came(&self) {
        self.shared.came.notified().await;
    }

    pub(super) fn go_on(&self) {
        *self.shared.is_held.lock().expect("a flag") = false;
        self.shared.go_on.notify_one();
    }

    /// Ends every connection and refuses new ones, as a host does whose server is down.
    pub(super) async fn stop(self) -> String {
        self.accepting.abort();
        let _ = self.accepting.await;
        self.address
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborted together with this task.
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let server = TcpStream::connect(&shared.server).await.expect("the server is there");
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let is_losing = Arc::new(Mutex::new(false));
            tokio::select! {
                () = requests(&shared, from_client, to_server, &is_losing) => {}
                () = answers(&shared, from_server, to_client, &is_losing) => {}
            }
        });
    }
}

async fn requests(shared: &Shared, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_losing: &Mutex<bool>) {
    let mut bytes = vec![0; 256 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes).await else { return };
        let has_mark = bytes[..length].windows(LOST.len()).any(|window| window == LOST.as_bytes());
        let mode = *shared.mode.lock().expect("a mode");
        match mode {
            Mode::Silent => continue,
            Mode::LoseRequest if has_mark => {
                *shared.mode.lock().expect("a mode") = Mode::Pass;
                shared.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Mode::LoseAnswer if has_mark => {
                *shared.mode.lock().expect("a mode") = Mode::Pass;
                *is_losing.lock().expect("a flag") = true;
            }
            Mode::Pass | Mode::LoseRequest | Mode::LoseAnswer => {}
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

async fn answers(shared: &Shared, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_losing: &Mutex<bool>) {
    let mut bytes = vec![0; 256 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes).await else { return };
        if *is_losing.lock().expect("a flag") {
            shared.lost.fetch_add(1, Ordering::SeqCst);
            shared.came.notify_one();
            let is_held = *shared.is_held.lock().expect("a flag");
            if is_held {
                shared.go_on.notified().await;
            }
            return;
        }
        let mode = *shared.mode.lock().expect("a mode");
        if mode != Mode::Silent && to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
