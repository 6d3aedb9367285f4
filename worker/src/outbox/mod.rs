//! The outbox: jobs that were enqueued in SQL, inside of an application's own transaction.
//!
//! ```text
//! brasa.enqueue ──► brasa.outbox ──► relay ──► Redis ──► a worker runs it ──► record: the row goes
//!                    (Postgres)        ▲                        │
//!                                      └────── reconcile ◄──────┘ what Redis has lost is pushed again
//! ```
//!
//! A row leaves Postgres when the transaction that put it in has committed, and is deleted when the outcome of
//! its job is recorded. Its id is the job's id, and Redis knows an id or does not: so pushing twice is pushing
//! once, and everything here may die at any line and be begun again by anybody.
//!
//! What this is not: it does not order jobs, and it does not make them run once only. A worker that dies
//! between the outcome and the deletion leaves a row behind; as long as Redis remembers the outcome, the row is
//! deleted, and no longer: then the job runs again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brasa_shared::db::outbox::OutboxTable;
use brasa_shared::queue::{Queue, QueueError};
use brasa_shared::telemetry::logs::chain;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod hear;
mod reconcile;
mod record;
mod relay;
mod report;

/// How often a database without the table is looked at.
const LOOK_FOR_TABLE: Duration = Duration::from_mins(1);
/// How long to wait after a look that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long Postgres may take for anything that is asked here. Longer than a pool waits for a connection.
const DATABASE_WITHIN: Duration = Duration::from_secs(10);
/// How long Redis may be waited for by those who can come back: rows are safe where they are.
const REDIS_PATIENCE: Duration = Duration::from_secs(1);
/// Ends of jobs that are held while Postgres is away. More are dropped: reconciliation finds them.
const ENDED_MAX: usize = 100_000;

/// What the outbox of a worker needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the rows are.
    pub table: OutboxTable,
    /// The queues that rows are relayed into: all of the configuration, not only those that this worker serves.
    pub queues: Vec<Queue>,
    /// How often it looks.
    pub pace: Pace,
}

/// How often the outbox looks at what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often rows are looked for where no notification came.
    pub poll: Duration,
    /// How often one worker of all looks after rows that are on their way.
    pub reconcile_every: Duration,
    /// How long a row is on its way before it is looked after.
    pub reconcile_after: Duration,
    /// How long a job must be unknown to Redis before it counts as lost. What a worker has to record when
    /// Postgres comes back is recorded within that time: longer than one try and the pause behind it.
    pub second_look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            reconcile_every: Duration::from_secs(30),
            reconcile_after: Duration::from_secs(30),
            second_look: Duration::from_secs(15),
        }
    }
}

/// Why something could not be done. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("postgres did not do what the outbox asked")]
    Database(#[from] sqlx::Error),
    #[error("postgres did not answer the outbox in time")]
    Late,
    #[error("redis did not answer the outbox in time")]
    RedisLate,
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Trouble {
    fn is_of_redis(&self) -> bool {
        matches!(self, Self::RedisLate | Self::Queue(_))
    }
}

/// What Postgres says, in time.
async fn ask<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Trouble> {
    let answer = tokio::time::timeout(DATABASE_WITHIN, asked).await;
    answer.map_err(|_| Trouble::Late)?.map_err(Trouble::from)
}

/// The outbox as the rest of a worker sees it. Without Postgres, or where it is switched off, it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    table: OutboxTable,
    ended: mpsc::Sender<String>,
    overflowing: AtomicBool,
}

/// The tasks of an outbox.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    attending: Option<JoinHandle<()>>,
    recording: Option<(JoinHandle<()>, CancellationToken)>,
}

impl Outbox {
    /// Starts to relay, until `stop`. This is the only place that decides whether there is an outbox: where a
    /// worker was given one, and the database has the table.
    pub(crate) fn start(settings: Option<Settings>, stop: &CancellationToken) -> (Self, Tasks) {
        let Some(mut settings) = settings else { return (Self(None), Tasks::default()) };
        if let Some(first) = settings.queues.first() {
            let store = first.store().apart().with_patience(REDIS_PATIENCE);
            settings.queues = settings.queues.into_iter().map(|queue| queue.over(store.clone())).collect();
        }
        let (send, receive) = mpsc::channel(ENDED_MAX);
        let closing = CancellationToken::new();
        let recording = tokio::spawn(record::run(settings.table.clone(), receive, closing.clone()));
        let inner = Inner { table: settings.table.clone(), ended: send, overflowing: AtomicBool::new(false) };
        let attending = tokio::spawn(attend(settings, stop.clone()));
        let tasks = Tasks { attending: Some(attending), recording: Some((recording, closing)) };
        (Self(Some(Arc::new(inner))), tasks)
    }

    /// Says that a job which came through the outbox has ended for good, so that its row can go. Waits for
    /// nothing; what is dropped here is found by reconciliation.
    pub fn ended(&self, id: &str) {
        let Some(inner) = &self.0 else { return };
        let is_full = inner.ended.try_send(id.to_owned()).is_err();
        if is_full && !inner.overflowing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "ends of jobs cannot be recorded in the outbox fast enough; they are left to its reconciliation"
            );
        } else if !is_full {
            inner.overflowing.store(false, Ordering::Relaxed);
        }
    }

    /// Whether rows wait for any of these queues. Where nobody can say, they may.
    pub(crate) async fn has_waiting(&self, queues: &[String]) -> bool {
        let Some(inner) = &self.0 else { return false };
        match ask(inner.table.exists()).await {
            Ok(false) => false,
            Ok(true) => ask(inner.table.has_waiting(queues)).await.unwrap_or(true),
            Err(error) => {
                tracing::debug!(error = %chain(&error), "cannot look into the outbox");
                true
            }
        }
    }
}

impl Tasks {
    /// Waits until the ends of all jobs are recorded that have been told, for a moment. Relaying was told to
    /// stop by then.
    pub(crate) async fn end(self) {
        if let Some(attending) = self.attending {
            attending.abort();
        }
        if let Some((recording, closing)) = self.recording {
            closing.cancel();
            // It ends by itself; a panic in it has been logged by the runtime already.
            drop(recording.await);
        }
    }
}

/// Waits for the table, and does everything that is to be done about it until `stop`.
async fn attend(settings: Settings, stop: CancellationToken) {
    let all = async {
        wait_for_table(&settings.table).await;
        let wake = Arc::new(Notify::new());
        tokio::join!(
            relay::Relay::new(&settings, Arc::clone(&wake)).run(),
            hear::run(&settings.table, &wake),
            reconcile::Reconciler::new(&settings, Arc::clone(&wake)).run(),
            report::run(&settings),
        );
    };
    // Wherever it stands, it may be dropped: an open transaction is rolled back, and its rows wait again.
    tokio::select! {
        () = all => {}
        () = stop.cancelled() => {}
    }
}

async fn wait_for_table(table: &OutboxTable) {
    let mut told = false;
    loop {
        let pause = match ask(table.exists()).await {
            Ok(true) => return,
            Ok(false) if told => LOOK_FOR_TABLE,
            Ok(false) => {
                told = true;
                tracing::warn!(
                    "this database has no outbox, so nothing that is enqueued in SQL would be run; run `brasa migrate`, \
                     or write [outbox] enabled = false"
                );
                LOOK_FOR_TABLE
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot look for the outbox; trying again");
                LOOK_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}
