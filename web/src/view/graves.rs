//! The groups of the dead letter: counting them means to look at every dead job, which may be many. So they are counted
//! beside the requests, and pages show the last count with its age.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brasa_shared::queue::{Grave, QueueError};
use tokio::sync::Notify;

use crate::desk::Desk;

/// For how long a count is good enough.
const FRESH_MS: i64 = 5_000;
/// For how long a page waits for a count before it shows an older one, or none.
const WAIT_MAX: Duration = Duration::from_millis(60);

/// The last count, and whether one is under way.
#[derive(Debug, Default)]
pub(crate) struct Graves {
    last: Mutex<Option<Counted>>,
    is_counting: Mutex<bool>,
    counted: Notify,
}

/// What was counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// When, ms since 1970.
    pub(crate) at_ms: i64,
    /// The groups, the largest first.
    pub(crate) graves: Vec<Grave>,
}

/// The groups as they are known; none where they are counted for the first time right now.
pub(crate) async fn graves(desk: &Desk) -> Option<Counted> {
    let now = desk.site.clock.now().as_millisecond();
    let known = desk.graves.last();
    if known.as_ref().is_some_and(|known| now - known.at_ms < FRESH_MS) {
        return known;
    }
    let counted = desk.graves.counted.notified();
    begin(desk);
    drop(tokio::time::timeout(WAIT_MAX, counted).await);
    desk.graves.last()
}

/// Forgets the count: something was done to the dead.
pub(crate) fn forget(desk: &Desk) {
    if let Some(last) = desk.graves.last.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        last.at_ms = 0;
    }
}

impl Graves {
    fn last(&self) -> Option<Counted> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts, unless somebody does already.
fn begin(desk: &Desk) {
    let mut counting = desk.graves.is_counting.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *counting, true) {
        return;
    }
    let (desk, kept) = (desk.clone(), Arc::clone(&desk.graves));
    tokio::spawn(async move {
        let found = count(&desk).await;
        *kept.is_counting.lock().unwrap_or_else(PoisonError::into_inner) = false;
        match found {
            Ok(counted) => *kept.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted),
            Err(error) => tracing::warn!(%error, "the dead could not be counted"),
        }
        kept.counted.notify_waiters();
    });
}

async fn count(desk: &Desk) -> Result<Counted, QueueError> {
    let at_ms = desk.site.clock.now().as_millisecond();
    let all = desk.site.all_queues().await;
    let all = all.map_err(|source| QueueError::Store { queue: "all".to_owned(), source })?;
    let mut graves = Vec::new();
    for queue in all.values() {
        graves.extend(queue.graves().await?);
    }
    graves.sort_by_key(|grave| std::cmp::Reverse(grave.count));
    Ok(Counted { at_ms, graves })
}
