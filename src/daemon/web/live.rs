//! A word whenever something changed, so that open pages show it (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{Stream, unfold};

use super::Site;
use super::view::TheSite;
use crate::limits::LIVE_INTERVAL;

pub(super) async fn changes(State(site): TheSite) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = site.web.board.changes();
    let stream = unfold((site, changes), async |(site, mut changes): (Arc<Site>, _)| {
        tokio::select! {
            changed = changes.changed() => changed.ok()?,
            () = site.is_over.cancelled() => return None,
        }
        // A page of many runs changes all the time; nobody reads faster.
        tokio::time::sleep(LIVE_INTERVAL).await;
        let number = *changes.borrow_and_update();
        Some((Ok(Event::default().data(number.to_string())), (site, changes)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
