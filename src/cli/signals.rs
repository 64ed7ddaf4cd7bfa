//! Ctrl-C and SIGTERM: the first asks the run to stop, the second ends the process at once, and so does the end of the grace, behind
//! which an orchestrator would kill it. All are safe: nothing is visible before the publication's one step.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{Exit, Failure};
use super::output::Output;
use crate::limits::GRACE_DEFAULT;

static IS_TERMINATED: AtomicBool = AtomicBool::new(false);
static GRACE: OnceLock<Duration> = OnceLock::new();
/// When the grace of the first signal is over.
static DEADLINE: OnceLock<Instant> = OnceLock::new();

/// How long the work may go on behind the first signal.
pub(super) fn set_grace(grace: Duration) {
    // Once a process, before anything begins.
    let _ = GRACE.set(grace);
}

fn grace() -> Duration {
    GRACE.get().copied().unwrap_or(GRACE_DEFAULT)
}

/// When the process must be over. `None` = no signal arrived.
pub(super) fn deadline() -> Option<Instant> {
    DEADLINE.get().copied()
}

/// The exit code of the signal that arrived.
pub(super) fn exit() -> Exit {
    if IS_TERMINATED.load(Ordering::Relaxed) { Exit::Terminated } else { Exit::Interrupted }
}

/// Does the work; the first signal cancels it, the second drops it. What a person is asked belongs into the work: whoever
/// reads it may send a signal at once.
pub(super) async fn until_signalled<T>(
    output: Output,
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    // Before the work begins, and once: no signal falls between two listeners.
    let mut signals = Signals::listen();
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return Ok(done),
        () = signals.next() => {}
    }
    if !output.is_quiet {
        output.note("stopping after the current request; a second signal stops at once");
    }
    cancel.cancel();
    let deadline = *DEADLINE.get_or_init(|| Instant::now() + grace());
    tokio::select! {
        done = work => Ok(done),
        () = signals.next() => Err(interrupted()),
        () = tokio::time::sleep_until(deadline) => {
            let failure = format!("stopped {} s after a signal, before the current request was over", grace().as_secs());
            Err(Failure { error: failure, ..interrupted() }.hint("the next run goes on behind the pages that were read"))
        }
    }
}

/// Tells of every SIGHUP, until nobody listens any more. Where there is no such signal it waits for ever.
pub(super) async fn hangups(told: tokio::sync::mpsc::Sender<()>) {
    #[cfg(unix)]
    if let Ok(mut hangups) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        while hangups.recv().await.is_some() && told.send(()).await.is_ok() {}
    }
    // The other end must not take silence for the end.
    std::future::pending::<()>().await;
    drop(told);
}

/// The failure of a verb that a signal ended.
pub(super) fn interrupted() -> Failure {
    Failure { exit: exit(), ..Failure::failed("stopped by a signal") }
}

/// The signals from now on. Without handlers the system's default ends the process, which is safe as well.
struct Signals {
    #[cfg(unix)]
    handlers: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};

        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        Signals { handlers: interrupt.ok().zip(terminate.ok()) }
    }

    async fn next(&mut self) {
        let Some((interrupt, terminate)) = &mut self.handlers else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => IS_TERMINATED.store(false, Ordering::Relaxed),
            _ = terminate.recv() => IS_TERMINATED.store(true, Ordering::Relaxed),
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Signals {
        Signals {}
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
