//! `cache.warm`: fills the cache from the statement of one `[warm.NAME]`.

use std::time::{Duration, Instant};

use brasa_shared::config::{Config, Warmer};
use brasa_shared::telemetry::metrics;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::absent;
use crate::cache::load::{Entry, LoaderProblem, Plan};
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult, OrElse};

/// How many keys are written in one round trip.
const WRITE_BATCH: usize = 128;

/// Warms every key of one warmer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warm {
    #[serde(alias = "warmer")]
    name: String,
}

impl Job for Warm {
    const KIND: &'static str = "cache.warm";
    const ABOUT: &'static str = "Fills the cache from the statement of a warmer";
    const POLICY: Policy = Policy::new().attempts(5).backoff(Duration::from_secs(1), Duration::from_mins(1));

    fn check(&self, config: &Config) -> Result<(), String> {
        self.warmer(config).map(drop)
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let warmer = self.warmer(&ctx.reach.config).map_err(JobError::bury)?;
        let mut connection = ctx.connection().await?;
        let ended = self.fill(ctx, warmer, &mut connection).await;
        connection.give_back();
        ended
    }
}

impl Warm {
    fn warmer<'c>(&self, config: &'c Config) -> Result<&'c Warmer, String> {
        config.warm.get(&self.name).ok_or_else(|| absent("warmer", "warm", &self.name, config.warm.keys()))
    }

    async fn fill(
        &self,
        ctx: &JobContext,
        warmer: &Warmer,
        connection: &mut PgConnection,
    ) -> JobResult<Value> {
        let plan = Plan::prepare(connection, warmer).await.map_err(|problem| self.unfit(problem))?;
        let failed = |error| judge(error, &format!("load warmer `{}`", self.name));
        let batches = plan.batches(connection, warmer.batch).await.map_err(failed)?;
        let (mut keys, mut bytes) = (0, 0);
        for params in &batches {
            ctx.go_on()?;
            let begun = Instant::now();
            let entries = plan.load(connection, params).await.map_err(failed)?;
            metrics::warm_load_seconds(&self.name).record(begun.elapsed());
            keys += entries.len();
            bytes += entries.iter().map(|entry| entry.value.len()).sum::<usize>();
            self.write(ctx, warmer, &entries).await?;
        }
        tracing::debug!(warmer = self.name, keys, bytes, "warmed");
        Ok(json!({ "keys": keys, "bytes": bytes, "batches": batches.len() }))
    }

    fn unfit(&self, problem: LoaderProblem) -> JobError {
        match problem {
            LoaderProblem::Refused { what, source } => {
                judge(source, &format!("prepare {what} of warmer `{}`", self.name))
            }
            LoaderProblem::Unfit { message, help, .. } => {
                JobError::bury(format!("warmer `{}`: {message}; {help}", self.name))
            }
        }
    }

    /// Plain `SET … PX`, so that any client reads with a plain `GET`.
    async fn write(&self, ctx: &JobContext, warmer: &Warmer, entries: &[Entry]) -> JobResult {
        for entries in entries.chunks(WRITE_BATCH) {
            let mut pipe = redis::pipe();
            for entry in entries {
                let ttl_ms = u64::try_from(life(warmer).as_millis()).unwrap_or(u64::MAX);
                pipe.cmd("SET").arg(&entry.key).arg(&entry.value).arg("PX").arg(ttl_ms).ignore();
            }
            ctx.reach.cache.run_all::<()>("write cache entries", &pipe).await.or_retry("fill the cache")?;
            metrics::warm_keys_total(&self.name).increment(entries.len() as u64);
            let bytes: usize = entries.iter().map(|entry| entry.value.len()).sum();
            metrics::warm_bytes_total(&self.name).increment(bytes as u64);
        }
        Ok(())
    }
}

/// How long one entry lives: the warmer's time less a little, so that what was filled together does not
/// expire together, and nothing lives longer than was asked for.
fn life(warmer: &Warmer) -> Duration {
    let less = warmer.jitter.mul_f64(rand::random::<f64>());
    warmer.ttl.saturating_sub(less).max(Duration::from_millis(1))
}
