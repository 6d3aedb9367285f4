//! What takes long to look at: looked at by one at a time, and shown to all who ask within a while, so that nobody who
//! looks at a page is a burden to what the page is about, and no page waits for long.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::desk::Desk;
use crate::view::layout::Again;

/// For how long a look is good enough.
const FRESH_MS: i64 = 5_000;
/// From when on it is said at the top of a page that a look is old.
const OLD_MS: i64 = 60_000;
/// For how long it is shown while it is looked anew, so that whoever comes back need not wait.
const SHOWN_MS: i64 = 600_000;
/// For how long a page waits for a look before it says that there is one under way.
const WAIT_MAX: Duration = Duration::from_millis(60);

/// The last look, and whose turn it is to look: one at a time.
#[derive(Debug)]
pub(crate) struct Looks<T> {
    last: RwLock<Option<Arc<Look<T>>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Look<T> {
    /// When it was begun to look, ms since 1970.
    pub(crate) at_ms: i64,
    /// What there was.
    pub(crate) seen: T,
}

impl<T> Default for Looks<T> {
    fn default() -> Self {
        Self { last: RwLock::default(), turn: Arc::default() }
    }
}

impl<T> Look<T> {
    /// Whether it is so old that it has to be said.
    pub(crate) fn is_old(&self, desk: &Desk) -> bool {
        now_ms(desk) - self.at_ms > OLD_MS
    }

    /// When a page that shows it is drawn again: once there is a newer one, where it is old.
    pub(crate) fn again(&self, desk: &Desk) -> Again {
        if self.is_old(desk) { Again::Soon } else { Again::Never }
    }
}

impl<T: Send + Sync + 'static> Looks<T> {
    /// What is to be seen now, or was until a while ago; nothing where it is looked at for the first time in a while
    /// right now, and that takes its time. `look` is run only where it is wanted.
    pub(crate) async fn see(
        self: &Arc<Self>,
        desk: &Desk,
        look: impl Future<Output = T> + Send + 'static,
    ) -> Option<Arc<Look<T>>> {
        if let Some(seen) = self.within(FRESH_MS, desk) {
            return Some(seen);
        }
        self.look_beside(desk, look);
        if let Some(seen) = self.within(SHOWN_MS, desk) {
            return Some(seen);
        }
        // Whoever looks has the turn until that is done.
        drop(tokio::time::timeout(WAIT_MAX, self.turn.lock()).await);
        self.within(SHOWN_MS, desk)
    }

    /// Looks for whoever is likely to ask soon, unless that was done a while ago.
    pub(crate) fn look_ahead(self: &Arc<Self>, desk: &Desk, look: impl Future<Output = T> + Send + 'static) {
        if self.within(SHOWN_MS, desk).is_none() {
            self.look_beside(desk, look);
        }
    }

    /// Looks while nobody waits for it, unless somebody looks already.
    fn look_beside(self: &Arc<Self>, desk: &Desk, look: impl Future<Output = T> + Send + 'static) {
        let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() else { return };
        let (looks, desk) = (Arc::clone(self), desk.clone());
        tokio::spawn(async move {
            let at_ms = now_ms(&desk);
            let seen = look.await;
            *looks.last.write().unwrap_or_else(PoisonError::into_inner) =
                Some(Arc::new(Look { at_ms, seen }));
            drop(turn);
            // Pages that could not wait for it are drawn again.
            desk.changes.send_modify(|number| *number += 1);
        });
    }

    /// The last look, if it is no older than this.
    fn within(&self, age_ms: i64, desk: &Desk) -> Option<Arc<Look<T>>> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|look| now_ms(desk) - look.at_ms < age_ms).map(Arc::clone)
    }
}

fn now_ms(desk: &Desk) -> i64 {
    desk.site.clock.now().as_millisecond()
}
