//! What a worker counts, looked up once and not for every job.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::metrics::{Counter, Histogram};
use brasa_jobs::{Catalog, Config};
use brasa_shared::minutes::Minutes;
use brasa_shared::queue::Queue;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;

use crate::recent::Recent;
use crate::run::Tally;

/// What became of a job that this worker held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Done,
    Retried,
    Snoozed,
    Dead,
    Cancelled,
    Expired,
    Returned,
    Lost,
}

/// All of them, in the order of their numbers.
const ALL: [Told; 8] = [
    Told::Done,
    Told::Retried,
    Told::Snoozed,
    Told::Dead,
    Told::Cancelled,
    Told::Expired,
    Told::Returned,
    Told::Lost,
];

/// The name under which jobs are counted whose kind cannot be told.
pub(crate) const UNREADABLE: &str = "unreadable";

impl Told {
    /// Its word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Returned => "returned",
            Self::Lost => "lost",
        }
    }

    /// Whether the job is at its end.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled | Self::Expired)
    }
}

/// How calls of endpoints end, as `http.post` counts them.
const CALLS: [&str; 7] = ["2xx", "3xx", "4xx", "5xx", "refused", "timeout", "unreachable"];

/// Has counters at zero from the start, of all that the configuration names, where alarms ask whether they have grown:
/// of one that is there only from its first increment on nobody sees that it did.
pub(crate) fn begin_at_zero<'q>(config: &Config, queues: impl IntoIterator<Item = &'q Queue>) {
    let mut counters = Vec::new();
    for queue in queues {
        counters.push(metrics::jobs_reclaimed_total(queue.name()));
        counters.push(metrics::jobs_quarantined_total(queue.name()));
        counters.push(metrics::jobs_unopened_total(queue.name()));
    }
    for warmer in config.warm.keys() {
        counters.push(metrics::cache_load_failures_total(warmer));
        counters.push(metrics::cache_asks_refused_total(warmer));
    }
    counters.extend(config.writes.keys().map(|write| metrics::write_dead_total(write)));
    for endpoint in config.http.keys() {
        counters.extend(CALLS.map(|status| metrics::http_calls_total(endpoint, status)));
    }
    counters.extend(["analyzed", "skipped"].map(metrics::tables_analyzed_total));
    counters.extend(["vacuumed", "skipped"].map(metrics::tables_vacuumed_total));
    counters.extend(["done", "put_off", "failed", "left"].map(metrics::indexes_rebuilt_total));
    for counter in counters {
        counter.increment(0);
    }
}

struct KindMeters {
    duration: Histogram,
    verdicts: [Counter; ALL.len()],
}

impl KindMeters {
    fn of(kind: &str) -> Self {
        Self {
            duration: metrics::job_duration_seconds(kind),
            verdicts: ALL.map(|told| metrics::jobs_finished_total(kind, told.name())),
        }
    }
}

/// What a worker counts.
pub(crate) struct Meters {
    kinds: HashMap<&'static str, KindMeters>,
    waits: HashMap<String, Histogram>,
    done: AtomicU64,
    failed: AtomicU64,
    recent: Recent,
}

impl Meters {
    /// For the kinds of a catalogue and these queues.
    pub(crate) fn new<'q>(catalog: &Catalog, queues: impl IntoIterator<Item = &'q Queue>) -> Self {
        let names = catalog.kinds().map(|kind| kind.name).chain([UNREADABLE]);
        let wait = |queue: &Queue| (queue.name().to_owned(), metrics::job_wait_seconds(queue.name()));
        Self {
            kinds: names.map(|name| (name, KindMeters::of(name))).collect(),
            waits: queues.into_iter().map(wait).collect(),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            recent: Recent::default(),
        }
    }

    /// Counts what became of a job.
    pub(crate) fn count(&self, kind: &str, told: Told) {
        match told {
            Told::Done => {
                self.done.fetch_add(1, Ordering::Relaxed);
                self.recent.done();
            }
            Told::Dead | Told::Retried => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                self.recent.failed();
            }
            _ => {}
        }
        if let Some(meters) = self.kinds.get(kind) {
            meters.verdicts[told as usize].increment(1);
        }
    }

    /// How long a run took.
    pub(crate) fn ran(&self, kind: &str, took: Duration) {
        self.recent.ran(took);
        if let Some(meters) = self.kinds.get(kind) {
            meters.duration.record(took);
        }
    }

    /// How long a job waited from when it could start.
    pub(crate) fn waited(&self, queue: &str, wait: Duration) {
        self.recent.waited(wait);
        if let Some(waits) = self.waits.get(queue) {
            waits.record(wait);
        }
    }

    /// Tells what was done since the last time. What could not be told is not told again: a gap in a chart is better
    /// than jobs that are counted twice.
    pub(crate) async fn tell(&self, minutes: &Minutes) {
        if let Err(error) = minutes.count(&self.recent.take()).await {
            tracing::debug!(error = %chain(&error), "what was done lately could not be told");
        }
    }

    /// What has been done so far.
    pub(crate) fn tally(&self) -> Tally {
        Tally { done: self.done.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) }
    }
}
