//! What a handler can reach.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use brasa_shared::cache::Caches;
use brasa_shared::clock::Clock;
use brasa_shared::config::Config;
use brasa_shared::store::Store;
use brasa_shared::telemetry::spans::Spans;
use brasa_shared::trace::Trace;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::cache::Loaders;
use crate::connection::Connection;
use crate::http::Callers;
use crate::reporter::Reporter;
use crate::verdict::{JobError, JobResult, Verdict};

/// How long a job waits for a database that is away, on average.
const AWAY: Duration = Duration::from_secs(2);

/// What all jobs of a process share.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The configuration.
    pub config: Arc<Config>,
    /// The application's Postgres, where an address was given.
    pub db: Option<PgPool>,
    /// The application's Redis, for cache entries.
    pub cache: Store,
    /// The time.
    pub clock: Clock,
    /// A replica of the application's Postgres, where an address was given.
    pub replica: Option<PgPool>,
    /// Where spans of traces are begun; nowhere unless somebody collects them.
    pub spans: Spans,
    loaders: OnceLock<Arc<Loaders>>,
    callers: Arc<Callers>,
}

impl Reach {
    /// What all jobs of a process share.
    pub fn new(config: Arc<Config>, db: Option<PgPool>, cache: Store, clock: Clock) -> Self {
        let (loaders, callers) = (OnceLock::new(), Arc::default());
        Self { config, db, cache, clock, replica: None, spans: Spans::default(), loaders, callers }
    }

    /// The same with a replica to read from.
    #[must_use]
    pub fn with_replica(mut self, replica: Option<PgPool>) -> Self {
        self.replica = replica;
        self
    }

    /// The same with spans that are collected.
    #[must_use]
    pub fn with_spans(mut self, spans: Spans) -> Self {
        self.spans = spans;
        self
    }

    /// What endpoints are called with.
    pub(crate) fn callers(&self) -> &Callers {
        &self.callers
    }

    /// What all loads of cached values share; none without Postgres.
    pub fn loaders(&self) -> Option<&Arc<Loaders>> {
        let primary = self.db.as_ref()?;
        Some(self.loaders.get_or_init(|| {
            let caches = Caches::new(self.cache.clone(), &self.config.redis.prefix, self.clock.clone());
            Arc::new(Loaders::new(&self.config, caches, primary.clone(), self.replica.clone()))
        }))
    }
}

/// The job that a handler runs, as far as it concerns the handler.
#[derive(Debug, Clone)]
pub struct ThisJob {
    /// Its id.
    pub id: String,
    /// Its kind, as it was enqueued.
    pub kind: String,
    /// The how-manieth attempt this is, from 1.
    pub attempt: u32,
    /// A number that only grows from claim to claim of the queue: an effect that compares it in its own
    /// transaction cannot be undone by a holder that has been given up.
    pub fence: i64,
    /// The secret of this claim.
    pub nonce: String,
    /// The place of this attempt in the trace of who enqueued it, where that said one.
    pub trace: Option<Trace>,
}

/// What a handler can reach.
#[derive(Debug)]
pub struct JobContext {
    /// The job itself.
    pub job: ThisJob,
    /// What all jobs share.
    pub reach: Arc<Reach>,
    /// Fires when the job is to stop: it was cancelled, its lease was lost, or the worker's grace ends.
    pub stop: CancellationToken,
    /// Where it says how far it is.
    pub reporter: Reporter,
}

impl JobContext {
    /// The application's Postgres.
    ///
    /// # Errors
    /// No address was given.
    pub fn db(&self) -> JobResult<&PgPool> {
        let missing =
            || JobError::new(Verdict::Bury, "no address of Postgres: set DATABASE_URL or [postgres] url");
        self.reach.db.as_ref().ok_or_else(missing)
    }

    /// A connection to the application's Postgres. Where there is none to be had, the job comes back a
    /// little later without using an attempt: a full pool or a database that is away is not its fault.
    ///
    /// # Errors
    /// No address was given, or no connection came in time.
    pub async fn connection(&self) -> JobResult<Connection> {
        self.db()?.acquire().await.map(Connection::new).map_err(no_connection)
    }

    /// Says that this share of the work is done, between 0 and 1, and what it is at. It is shown with the job.
    pub async fn progress(&self, share: f64, text: &str) {
        self.reporter.progress(share, text).await;
    }

    /// Adds a line to the log that is kept with the job. Use `tracing` for what belongs into the worker's own.
    pub async fn log(&self, line: &str) {
        self.reporter.log(line).await;
    }

    /// Stops here if the job is to stop.
    ///
    /// # Errors
    /// It is to stop.
    pub fn go_on(&self) -> JobResult {
        if self.stop.is_cancelled() { Err(JobError::retry("stopped before it was through")) } else { Ok(()) }
    }
}

/// What it means for a job that there was no connection to be had.
pub(crate) fn no_connection(error: sqlx::Error) -> JobError {
    let pause = AWAY.mul_f64(0.5 + rand::random::<f64>());
    // A wrong password or a missing database does not mend itself by waiting.
    let verdict = if is_refusal(&error) { Verdict::Retry } else { Verdict::Snooze(pause) };
    JobError { verdict, cause: anyhow::Error::new(error).context("could not get a connection to Postgres") }
}

/// Whether Postgres answered and refused us, for another reason than being full (class 53) or on its way up
/// or down (class 57).
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| !code.starts_with("53") && !code.starts_with("57"))
}
