//! One handler, at once, in this process.

use std::sync::Arc;
use std::time::Duration;

use brasa_shared::clock::Clock;
use brasa_shared::config::Config;
use brasa_shared::store::Store;
use brasa_shared::telemetry::spans::Errand;
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Kind};
use crate::context::{JobContext, Reach, ThisJob};
use crate::job::Job;
use crate::reporter::Reporter;
use crate::verdict::{JobError, JobResult};

/// Nobody listens there: where handlers look for a cache that no test gave them.
const NOWHERE: &str = "redis://127.0.0.1:1/";

/// Runs handlers at once, without a queue: what a worker does between a claim and a verdict.
///
/// ```
/// use brasa_jobs::testing::Inline;
/// use brasa_jobs::{Job, JobContext, JobError, JobResult, Policy, Verdict};
/// use serde::Deserialize;
/// use serde_json::{Value, json};
///
/// #[derive(Deserialize)]
/// struct Divide {
///     by: i64,
/// }
///
/// impl Job for Divide {
///     const KIND: &'static str = "sum.divide";
///     const ABOUT: &'static str = "Divides a hundred";
///     const POLICY: Policy = Policy::new();
///
///     async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
///         let result = 100_i64.checked_div(self.by);
///         let result = result.ok_or_else(|| JobError::bury("nothing can be divided by zero"))?;
///         Ok(json!({ "result": result, "attempt": ctx.job.attempt }))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let inline = Inline::of::<Divide>().attempt(3);
/// let done = inline.run("sum.divide", json!({ "by": 4 })).await.unwrap();
/// assert_eq!(done, json!({ "result": 25, "attempt": 3 }));
///
/// let failed = inline.run("sum.divide", json!({ "by": 0 })).await.unwrap_err();
/// assert_eq!(failed.verdict, Verdict::Bury);
/// # });
/// ```
///
/// A panic of a handler is not caught, so that an assertion inside of one fails its test. A worker makes a
/// failed attempt of it.
#[derive(Clone)]
pub struct Inline {
    catalog: Catalog,
    config: Arc<Config>,
    db: Option<PgPool>,
    cache: Option<Store>,
    clock: Clock,
    id: Option<String>,
    attempt: u32,
    fence: i64,
    stop: CancellationToken,
}

impl Inline {
    /// Runs the kinds of a catalogue: as first attempts, on an empty configuration, without Postgres and
    /// cache, on the machine's clock.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            config: Arc::default(),
            db: None,
            cache: None,
            clock: Clock::System,
            id: None,
            attempt: 1,
            fence: 1,
            stop: CancellationToken::new(),
        }
    }

    /// The same for one kind.
    pub fn of<J: Job>() -> Self {
        Self::new(Catalog::default().with::<J>())
    }

    /// With this configuration: `Config::parse` makes one of a text.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// With this Postgres.
    #[must_use]
    pub fn db(mut self, pool: PgPool) -> Self {
        self.db = Some(pool);
        self
    }

    /// With this Redis as the cache.
    #[must_use]
    pub fn cache(mut self, store: Store) -> Self {
        self.cache = Some(store);
        self
    }

    /// On this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// As a job with this id, for effects that use it as a key. Else every run has a fresh one.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// As this attempt, from 1.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// With this fence: run once with a larger and once with a smaller one, and the second changes nothing.
    #[must_use]
    pub fn fence(mut self, fence: i64) -> Self {
        self.fence = fence;
        self
    }

    /// With a stop token of yours. Cancel it before the run or in the middle, as a worker does that ends; a
    /// handler that does not look is dropped half a second later by a worker, and never by this.
    #[must_use]
    pub fn stop(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// What `brasa enqueue` and `brasa check` would say about these arguments.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn check(&self, kind: &str, args: &Value) -> Result<(), String> {
        let kind = self.catalog.get(kind).ok_or_else(|| unknown(kind))?;
        (kind.check)(&args.to_string(), &self.config)
    }

    /// Runs the handler of a kind with these arguments, within the kind's time limit.
    ///
    /// # Errors
    /// What the handler says, with its verdict. An unknown kind and arguments that do not fit are buried, as
    /// a worker does.
    pub async fn run(&self, kind: &str, args: Value) -> JobResult<Value> {
        let found = *self.catalog.get(kind).ok_or_else(|| JobError::bury(unknown(kind)))?;
        let id = self.id.clone().unwrap_or_else(|| format!("inline-{:016x}", rand::random::<u64>()));
        let nonce = format!("{:032x}", rand::random::<u128>());
        let job = ThisJob {
            id,
            kind: kind.to_owned(),
            attempt: self.attempt,
            fence: self.fence,
            nonce,
            trace: None,
        };
        self.run_as(&found, args.to_string(), job, &self.clock, found.policy.timeout).await
    }

    /// The same for a job that is known already, on a clock and within a limit of its own.
    pub(super) async fn run_as(
        &self,
        kind: &Kind,
        args: String,
        job: ThisJob,
        clock: &Clock,
        limit: Duration,
    ) -> JobResult<Value> {
        let cache = match &self.cache {
            Some(store) => store.clone(),
            None => Store::open(NOWHERE)?.with_patience(Duration::ZERO),
        };
        let (config, db) = (Arc::clone(&self.config), self.db.clone());
        let reach = Arc::new(Reach::new(config, db, cache, clock.clone()));
        let ctx = Arc::new(JobContext { job, reach, stop: self.stop.clone(), reporter: Reporter::silent() });
        let late = |_| JobError::retry(format!("the handler took longer than {limit:?} and was stopped"));
        let errand = Errand { place: ctx.job.trace, ..Errand::default() };
        let run = errand.around(self.catalog.run(kind, args, ctx));
        tokio::time::timeout(limit, run).await.map_err(late)?
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

fn unknown(kind: &str) -> String {
    format!("there is no kind `{kind}` in the catalogue of this test")
}
