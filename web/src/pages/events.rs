//! Tells open pages that something changed, by server-sent events; they draw themselves again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{self, Stream};

use crate::desk::Desk;
use crate::routes::{Route, VIEWER};
use crate::view::series::look;

/// How often it is looked whether something changed.
const EVERY: Duration = Duration::from_secs(2);
/// For how long a page is told; its browser asks again then, and is looked at anew at the door.
const LOOKS_MAX: u32 = 150;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/events", VIEWER, get(tell))]
}

async fn tell(State(desk): State<Desk>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = stream::unfold((desk, String::new(), 0), |(desk, mut before, mut looks)| async move {
        while looks < LOOKS_MAX {
            tokio::time::sleep(EVERY).await;
            looks += 1;
            let now = match look(&desk).await {
                Ok(sample) => serde_json::to_string(&sample.queues).unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if now != before {
                before = now;
                return Some((
                    Ok(Event::default().event("change").data("look again")),
                    (desk, before, looks),
                ));
            }
        }
        None
    });
    Sse::new(changes).keep_alive(KeepAlive::default())
}
