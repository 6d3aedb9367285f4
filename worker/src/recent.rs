//! What this worker did since it told last, added up for the charts of the dashboard. To count costs a few additions;
//! to tell costs one call every few seconds, however many jobs there were.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brasa_shared::minutes::{BUCKETS, Histogram, Work, bucket_of};

/// What was done since it was told last.
pub(crate) struct Recent {
    done: AtomicU64,
    failed: AtomicU64,
    ran: [AtomicU64; BUCKETS],
    waited: [AtomicU64; BUCKETS],
}

impl Default for Recent {
    fn default() -> Self {
        let none = |_| AtomicU64::new(0);
        Self { done: AtomicU64::new(0), failed: AtomicU64::new(0), ran: from_fn(none), waited: from_fn(none) }
    }
}

impl Recent {
    pub(crate) fn done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ran(&self, took: Duration) {
        self.ran[bucket_of(took)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn waited(&self, wait: Duration) {
        self.waited[bucket_of(wait)].fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, and begins anew.
    pub(crate) fn take(&self) -> Work {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let histogram = |buckets: &[AtomicU64]| {
            let mut all = Histogram::default();
            buckets.iter().enumerate().for_each(|(bucket, count)| all.add(bucket, take(count)));
            all
        };
        Work {
            at_ms: 0,
            done: take(&self.done),
            failed: take(&self.failed),
            ran: histogram(&self.ran),
            waited: histogram(&self.waited),
        }
    }
}
