//! What takes long to look at: looked at by one at a time, and shown to all who ask within a while, so that nobody who
//! looks at a page is a burden to what the page is about, and no page waits for long.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::desk::Desk;
use crate::view::layout::Again;

/// For how long a look is good enough.
const FRESH_MS: i64 = 5_000;
/// From when on it is said at the top of a page that a look is old.
const OLD_MS: i64 = 60_000;
/// For how long it is shown while it is looked at anew.
const SHOWN_MS: i64 = 600_000;
/// For how long a page waits for a look before it shows an older one, or says that there is one under way.
const WAIT_MAX: Duration = Duration::from_millis(60);

/// The last look, and whose turn it is to look: one at a time.
#[derive(Debug)]
pub(crate) struct Looks<T> {
    last: RwLock<Last<T>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The last look, and how often what was seen is true no more.
#[derive(Debug)]
struct Last<T> {
    look: Option<Arc<Look<T>>>,
    forgotten: u64,
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
        Self { last: RwLock::new(Last { look: None, forgotten: 0 }), turn: Arc::default() }
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
    /// What is to be seen now, or was until a while ago where it takes its time to look again; nothing where that is so
    /// at the first time in a while. `look` is run only where it is wanted.
    pub(crate) async fn see(
        self: &Arc<Self>,
        desk: &Desk,
        look: impl Future<Output = T> + Send + 'static,
    ) -> Option<Arc<Look<T>>> {
        if let Some(seen) = self.within(FRESH_MS, desk) {
            return Some(seen);
        }
        self.look_beside(desk, look);
        // Whoever looks has the turn until that is done.
        drop(tokio::time::timeout(WAIT_MAX, self.turn.lock()).await);
        self.within(SHOWN_MS, desk)
    }

    /// What was seen last, if that is not too long ago. Nobody looks for it.
    pub(crate) fn last(&self, desk: &Desk) -> Option<Arc<Look<T>>> {
        self.within(SHOWN_MS, desk)
    }

    /// Looks for whoever is likely to ask soon, unless that was done not long ago.
    pub(crate) fn look_ahead(self: &Arc<Self>, desk: &Desk, look: impl Future<Output = T> + Send + 'static) {
        if self.within(OLD_MS, desk).is_none() {
            self.look_beside(desk, look);
        }
    }

    /// Looks while nobody waits for it, unless somebody looks already.
    fn look_beside(self: &Arc<Self>, desk: &Desk, look: impl Future<Output = T> + Send + 'static) {
        let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() else { return };
        let (looks, desk, begun) = (Arc::clone(self), desk.clone(), Instant::now());
        tokio::spawn(async move {
            let (at_ms, forgotten) = (now_ms(&desk), looks.read().forgotten);
            let seen = look.await;
            looks.keep(Look { at_ms, seen }, forgotten);
            drop(turn);
            if begun.elapsed() >= WAIT_MAX {
                // Pages that could not wait for it are drawn again.
                desk.changes.send_modify(|number| *number += 1);
            }
        });
    }

    /// Forgets what was seen: something was done to it. Whoever looks at this moment does so in vain.
    pub(crate) fn forget(&self) {
        let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
        *last = Last { look: None, forgotten: last.forgotten + 1 };
    }

    /// Keeps a look that was begun when as much had been forgotten.
    fn keep(&self, look: Look<T>, forgotten: u64) {
        let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
        if last.forgotten == forgotten {
            last.look = Some(Arc::new(look));
        }
    }

    /// The last look, if it is no older than this.
    fn within(&self, age_ms: i64, desk: &Desk) -> Option<Arc<Look<T>>> {
        self.read().look.as_ref().filter(|look| now_ms(desk) - look.at_ms < age_ms).map(Arc::clone)
    }

    fn read(&self) -> RwLockReadGuard<'_, Last<T>> {
        self.last.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms(desk: &Desk) -> i64 {
    desk.site.clock.now().as_millisecond()
}
