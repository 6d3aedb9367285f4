//! Tells open pages that something changed, by server-sent events; they draw themselves again.
//!
//! One task looks for all of them, so that a hundred open pages cost Redis no more than one.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::routes::{Route, VIEWER};
use crate::view::series::look;

/// How often it is looked whether something changed.
const EVERY: Duration = Duration::from_secs(2);
/// For how long a page is told; its browser asks again then, and is looked at anew at the door.
const TOLD_MAX: Duration = Duration::from_mins(5);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/events", VIEWER, get(tell))]
}

/// Looks whether something changed, as long as a page is open somewhere.
pub(crate) async fn watch(desk: Desk, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut before = String::new();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if desk.changes.receiver_count() == 0 {
            continue;
        }
        let now = match look(&desk).await {
            // Charts go on every minute, whether anything happens or not.
            Ok(sample) => {
                let queues = serde_json::to_string(&sample.queues).unwrap_or_default();
                format!("{} {queues}", sample.at_ms.div_euclid(60_000))
            }
            Err(error) => error.to_string(),
        };
        if now != before {
            before = now;
            desk.changes.send_modify(|number| *number += 1);
        }
    }
}

async fn tell(State(desk): State<Desk>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = desk.changes.subscribe();
    let end = Instant::now() + TOLD_MAX;
    let events = stream::unfold((changes, true), move |(mut changes, is_first)| async move {
        // Something may have changed between the page and this: the first word comes by itself.
        let wait = if is_first { Instant::now() + EVERY } else { end };
        match tokio::time::timeout_at(wait, changes.changed()).await {
            Ok(Err(_)) => return None,
            Err(_) if !is_first => return None,
            Ok(Ok(())) | Err(_) => {}
        }
        Some((Ok(Event::default().event("change").data("look again")), (changes, false)))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
