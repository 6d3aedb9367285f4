//! Loading past the cache: a few at a time, and once for all who wait for the same.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::cache::reader::CacheError;
use crate::cache::reader::tally::Tallied;

/// What was loaded last, and when that began.
type Last = Option<(u64, Option<Arc<[u8]>>)>;
type Slot = Arc<tokio::sync::Mutex<Last>>;

/// Those who load past the cache.
pub(super) struct Direct {
    permits: Semaphore,
    most: usize,
    /// Tells what began before what.
    ticks: AtomicU64,
    slots: Mutex<HashMap<Arc<str>, Slot>>,
}

/// Somebody who wants a value, until dropped.
struct Place<'a> {
    direct: &'a Direct,
    what: Arc<str>,
    slot: Slot,
}

impl Direct {
    /// Room for so many at a time.
    pub(super) fn new(most: usize) -> Self {
        let permits = Semaphore::new(most.min(Semaphore::MAX_PERMITS));
        Self { permits, most, ticks: AtomicU64::new(0), slots: Mutex::default() }
    }

    /// Loads `what`, unless somebody has loaded it since this call began; its turn comes within `wait`.
    pub(super) async fn load<F, E>(
        &self,
        what: Arc<str>,
        wait: Duration,
        load: impl FnOnce() -> F,
    ) -> (Result<Option<Arc<[u8]>>, CacheError>, Tallied)
    where
        F: Future<Output = Result<Option<Vec<u8>>, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let until = Instant::now() + wait;
        let arrived = self.tick();
        let place = self.enter(what);
        let crowded = (Err(CacheError::Crowded(self.most)), Tallied::Crowded);
        let Ok(mut last) = timeout_at(until, place.slot.lock()).await else { return crowded };
        if let Some((_, value)) = last.as_ref().filter(|(began, _)| *began > arrived) {
            return (Ok(value.clone()), Tallied::Shared);
        }
        let Ok(Ok(_permit)) = timeout_at(until, self.permits.acquire()).await else { return crowded };
        let began = self.tick();
        match load().await {
            Ok(value) => {
                let value: Option<Arc<[u8]>> = value.map(Into::into);
                *last = Some((began, value.clone()));
                (Ok(value), Tallied::Loaded)
            }
            Err(error) => (Err(CacheError::Loader(error.into().into())), Tallied::Failed),
        }
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn enter(&self, what: Arc<str>) -> Place<'_> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(slots.entry(Arc::clone(&what)).or_default());
        Place { direct: self, what, slot }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut slots = self.direct.slots.lock().unwrap_or_else(PoisonError::into_inner);
        drop(std::mem::take(&mut self.slot));
        // Where only the table has it, nobody else wants it, and nothing of it is kept.
        if slots.get(&self.what).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(&self.what);
        }
    }
}
