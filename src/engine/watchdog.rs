//! Ends a run that takes longer than its job allows, or that gets no further. Both are off unless the job says otherwise: that an
//! extraction may take days is the point.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::Error;

/// Returns when a limit is reached, after stopping the run; waits for ever where there is none.
pub(super) async fn watch_over(ctx: Arc<Context>, is_stopped: CancellationToken) -> Error {
    let began = Instant::now();
    let timeouts = ctx.job.timeouts;
    let overdue = async {
        let Some(limit) = timeouts.run else { return std::future::pending().await };
        tokio::time::sleep(limit).await;
        Error::RunTooLong { limit }
    };
    let stalled = async {
        let Some(limit) = timeouts.stall else { return std::future::pending().await };
        loop {
            let until = ctx.log.still_since(began) + limit;
            if until <= Instant::now() {
                return Error::Stalled { limit };
            }
            tokio::time::sleep_until(until).await;
        }
    };
    let error = tokio::select! {
        error = overdue => error,
        error = stalled => error,
    };
    is_stopped.cancel();
    error
}
