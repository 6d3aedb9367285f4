//! While Redis is away, hardly anybody tries it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// How long nobody tries again.
const REST: Duration = Duration::from_millis(500);

/// Open while Redis is away: reads fail at once then, but for one each half second.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    is_open: AtomicBool,
    last: Mutex<Option<(Instant, Arc<StoreError>)>>,
}

impl Breaker {
    /// Whether Redis may be asked; else what it said last.
    pub(super) fn check(&self) -> Result<(), Arc<StoreError>> {
        if !self.is_open.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some((until, error)) if Instant::now() < *until => Err(Arc::clone(error)),
            Some((until, _)) => {
                // Whoever comes first tries it for all.
                *until = Instant::now() + REST;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Takes note of how it went.
    pub(super) fn heed(&self, error: Option<&Arc<StoreError>>) {
        let away = error.filter(|error| error.fault.passes());
        if away.is_none() && !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = away.map(|error| (Instant::now() + REST, Arc::clone(error)));
        self.is_open.store(last.is_some(), Ordering::Relaxed);
    }
}
