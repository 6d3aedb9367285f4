//! How an application enqueues: through a trait, so that its tests can put something else in its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brasa_shared::clock::Clock;
use brasa_shared::queue::{Enqueued, Envelope, EnvelopeError, Fleet, Queue, QueueError};
use brasa_shared::seal::Keyring;
use brasa_shared::store::{Fault, Store, StoreError};
use brasa_shared::telemetry::spans;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::job::Job;

/// Why a job was not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The arguments are not what the kind reads.
    #[error("the arguments do not fit the kind `{kind}`: {why}")]
    Args {
        /// The kind.
        kind: &'static str,
        /// What is wrong, in words.
        why: String,
    },
    /// The job cannot be put into words.
    #[error("the job cannot be enqueued")]
    Envelope(#[from] EnvelopeError),
    /// The queue did not take it.
    #[error("the job could not be enqueued")]
    Queue(#[from] QueueError),
    /// Redis did not take the name of the queue.
    #[error("the queue could not be named")]
    Store(#[from] StoreError),
}

/// Where an application puts its jobs: [`Queues`] in production, and
/// [`Captured`](crate::testing::Captured) in a test.
///
/// ```
/// use brasa_jobs::{Clock, EnqueueError, Enqueuer, Job, job_of};
/// # use brasa_jobs::{JobContext, JobResult, Policy};
/// # use serde::Deserialize;
/// use serde_json::json;
/// # #[derive(Deserialize)]
/// # struct Settle { invoice: i64 }
/// # impl Job for Settle {
/// #     const KIND: &'static str = "invoice.settle";
/// #     const ABOUT: &'static str = "Marks an invoice as settled";
/// #     const POLICY: Policy = Policy::new();
/// #     async fn run(&self, _: &JobContext) -> JobResult<serde_json::Value> { Ok(json!(self.invoice)) }
/// # }
///
/// /// A function of an application that enqueues.
/// async fn paid(jobs: &dyn Enqueuer, invoice: i64) -> Result<(), EnqueueError> {
///     let job = job_of::<Settle>(&json!({ "invoice": invoice }), &Clock::System)?;
///     jobs.enqueue(Settle::POLICY.queue, job).await?;
///     Ok(())
/// }
/// ```
pub trait Enqueuer: Send + Sync {
    /// Enqueues one job.
    ///
    /// # Errors
    /// The job breaks a rule, or it could not be taken.
    fn enqueue<'a>(&'a self, queue: &'a str, job: Envelope) -> BoxFuture<'a, Result<Enqueued, EnqueueError>>;
}

/// A job of a kind, with a fresh id and the kind's version, enqueued now. Its other fields are yours to set:
/// `job.due`, `job.unique` and so on. Made by a handler, it is in the trace of the handler's job.
///
/// # Errors
/// The arguments are not what the kind reads: what a worker would bury is refused here.
pub fn job_of<J: Job>(args: &impl Serialize, clock: &Clock) -> Result<Envelope, EnqueueError> {
    let unfit = |error: serde_json::Error| EnqueueError::Args { kind: J::KIND, why: error.to_string() };
    let args = serde_json::to_value(args).map_err(unfit)?;
    let mut job = Envelope::new(J::KIND, &args, clock.now())?;
    job.kv = J::VERSION;
    job.trace = spans::place().map(|place| place.to_string());
    serde_json::from_value::<J>(args).map_err(unfit)?;
    Ok(job)
}

/// The queues of a Redis.
#[derive(Debug)]
pub struct Queues {
    store: Store,
    prefix: String,
    clock: Clock,
    keyring: Option<Arc<Keyring>>,
    /// Those that were used, so that callers who enqueue at the same time share a round trip.
    used: Mutex<BTreeMap<String, Queue>>,
}

impl Queues {
    /// The queues of the Redis at `url`, under the prefix of the workers (`[redis] prefix`, `brasa` where
    /// nothing is said). Connects when first used.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn open(url: &str, prefix: &str) -> Result<Self, StoreError> {
        Ok(Self::new(Store::open(url)?, prefix, Clock::System))
    }

    /// The same over a connection that there is already, on a clock of your choice.
    pub fn new(store: Store, prefix: &str, clock: Clock) -> Self {
        Self { store, prefix: prefix.to_owned(), clock, keyring: None, used: Mutex::default() }
    }

    /// One of them.
    pub fn queue(&self, name: &str) -> Queue {
        let used = self.used().get(name).cloned();
        used.unwrap_or_else(|| {
            let queue = Queue::new(self.store.clone(), &self.prefix, name, self.clock.clone());
            match &self.keyring {
                Some(keyring) => queue.sealing(Arc::clone(keyring)),
                None => queue,
            }
        })
    }

    /// The same with keys: what is put into them from now on is sealed, as `docs/encryption.md` says.
    #[must_use]
    pub fn sealing(mut self, keyring: Arc<Keyring>) -> Self {
        self.keyring = Some(keyring);
        self.used().clear();
        self
    }

    /// The same with this queue as it is given: with what it may hold, say.
    #[must_use]
    pub fn with(self, queue: Queue) -> Self {
        self.used().insert(queue.name().to_owned(), queue);
        self
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<String, Queue>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A queue that others can list; before anything is put into it, so that `brasa queues list` shows it.
    async fn named(&self, name: &str) -> Result<Queue, StoreError> {
        let used = self.used().get(name).cloned();
        if let Some(queue) = used {
            return Ok(queue);
        }
        let queue = self.queue(name);
        let fleet = Fleet::new(self.store.clone(), &self.prefix, self.clock.clone());
        match fleet.add_queue(name).await {
            // A full Redis takes no name, and says so better about the job.
            Err(error) if error.fault == Fault::OutOfMemory => return Ok(queue),
            answer => answer?,
        }
        Ok(self.used().entry(name.to_owned()).or_insert(queue).clone())
    }
}

impl Enqueuer for Queues {
    fn enqueue<'a>(
        &'a self,
        queue: &'a str,
        mut job: Envelope,
    ) -> BoxFuture<'a, Result<Enqueued, EnqueueError>> {
        Box::pin(async move {
            // What a handler enqueues is in the trace of its job.
            job.trace = job.trace.or_else(|| spans::place().map(|place| place.to_string()));
            Ok(self.named(queue).await?.enqueue(&job).await?)
        })
    }
}
