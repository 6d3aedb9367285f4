//! What one worker of all looks after: the epoch, values that stand no more, what is hot, and the numbers.

use std::sync::Arc;
use std::time::Duration;

use brasa_shared::config::WarmWhen;
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use tokio::time::Instant;

use crate::cache::sweep::Sweeper;
use crate::cache::{Shared, heat};

/// How often it looks at all.
const ROUND: Duration = Duration::from_millis(100);
/// How often it looks whether Redis is still the one that it was.
const EPOCH_EVERY: Duration = Duration::from_secs(1);
/// How often numbers are published, and what has ended is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// How often what is hot is saved.
const SAVE_EVERY: Duration = Duration::from_mins(1);
/// How often the counts of what is hot are halved.
const COOL_EVERY: Duration = Duration::from_mins(10);

/// What values can be.
const STATES: [&str; 3] = ["warm", "once", "none"];

/// Something that is done now and then.
struct Now(Duration, Option<Instant>);

impl Now {
    fn is_due(&mut self) -> bool {
        let is_due = self.1.is_none_or(|last| last.elapsed() >= self.0);
        if is_due {
            self.1 = Some(Instant::now());
        }
        is_due
    }
}

/// Watches for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut watcher = Watcher {
        sweeper: Sweeper::default(),
        epoch: Now(EPOCH_EVERY, None),
        tidy: Now(TIDY_EVERY, None),
        save: Now(SAVE_EVERY, Some(Instant::now())),
        cool: Now(COOL_EVERY, Some(Instant::now())),
        publish: Now(EPOCH_EVERY, None),
        halvings: 0,
        is_described: false,
        is_turn: false,
        told: false,
    };
    loop {
        if let Err(error) = watcher.round(&shared).await {
            metrics::redis_faults_total("cache").increment(1);
            tracing::debug!(error = %chain(&error), "cannot look after the cache; trying again");
            tokio::time::sleep(EPOCH_EVERY).await;
        }
        tokio::time::sleep(ROUND).await;
    }
}

struct Watcher {
    sweeper: Sweeper,
    epoch: Now,
    tidy: Now,
    save: Now,
    cool: Now,
    publish: Now,
    halvings: u64,
    is_described: bool,
    is_turn: bool,
    told: bool,
}

impl Watcher {
    async fn round(&mut self, shared: &Shared) -> Result<(), StoreError> {
        // Every worker: whoever finds the epoch gone begins the next.
        if self.epoch.is_due() {
            self.watch_epoch(shared).await;
        }
        if !self.is_described {
            shared.describe().await?;
            self.is_described = true;
        }
        if self.publish.is_due() {
            self.publish_budget(shared);
        }
        if !shared.is_turn().await? {
            if self.is_turn {
                leave_numbers(shared);
            }
            self.is_turn = false;
            return Ok(());
        }
        if !self.is_turn {
            // Whoever had it may have had another configuration, and none of those may be left.
            shared.describe().await?;
            self.is_turn = true;
        }
        self.sweeper.look(shared).await?;
        if self.tidy.is_due() {
            self.is_described = shared.loaders.caches.is_told().await?;
            self.tidy_up(shared).await?;
        }
        if self.cool.is_due() {
            heat::cool(shared).await?;
        }
        if self.save.is_due()
            && let Err(error) = heat::save(shared).await
        {
            tracing::debug!(error = %chain(&error), "what is hot is not saved");
        }
        Ok(())
    }

    fn publish_budget(&mut self, shared: &Shared) {
        let state = shared.loaders.budget.state();
        metrics::cache_budget_window().set(state.window);
        if let Some(why) = state.why {
            metrics::cache_budget_halvings_total(why.as_str()).increment(state.halvings - self.halvings);
        }
        self.halvings = state.halvings;
    }

    async fn watch_epoch(&mut self, shared: &Shared) {
        match shared.loaders.ensure_epoch().await {
            Ok(false) => self.told = false,
            Ok(true) => {
                self.told = false;
                self.is_described = false;
                if let Err(error) = heat::restore(shared).await {
                    tracing::debug!(error = %chain(&error), "what was hot is not known any more");
                }
                for (name, served) in &shared.warmers {
                    if served.warmer.keeping.when.contains(&WarmWhen::Flush) {
                        shared.warm_all(name, "Redis lost its memory, or is another one").await;
                    }
                }
            }
            Err(error) if !self.told => {
                self.told = true;
                tracing::warn!(error = %chain(&error), "cannot tell whether Redis is the one that it was; until then it may take no values");
            }
            Err(_) => {}
        }
    }

    async fn tidy_up(&mut self, shared: &Shared) -> Result<(), StoreError> {
        shared.loaders.caches.forget_tags().await?;
        shared.describe_leases().await?;
        let now = shared.loaders.caches.now_ms().await?;
        for name in shared.warmers.keys() {
            let namespace = shared.loaders.caches.namespace(name);
            namespace.prune(now).await?;
            let (extent, stats) = (namespace.extent().await?, namespace.stats().await?);
            for (state, count) in STATES.iter().zip([extent.warm, extent.once, extent.negatives]) {
                metrics::cache_entries(name, state).set(number(count));
            }
            metrics::cache_asked(name).set(number(extent.asked));
            let late = extent.next_ms.map_or(0, |next| (now - next).max(0));
            metrics::cache_refresh_lag_seconds(name).set(number(late.unsigned_abs()) / 1_000.0);
            metrics::cache_hits_total(name).absolute(stats.hits());
            for (why, count) in stats.misses() {
                metrics::cache_misses_total(name, why).absolute(count);
            }
        }
        Ok(())
    }
}

/// Takes back what this worker has told: another one tells it from now on, and the highest counts.
fn leave_numbers(shared: &Shared) {
    for name in shared.warmers.keys() {
        for state in STATES {
            metrics::cache_entries(name, state).set(0.0);
        }
        metrics::cache_asked(name).set(0.0);
        metrics::cache_refresh_lag_seconds(name).set(0.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

impl Shared {
    /// Whether this worker is the one that looks after the cache.
    async fn is_turn(&self) -> Result<bool, StoreError> {
        Ok(self.loaders.caches.attendant().await?.as_deref() == Some(self.worker.as_str()))
    }
}
