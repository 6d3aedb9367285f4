//! What readers count by themselves, and tell Redis now and then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cache::reader::State;
use crate::cache::{Namespace, Why};
use crate::store::{Fault, StoreError};
use crate::telemetry::metrics::{
    cache_direct_total, cache_l1_reads_total, cache_reads_total, cache_waits_total,
};

/// How many different values are counted among the hot until they are told.
const SAMPLES_MAX: usize = 1_024;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tallied {
    /// A read found this.
    Fresh,
    Stale,
    None,
    /// It found nothing, for this reason.
    Missing(Why),
    /// A read needed no Redis.
    Local,
    /// What was waited for came.
    Waited,
    /// It did not come in time.
    Late,
    /// A caller loaded by itself.
    Loaded,
    /// Another one had.
    Shared,
    /// It could not, for too many did.
    Crowded,
    /// It could not load it either.
    Failed,
}

/// How many things are counted.
const COUNTERS: usize = 10 + Why::ALL.len();

/// What was counted for a warmer, and not told yet.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counters: [AtomicU64; COUNTERS],
    samples: Mutex<HashMap<String, u32>>,
}

impl Tallied {
    fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::Fresh,
            Self::Stale,
            Self::None,
            Self::Local,
            Self::Waited,
            Self::Late,
            Self::Loaded,
            Self::Shared,
            Self::Crowded,
            Self::Failed,
        ];
        plain.into_iter().chain(Why::ALL.iter().map(|(_, why)| Self::Missing(*why)))
    }

    fn place(self) -> usize {
        Self::all().position(|known| known == self).unwrap_or(0)
    }

    /// Its name among the counters of the warmer, where it is one of them.
    fn counter(self) -> Option<String> {
        let word = match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::None => "none",
            Self::Missing(why) => why.word(),
            Self::Local => "l1",
            Self::Waited => "wait",
            Self::Late | Self::Loaded | Self::Shared | Self::Crowded | Self::Failed => return None,
        };
        Some(format!("read_{word}"))
    }

    fn show(self, warmer: &str, by: u64) {
        let counter = match self {
            Self::Fresh => cache_reads_total(warmer, "fresh"),
            Self::Stale => cache_reads_total(warmer, "stale"),
            Self::None => cache_reads_total(warmer, "none"),
            Self::Missing(why) => cache_reads_total(warmer, why.word()),
            Self::Local => cache_l1_reads_total(warmer),
            Self::Waited => cache_waits_total(warmer, "served"),
            Self::Late => cache_waits_total(warmer, "late"),
            Self::Loaded => cache_direct_total(warmer, "loaded"),
            Self::Shared => cache_direct_total(warmer, "shared"),
            Self::Crowded => cache_direct_total(warmer, "crowded"),
            Self::Failed => cache_direct_total(warmer, "failed"),
        };
        counter.increment(by);
    }
}

impl Tally {
    /// Counts one.
    pub(super) fn count(&self, what: Tallied) {
        self.add(what, 1);
    }

    /// Counts a read by what it found.
    pub(super) fn count_read(&self, state: State) {
        match state {
            State::Fresh => self.count(Tallied::Fresh),
            State::Stale => self.count(Tallied::Stale),
            State::None => self.count(Tallied::None),
            State::Missing(why) => self.count(Tallied::Missing(why)),
            State::Direct => {}
        }
    }

    /// Counts a value among the hot.
    pub(super) fn sample(&self, params: String) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() < SAMPLES_MAX || samples.contains_key(&params) {
            *samples.entry(params).or_default() += 1;
        }
    }

    /// Tells what was counted. What may have arrived is not told again, so nothing is counted twice.
    pub(super) async fn tell(&self, namespace: &Namespace) -> Result<(), StoreError> {
        let taken: Vec<(Tallied, u64)> = Tallied::all()
            .map(|what| (what, self.counters[what.place()].swap(0, Ordering::Relaxed)))
            .filter(|(_, by)| *by > 0)
            .collect();
        let samples = std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner));
        let counters: Vec<(String, u64)> =
            taken.iter().filter_map(|(what, by)| Some((what.counter()?, *by))).collect();
        let samples: Vec<(String, u32)> = samples.into_iter().collect();
        let told = match (counters.is_empty(), samples.is_empty()) {
            (true, true) => Ok(()),
            _ => namespace.count(&counters, &samples).await,
        };
        let has_not_arrived =
            |error: &StoreError| !matches!(error.fault, Fault::Unreachable | Fault::Timeout);
        let is_to_be_told_again = told.as_ref().err().is_some_and(has_not_arrived);
        for (what, by) in taken {
            if is_to_be_told_again {
                self.add(what, by);
            } else {
                what.show(namespace.name(), by);
            }
        }
        told
    }

    fn add(&self, what: Tallied, by: u64) {
        self.counters[what.place()].fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_is_counted_has_a_place_of_its_own() {
        let places: Vec<usize> = Tallied::all().map(Tallied::place).collect();
        assert_eq!(places, (0..COUNTERS).collect::<Vec<_>>());
    }
}
