//! Keeping leases alive, on a thread, a runtime and a connection of their own.
//!
//! A lease must not be kept by what it watches: a handler that blocks every thread of the main runtime, or a
//! drain that waits for one long job, would otherwise let it run out, and the job would run twice. The
//! other half of the bargain: when renewing fails for too long, the job is told to stop *before* the lease
//! ends, for after that it may be somebody else's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use brasa_shared::queue::{ClaimedJob, Held, Queue, QueueError, Renewal};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use futures_util::future::join_all;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::job::Job;

/// Why a running job is to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Somebody cancelled it.
    Cancelled,
    /// Its lease was lost, or could not be renewed in time.
    LeaseLost,
    /// The worker ends.
    Shutdown,
}

/// How a running job is told to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopSign {
    pub(crate) token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl StopSign {
    /// Tells it; the first reason stands.
    pub(crate) fn raise(&self, reason: StopReason) {
        if self.reason.set(reason).is_ok() {
            self.token.cancel();
        }
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.get().cloned()
    }
}

#[derive(Debug)]
struct Watched {
    queue: Queue,
    held: Held,
    trust_until: Instant,
    sign: StopSign,
}

/// The jobs that this process holds, in the order in which they were claimed.
#[derive(Debug, Clone)]
pub(crate) struct Leases {
    watched: Arc<Mutex<HashMap<u64, Watched>>>,
    next: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
    lease: Duration,
    worker: Arc<str>,
}

/// Keeps one lease alive until it is dropped, which happens whichever way the job ends.
#[derive(Debug)]
pub(crate) struct Watch {
    leases: Leases,
    key: u64,
    pub(crate) sign: StopSign,
}

impl Watch {
    /// Whether the lease was renewed lately enough to begin something under it. The process may have been
    /// stopped between the claim and now.
    pub(crate) fn is_trusted(&self) -> bool {
        self.leases.lock().get(&self.key).is_some_and(|job| job.trust_until > Instant::now())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.key);
    }
}

impl Leases {
    /// The leases of `worker`, which last `lease` from each renewal.
    pub(crate) fn new(worker: &str, lease: Duration) -> Self {
        Self {
            watched: Arc::default(),
            next: Arc::default(),
            ending: Arc::default(),
            lease,
            worker: worker.into(),
        }
    }

    /// Watches over the jobs of a claim from now on.
    pub(crate) fn watch_all(&self, queue: &Queue, jobs: Vec<(ClaimedJob, OwnedSemaphorePermit)>) -> Vec<Job> {
        let mut watched = self.lock();
        let mut watch = |claimed: ClaimedJob, slot| {
            let key = self.next.fetch_add(1, Ordering::Relaxed);
            let sign = StopSign::default();
            let held = Held { id: claimed.id.clone(), nonce: Arc::clone(&claimed.nonce) };
            let trust_until = claimed.asked + self.trusted();
            watched.insert(key, Watched { queue: queue.clone(), held, trust_until, sign: sign.clone() });
            // A claim that was under way when everything was told to stop.
            if self.ending.load(Ordering::SeqCst) {
                sign.raise(StopReason::Shutdown);
            }
            Job { claimed, queue: queue.clone(), watch: Watch { leases: self.clone(), key, sign }, slot }
        };
        jobs.into_iter().map(|(claimed, slot)| watch(claimed, slot)).collect()
    }

    /// Tells a job that somebody cancelled it, if it runs here.
    pub(crate) fn stop_asked(&self, queue: &str, id: &str) {
        let watched = self.lock();
        let asked = watched.values().filter(|job| job.held.id == id && job.queue.name() == queue);
        asked.for_each(|job| job.sign.raise(StopReason::Cancelled));
    }

    /// Tells every job, and those that are still to come, that the worker ends.
    pub(crate) fn stop_all(&self) {
        self.ending.store(true, Ordering::SeqCst);
        for job in self.lock().values() {
            job.sign.raise(StopReason::Shutdown);
        }
    }

    /// How many jobs are held.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits until no job is held any more.
    pub(crate) async fn none(&self) {
        while self.len() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Starts the thread that renews, and stops what was not renewed in time, until `stop` fires.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(&self, stop: CancellationToken) -> std::io::Result<()> {
        let leases = self.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let keep = move || {
            runtime.block_on(async { tokio::join!(leases.keep(&stop), leases.doubt(&stop)) });
        };
        std::thread::Builder::new().name("leases".to_owned()).spawn(keep).map(drop)
    }

    /// A renewal every sixth of a lease: five may fail before the sixth has to succeed.
    fn period(&self) -> Duration {
        self.lease / 6
    }

    /// How long a job may go on after its lease was last known to be renewed: a sixth less than the lease,
    /// for it needs time to stop.
    fn trusted(&self) -> Duration {
        self.lease.saturating_sub(self.lease / 6)
    }

    /// What is left of a lease for a job to stop in, once it is told to because its lease could not be renewed.
    pub(crate) fn margin(&self) -> Duration {
        self.lease / 12
    }

    /// Beside renewing and not after it, for that may hang as long as the network does.
    async fn doubt(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.lease / 60) => self.stop_untrusted(),
                () = stop.cancelled() => return,
            }
        }
    }

    async fn keep(&self, stop: &CancellationToken) {
        let mut stores = HashMap::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.period()) => {}
                () = stop.cancelled() => return,
            }
            let renewing = self.by_queue().into_iter().map(|(queue, held)| {
                // Over our own connection: renewals do not wait behind payloads.
                let own = stores.entry(queue.store().address().to_owned());
                let store = own.or_insert_with(|| queue.store().apart()).clone().with_patience(self.period());
                self.renew(queue.over(store), held)
            });
            // Side by side: a queue that hangs must not keep the others waiting.
            join_all(renewing.collect::<Vec<_>>()).await;
        }
    }

    async fn renew(&self, queue: Queue, jobs: Vec<(u64, Held)>) {
        let asked = Instant::now();
        let (keys, held): (Vec<u64>, Vec<Held>) = jobs.into_iter().unzip();
        let renewed = async {
            let answers = queue.renew(&held, self.lease).await?;
            queue.keep_company(&self.worker, self.len()).await?;
            Ok::<_, QueueError>(answers)
        };
        match tokio::time::timeout(self.period(), renewed).await {
            Ok(Ok(answers)) => self.note(&keys, &answers, asked),
            Ok(Err(error)) => {
                metrics::redis_faults_total("renew").increment(1);
                tracing::warn!(error = %chain(&error), "cannot renew leases");
            }
            Err(_) => {
                metrics::redis_faults_total("renew").increment(1);
                tracing::warn!(queue = queue.name(), "renewing leases takes too long");
            }
        }
    }

    fn by_queue(&self) -> Vec<(Queue, Vec<(u64, Held)>)> {
        let mut queues: HashMap<String, (Queue, Vec<(u64, Held)>)> = HashMap::new();
        for (key, job) in self.lock().iter() {
            let entry = queues.entry(job.queue.name().to_owned());
            entry.or_insert_with(|| (job.queue.clone(), Vec::new())).1.push((*key, job.held.clone()));
        }
        queues.into_values().collect()
    }

    fn note(&self, keys: &[u64], answers: &[Renewal], asked: Instant) {
        let mut watched = self.lock();
        for (key, answer) in keys.iter().zip(answers) {
            // Settled in the meantime: then `Lost` is no news.
            let Some(job) = watched.get_mut(key) else { continue };
            match answer {
                Renewal::Renewed => job.trust_until = asked + self.trusted(),
                Renewal::Lost => job.sign.raise(StopReason::LeaseLost),
                Renewal::StopAsked => {
                    job.trust_until = asked + self.trusted();
                    job.sign.raise(StopReason::Cancelled);
                }
            }
        }
    }

    fn stop_untrusted(&self) {
        let now = Instant::now();
        for job in self.lock().values().filter(|job| job.trust_until <= now) {
            job.sign.raise(StopReason::LeaseLost);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
