//! A table in which jobs write down that they ran, and what it says in the end.

use std::collections::{BTreeMap, BTreeSet};

use brasa_shared::queue::{Envelope, Queue, QueueError};
use serde_json::json;
use sqlx::{PgPool, Row as _};

/// The statement by which a job writes a row, after `args.seconds` of work.
pub const STATEMENT: &str = r#"
[sql.ledger]
sql = """
with work as (select pg_sleep($4::float8))
insert into ledger (job_id, attempt, n) select $1::text, $2::int, $3::bigint from work
"""
params = ["job.id", "job.attempt", "args.n", "args.seconds"]
"#;

/// One execution of one job, as it wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The job.
    pub job: String,
    /// The how-manieth attempt it was, from 1.
    pub attempt: u32,
    /// The number that the job was given.
    pub n: i64,
    /// When, ms since 1970.
    pub at_ms: i64,
}

/// The table.
#[derive(Debug, Clone)]
pub struct Ledger(PgPool);

impl Ledger {
    /// Makes the table.
    ///
    /// # Panics
    /// Postgres does not take it.
    pub async fn create(pool: &PgPool) -> Self {
        let sql = "create table ledger (job_id text, attempt int, n bigint not null, \
                   at timestamptz not null default clock_timestamp(), primary key (job_id, attempt))";
        sqlx::raw_sql(sql).execute(pool).await.expect("a ledger");
        Self(pool.clone())
    }

    /// Jobs numbered from 0, each of which writes a row after so many seconds of work.
    ///
    /// # Panics
    /// They cannot be put into envelopes.
    pub fn jobs(queue: &Queue, count: u32, seconds: f64) -> Vec<Envelope> {
        let job = |n| {
            let args = json!({ "name": "ledger", "n": n, "seconds": seconds });
            Envelope::new("sql.run", &args, queue.clock().now()).expect("an envelope")
        };
        (0..count).map(job).collect()
    }

    /// Enqueues as many jobs.
    ///
    /// # Errors
    /// Redis does not take them.
    pub async fn enqueue(queue: &Queue, count: u32, seconds: f64) -> Result<(), QueueError> {
        queue.enqueue_all(&Self::jobs(queue, count, seconds)).await.map(drop)
    }

    /// Everything that was written, by job and attempt.
    ///
    /// # Panics
    /// Postgres does not say.
    pub async fn runs(&self) -> Vec<Run> {
        let sql = "select job_id, attempt, n, (extract(epoch from at) * 1000)::bigint as at_ms from ledger";
        let rows = sqlx::query(sql).fetch_all(&self.0).await.expect("the rows of the ledger");
        let attempt = |attempt: i32| u32::try_from(attempt).expect("attempts count from 1");
        let mut runs: Vec<Run> = rows
            .into_iter()
            .map(|row| Run {
                job: row.get(0),
                attempt: attempt(row.get(1)),
                n: row.get(2),
                at_ms: row.get(3),
            })
            .collect();
        runs.sort();
        runs
    }

    /// The numbers below `count` that no job wrote down.
    ///
    /// # Panics
    /// Postgres does not say.
    pub async fn missing(&self, count: u32) -> Vec<i64> {
        let there: BTreeSet<i64> = self.runs().await.into_iter().map(|run| run.n).collect();
        (0..i64::from(count)).filter(|n| !there.contains(n)).collect()
    }

    /// How often each job ran that ran more than once.
    ///
    /// # Panics
    /// Postgres does not say.
    pub async fn repeated(&self) -> BTreeMap<String, usize> {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for run in self.runs().await {
            *times.entry(run.job).or_default() += 1;
        }
        times.retain(|_, times| *times > 1);
        times
    }
}
