//! How it went of late: the counters of queues and caches every few seconds, for charts and rates.
//!
//! Each process remembers its own hour and no more: what lasts is Prometheus' to keep.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use brasa_shared::db::writes::progress;
use brasa_shared::queue::Counts;
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;

/// How often it is looked.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// For how long Postgres is waited for, which says how many rows were written.
const WRITTEN_MAX: Duration = Duration::from_millis(500);
/// How many looks are remembered: an hour.
const KEPT: usize = 720;

/// What a look found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// When, ms since 1970.
    pub(crate) at_ms: i64,
    /// The queues.
    pub(crate) queues: BTreeMap<String, Counts>,
    /// Hits and misses of each warmer, since they are counted.
    pub(crate) reads: BTreeMap<String, (u64, u64)>,
    /// Rows written of each `[writes.NAME]`; none where Postgres did not say so in time.
    pub(crate) written: BTreeMap<String, u64>,
}

/// What was found of late, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Series(RwLock<VecDeque<Sample>>);

/// How fast something is, per second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    pub(crate) enqueued: f64,
    pub(crate) done: f64,
    /// Attempts that failed, whether the job is tried again or is dead.
    pub(crate) failed: f64,
}

impl Sample {
    fn total(&self, queue: Option<&str>, counter: &str) -> u64 {
        let chosen = self.queues.iter().filter(|(name, _)| queue.is_none_or(|only| only == name.as_str()));
        chosen.map(|(_, counts)| counts.totals.get(counter).copied().unwrap_or_default()).sum()
    }

    /// Hits and misses of a warmer, or of all.
    fn reads(&self, warmer: Option<&str>) -> (u64, u64) {
        let chosen = self.reads.iter().filter(|(name, _)| warmer.is_none_or(|only| only == name.as_str()));
        chosen.fold((0, 0), |sum, (_, reads)| (sum.0 + reads.0, sum.1 + reads.1))
    }
}

impl Series {
    /// How fast it is right now, over about the last half minute.
    pub(crate) fn pace(&self, queue: Option<&str>) -> Pace {
        let samples = self.read();
        let Some(now) = samples.back() else { return Pace::default() };
        let Some(before) = samples.iter().rev().nth(6).or_else(|| samples.front()) else {
            return Pace::default();
        };
        pace(before, now, queue)
    }

    /// How fast it was, look by look.
    pub(crate) fn paces(&self, queue: Option<&str>) -> Vec<Pace> {
        let samples = self.read();
        samples.iter().zip(samples.iter().skip(1)).map(|(before, now)| pace(before, now, queue)).collect()
    }

    /// Which share of reads found something, look by look, as far as anything was read; and over all of it.
    pub(crate) fn hit_rates(&self, warmer: Option<&str>) -> (Vec<f64>, Option<f64>) {
        let samples = self.read();
        let share = |before: &Sample, now: &Sample| {
            let (old, new) = (before.reads(warmer), now.reads(warmer));
            let (hits, misses) = (new.0.saturating_sub(old.0), new.1.saturating_sub(old.1));
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let share = hits as f64 / (hits + misses).max(1) as f64;
            (hits + misses > 0).then_some(share)
        };
        let each = samples.iter().zip(samples.iter().skip(1)).filter_map(|(before, now)| share(before, now));
        let all = samples.front().zip(samples.back()).and_then(|(first, last)| share(first, last));
        (each.collect(), all)
    }

    /// How many rows of a `[writes.NAME]` were written per second, look by look, as far as that is known.
    pub(crate) fn written(&self, name: &str) -> Vec<f64> {
        let samples = self.read();
        let known = |sample: &Sample| Some((sample.at_ms, *sample.written.get(name)?));
        let known: Vec<(i64, u64)> = samples.iter().filter_map(known).collect();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = |((before_ms, before), (now_ms, now)): (&(i64, u64), &(i64, u64))| {
            now.saturating_sub(*before) as f64 * 1_000.0 / (now_ms - before_ms).max(1) as f64
        };
        known.iter().zip(known.iter().skip(1)).map(rate).collect()
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.0.write().unwrap_or_else(PoisonError::into_inner);
        samples.push_back(sample);
        while samples.len() > KEPT {
            samples.pop_front();
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, VecDeque<Sample>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn pace(before: &Sample, now: &Sample, queue: Option<&str>) -> Pace {
    let seconds = (now.at_ms - before.at_ms) as f64 / 1_000.0;
    if seconds <= 0.0 {
        return Pace::default();
    }
    let rate = |names: &[&str]| {
        let grown = names.iter().map(|name| now.total(queue, name).saturating_sub(before.total(queue, name)));
        grown.sum::<u64>() as f64 / seconds
    };
    Pace { enqueued: rate(&["enqueued"]), done: rate(&["done"]), failed: rate(&["retried", "dead"]) }
}

/// Looks until it is stopped. What is away leaves a gap, and nothing else.
pub(crate) async fn sample(desk: Desk, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match look(&desk).await {
            Ok(sample) => desk.series.add(Sample { written: written(&desk).await, ..sample }),
            Err(error) => tracing::debug!(%error, "the counters could not be read"),
        }
    }
}

/// Rows written so far. A database that is slow leaves a gap here, and holds nothing else up.
async fn written(desk: &Desk) -> BTreeMap<String, u64> {
    let Some(pool) = desk.pool.as_ref().filter(|_| !desk.site.config.writes.is_empty()) else {
        return BTreeMap::new();
    };
    let asked = tokio::time::timeout(WRITTEN_MAX, progress(pool, None)).await;
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for stream in asked.ok().and_then(Result::ok).unwrap_or_default() {
        *rows.entry(stream.stream.name).or_default() += stream.done.rows.unsigned_abs();
    }
    rows
}

/// The counters right now.
pub(crate) async fn look(desk: &Desk) -> Result<Sample, brasa_shared::queue::QueueError> {
    let site = &desk.site;
    let all = site
        .all_queues()
        .await
        .map_err(|source| brasa_shared::queue::QueueError::Store { queue: "all".to_owned(), source })?;
    let mut sample = Sample { at_ms: site.clock.now().as_millisecond(), ..Sample::default() };
    for (name, queue) in all {
        sample.queues.insert(name, queue.counts().await?);
    }
    let caches = site.caches();
    for name in site.config.warm.keys() {
        if let Ok(stats) = caches.namespace(name).stats().await {
            sample.reads.insert(name.clone(), (stats.hits(), stats.misses().values().sum()));
        }
    }
    Ok(sample)
}
