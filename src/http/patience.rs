//! A second connection only when the first one does not come back: where a login is of a connection, the next message must
//! find it in the pool, to which it returns a moment after its answer was read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

/// The client takes whichever comes first, the returning connection or a new one; a connection that was read to its end
/// needs far less.
const RETURN_WAIT: Duration = Duration::from_millis(250);

/// Makes every connection but the first one wait.
#[derive(Clone, Default)]
pub(super) struct Patience {
    is_connected: Arc<AtomicBool>,
}

#[derive(Clone)]
pub(super) struct Patient<S> {
    connector: S,
    is_connected: Arc<AtomicBool>,
}

impl<S> Layer<S> for Patience {
    type Service = Patient<S>;

    fn layer(&self, connector: S) -> Patient<S> {
        Patient { connector, is_connected: Arc::clone(&self.is_connected) }
    }
}

impl<S, R> Service<R> for Patient<S>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        // The one that was polled ready goes into the future (tower's documentation of `Service::call`).
        let spare = self.connector.clone();
        let mut connector = std::mem::replace(&mut self.connector, spare);
        let is_connected = self.is_connected.swap(true, Ordering::Relaxed);
        Box::pin(async move {
            if is_connected {
                tokio::time::sleep(RETURN_WAIT).await;
            }
            connector.call(destination).await
        })
    }
}
