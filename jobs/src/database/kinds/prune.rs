//! `db.prune`: rows that have expired are deleted, a few at a time.
//!
//! A batch is a statement and a transaction of its own, as large as the time allows that it may take; rows that somebody
//! holds are passed over and are there the next time. Between two batches it rests, for as long as the last one took at
//! least, so that the application's own statements go first.

use std::time::{Duration, Instant};

use brasa_shared::config::{Config, Prune};
use brasa_shared::db::{self, quoted};
use brasa_shared::telemetry::metrics;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row as _};

use crate::absent;
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

/// How many rows the first batch has.
const FIRST: u32 = 100;

/// Deletes the rows of `[maintenance.prune.NAME]` that have expired.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRows {
    name: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows that were deleted.
    pub rows: u64,
    /// How long each batch took.
    pub took: Vec<Duration>,
}

impl Pruned {
    /// Below which so many of a hundred batches took.
    pub fn percentile(&self, hundredths: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get(took.len().saturating_sub(1) * hundredths / 100).copied().unwrap_or_default()
    }
}

impl Job for PruneRows {
    const KIND: &'static str = "db.prune";
    const ABOUT: &'static str = "Deletes rows that have expired, a few at a time";
    const POLICY: Policy = Policy::new()
        .attempts(5)
        .timeout(Duration::from_hours(4))
        .backoff(Duration::from_secs(10), Duration::from_mins(10));

    fn check(&self, config: &Config) -> Result<(), String> {
        self.prune(config).map(drop)
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let wanted = self.prune(&ctx.reach.config).map_err(JobError::bury)?;
        let mut connection = ctx.connection().await?;
        let mut batches = Batches::new(wanted);
        for part in parts(&mut connection, wanted).await.map_err(|error| judge(error, "look at the table"))? {
            loop {
                ctx.go_on()?;
                let step = batches.step(&mut connection, &part).await;
                let Some(pause) = step.map_err(|error| judge(error, "delete rows"))? else { break };
                metrics::pruned_rows_total(&self.name).increment(batches.last);
                ctx.progress(0.0, &format!("{} rows are gone", batches.done.rows)).await;
                tokio::time::sleep(pause).await;
            }
        }
        connection.give_back();
        let done = batches.done;
        Ok(json!({
            "rows": done.rows,
            "batches": done.took.len(),
            "p95_ms": done.percentile(95).as_millis(),
            "longest_ms": done.percentile(100).as_millis(),
        }))
    }
}

impl PruneRows {
    fn prune<'c>(&self, config: &'c Config) -> Result<&'c Prune, String> {
        let known = &config.maintenance.prune;
        known.get(&self.name).ok_or_else(|| absent("pruning", "maintenance.prune", &self.name, known.keys()))
    }
}

/// The tables that rows are in: the parts of a partitioned one.
///
/// # Errors
/// What Postgres says.
pub async fn parts(connection: &mut PgConnection, prune: &Prune) -> Result<Vec<String>, sqlx::Error> {
    let parts = db::parts_of(connection, &prune.table).await?;
    if parts.is_empty() {
        // It says so itself, with its own words.
        return Ok(vec![prune.table.clone()]);
    }
    Ok(parts.into_iter().filter(|part| part.kind == "r").map(|part| part.name).collect())
}

/// How many rows have expired.
///
/// # Errors
/// What Postgres says.
pub async fn expired(connection: &mut PgConnection, prune: &Prune) -> Result<i64, sqlx::Error> {
    let sql = format!("/* brasa */ select count(*) from {} where ({})", prune.table, prune.filter);
    let rows = db::fetch(connection, &sql, &[]).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0))
}

/// Whether the database understands it. Nothing is run.
///
/// # Errors
/// What Postgres says.
pub async fn describe(connection: &mut PgConnection, prune: &Prune) -> Result<(), sqlx::Error> {
    db::describe(connection, &statement(prune, &prune.table, 1)).await.map(drop)
}

/// Batches, each as large as the last one's time allows.
#[derive(Debug)]
pub struct Batches<'a> {
    prune: &'a Prune,
    size: u32,
    /// How many rows the last one had.
    pub last: u64,
    /// All of them together.
    pub done: Pruned,
}

impl<'a> Batches<'a> {
    /// The first batch is a small one.
    pub fn new(prune: &'a Prune) -> Self {
        Self { prune, size: FIRST.min(prune.batch_max), last: 0, done: Pruned::default() }
    }

    /// Deletes a batch from a table; says how long to rest, or that nothing is left.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn step(
        &mut self,
        connection: &mut PgConnection,
        part: &str,
    ) -> Result<Option<Duration>, sqlx::Error> {
        let began = Instant::now();
        let sql = statement(self.prune, part, self.size);
        self.last = db::execute_for_job(connection, "prune", &sql, &[]).await?;
        if self.last == 0 {
            return Ok(None);
        }
        let took = began.elapsed();
        self.done.rows += self.last;
        self.done.took.push(took);
        self.size = match took {
            took if took > self.prune.budget => self.size / 2,
            took if took < self.prune.budget / 4 => self.size.saturating_mul(2),
            // It comes near the budget, and stays below it.
            took if took < self.prune.budget / 2 => self.size.saturating_add(self.size / 8),
            _ => self.size,
        };
        self.size = self.size.clamp(1, self.prune.batch_max);
        Ok(Some(self.prune.pause.max(took)))
    }
}

/// Deletes so many rows that have expired. By their places, which hold still while they are locked.
fn statement(prune: &Prune, part: &str, count: u32) -> String {
    let order =
        prune.order_by.as_ref().map_or_else(String::new, |column| format!(" order by {}", quoted(column)));
    format!(
        "delete from only {part} where ctid = any (array(select ctid from only {part} where ({}){order} limit {count} for \
         update skip locked))",
        prune.filter
    )
}
