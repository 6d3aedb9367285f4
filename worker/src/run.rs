//! One worker, from start to drained.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use apalis::prelude::{Task, WorkerBuilder, WorkerBuilderExt};
use brasa_jobs::{Catalog, Reach};
use brasa_shared::queue::{Claimant, Fleet, Queue, WorkerInfo};
use brasa_shared::telemetry::server::{Progress, Pulse};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::claim::{Claimer, Job, hear};
use crate::dispatch::Dispatch;
use crate::drain::Shutdown;
use crate::feed::Feed;
use crate::housekeep::Housekeeper;
use crate::leases::Leases;
use crate::outbox::{self, Outbox};
use crate::settle::Settler;

/// After running jobs were told to stop, how long handing them back may take.
const HAND_BACK: Duration = Duration::from_secs(3);

/// What a worker needs to know.
pub struct Settings {
    /// The queues, with their weights.
    pub queues: Vec<(Queue, u32)>,
    /// What the processes know of one another.
    pub fleet: Fleet,
    /// The kinds that it can run.
    pub catalog: Catalog,
    /// What handlers can reach.
    pub reach: Arc<Reach>,
    /// How many jobs run at once.
    pub concurrency: usize,
    /// How long a lease lasts.
    pub lease: Duration,
    /// How long running jobs may go on once a drain was asked for.
    pub shutdown_grace: Duration,
    /// After how many crashes a job is quarantined.
    pub crashes_max: u32,
    /// End once nothing is waiting, delayed or running.
    pub until_empty: bool,
    /// The outbox to relay, where there is to be one.
    pub outbox: Option<outbox::Settings>,
}

/// How a worker shows that it makes progress.
#[derive(Debug, Clone, Default)]
pub struct Pulses {
    claiming: Pulse,
    housekeeping: Pulse,
}

impl Pulses {
    /// Parts of a process' progress.
    pub fn of(progress: &mut Progress) -> Self {
        Self { claiming: progress.part("claiming"), housekeeping: progress.part("housekeeping") }
    }
}

/// What a worker has done in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs done.
    pub done: u64,
    /// Attempts that failed.
    pub failed: u64,
}

/// Why a worker could not run. Faults of Redis or Postgres never are a reason.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The system gives no thread for the leases.
    #[error("could not start the thread that renews leases")]
    Thread(#[source] std::io::Error),
    /// apalis ended the worker.
    #[error("the worker ended by itself: {0}")]
    Ended(String),
}

/// Runs a worker until it is told to end, or its queues are empty where that was asked for.
///
/// # Errors
/// See [`WorkerError`].
pub async fn run(settings: Settings, pulses: Pulses, shutdown: Shutdown) -> Result<Tally, WorkerError> {
    let info = describe(&settings);
    tracing::info!(worker = info.worker, queues = ?info.queues, concurrency = info.concurrency, "worker starts");
    let queues: Vec<Queue> = settings.queues.iter().map(|(queue, _)| queue.clone()).collect();
    let leases = Leases::new(&info.worker, settings.lease);
    let stopped = CancellationToken::new();
    leases.start(stopped.clone()).map_err(WorkerError::Thread)?;
    let (outbox, outbox_tasks) = Outbox::start(settings.outbox.clone(), &shutdown.drain);
    let dispatch = Arc::new(Dispatch {
        catalog: settings.catalog.clone(),
        reach: Arc::clone(&settings.reach),
        leases: leases.clone(),
        settler: Settler::start(settings.concurrency),
        outbox: outbox.clone(),
        worker: info.worker.clone(),
        done: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let slots = Arc::new(Semaphore::new(settings.concurrency));
    let (send, receive) = mpsc::channel(settings.concurrency);
    let wake = Arc::new(Notify::new());
    let claimer = Claimer {
        queues: settings.queues.clone(),
        claimant: claimant(&info, settings.lease),
        slots: Arc::clone(&slots),
        concurrency: settings.concurrency,
        jobs: send,
        leases: leases.clone(),
        wake: Arc::clone(&wake),
        pulse: pulses.claiming,
        stop: shutdown.drain.clone(),
    };
    let housekeeper = housekeeper(&settings, &info, pulses.housekeeping, stopped.clone());
    let keeping = tokio::spawn(housekeeper.run());
    let hearing = tokio::spawn(hear(queues.clone(), wake, leases.clone()));
    if settings.until_empty {
        tokio::spawn(end_when_empty(over_own_connection(&queues), outbox, shutdown.clone()));
    }
    let claiming = tokio::spawn(claimer.run());
    let end = shutdown.drain.clone();
    let drained = drain(shutdown, slots, settings.concurrency, leases, settings.shutdown_grace);
    let ended = work(&info.worker, receive, Arc::clone(&dispatch), settings.concurrency, drained).await;
    // However it ended, nothing more is to be claimed.
    end.cancel();
    stopped.cancel();
    hearing.abort();
    // All end by themselves now; a panic in any has been logged by the runtime already.
    drop(tokio::join!(claiming, keeping, outbox_tasks.end()));
    if let Err(error) = settings.fleet.leave(&info.worker).await {
        tracing::debug!(%error, "could not sign off");
    }
    let tally = dispatch.tally();
    tracing::info!(worker = info.worker, done = tally.done, failed = tally.failed, "worker ended");
    ended.map(|()| tally)
}

/// Hands the feed to apalis and waits until everything is drained. Each job gets a task of its own: one that
/// computes for long must not keep the others from being polled.
async fn work(
    name: &str,
    jobs: mpsc::Receiver<Job>,
    dispatch: Arc<Dispatch>,
    concurrency: usize,
    drained: impl Future<Output = ()> + Send + 'static,
) -> Result<(), WorkerError> {
    let handle = move |task: Task<Job>| {
        let running = tokio::spawn(Arc::clone(&dispatch).handle(task.args));
        async move { running.await.map_err(std::io::Error::other) }
    };
    let worker = WorkerBuilder::new(name.to_owned())
        .backend(Feed(jobs))
        .concurrency(concurrency)
        .build(tower::service_fn(handle));
    let over = CancellationToken::new();
    let signal = {
        let over = over.clone();
        async move {
            drained.await;
            over.cancel();
            Ok::<(), std::io::Error>(())
        }
    };
    let left_behind = async {
        over.cancelled().await;
        tokio::time::sleep(HAND_BACK).await;
    };
    tokio::select! {
        ended = worker.run_until(signal) => ended.map_err(|error| WorkerError::Ended(error.to_string())),
        // apalis waits for every handler, and one that blocks its thread would keep it waiting for ever.
        () = left_behind => Ok(()),
    }
}

/// Waits until the drain is asked for and every slot is free again: by itself within the grace period, else
/// by telling running jobs to stop.
async fn drain(
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
    concurrency: usize,
    leases: Leases,
    grace: Duration,
) {
    shutdown.drain.cancelled().await;
    let all = u32::try_from(concurrency).unwrap_or(u32::MAX);
    if leases.len() > 0 {
        tracing::info!(running = leases.len(), grace = ?grace, "draining");
    }
    tokio::select! {
        _ = slots.acquire_many(all) => return,
        () = tokio::time::sleep(grace) => {}
        () = shutdown.now.cancelled() => {}
    }
    leases.stop_all();
    if tokio::time::timeout(HAND_BACK, slots.acquire_many(all)).await.is_err() {
        tracing::warn!(running = leases.len(), "jobs that would not stop are left to their leases");
    }
}

/// Asks for the drain once nothing is waiting, delayed or running in any of the queues.
async fn end_when_empty(queues: Vec<Queue>, outbox: Outbox, shutdown: Shutdown) {
    let names: Vec<String> = queues.iter().map(|queue| queue.name().to_owned()).collect();
    let mut looked_empty = false;
    loop {
        // The outbox first: what leaves it is in a queue by then.
        let mut open = u64::from(outbox.has_waiting(&names).await);
        for queue in &queues {
            match queue.counts().await {
                Ok(counts) => open += counts.open(),
                Err(error) => {
                    tracing::debug!(%error, "cannot count jobs");
                    open += 1;
                }
            }
        }
        // Twice in a row: a kind that nobody knew of may have come in between two questions.
        if open == 0 && looked_empty {
            return shutdown.drain.cancel();
        }
        looked_empty = open == 0;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = shutdown.drain.cancelled() => return,
        }
    }
}

fn over_own_connection(queues: &[Queue]) -> Vec<Queue> {
    let Some(first) = queues.first() else { return Vec::new() };
    let store = first.store().apart();
    queues.iter().map(|queue| queue.clone().over(store.clone())).collect()
}

fn housekeeper(settings: &Settings, info: &WorkerInfo, pulse: Pulse, stop: CancellationToken) -> Housekeeper {
    let queues: Vec<Queue> = settings.queues.iter().map(|(queue, _)| queue.clone()).collect();
    Housekeeper {
        queues: over_own_connection(&queues),
        fleet: settings.fleet.clone(),
        info: info.clone(),
        crashes_max: settings.crashes_max,
        pulse,
        stop,
        unseen: HashMap::new(),
    }
}

fn claimant(info: &WorkerInfo, lease: Duration) -> Claimant {
    Claimant { worker: info.worker.clone(), classes: info.classes.clone(), lease }
}

fn describe(settings: &Settings) -> WorkerInfo {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(char::is_ascii_graphic).take(40).collect();
    let host = if host.is_empty() { "host".to_owned() } else { host };
    let pid = std::process::id();
    WorkerInfo {
        worker: format!("{host}-{pid}-{:08x}", rand::random::<u32>()),
        host,
        pid,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: settings.reach.clock.now().as_millisecond(),
        queues: settings.queues.iter().map(|(queue, _)| queue.name().to_owned()).collect(),
        classes: settings.catalog.classes(),
        concurrency: settings.concurrency,
    }
}
