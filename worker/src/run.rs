//! One worker, from start to drained.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{Task, WorkerBuilder, WorkerBuilderExt};
use brasa_jobs::{Catalog, Reach};
use brasa_shared::queue::{Claimant, Company, Fleet, Queue, Wake, WorkerInfo, listen};
use brasa_shared::telemetry::server::{Progress, Pulse};
use brasa_shared::telemetry::vitals::host_name;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::aggregates;
use crate::alarm::Alarm;
use crate::announce::Announce;
use crate::cache;
use crate::care;
use crate::claim::Claimer;
use crate::dispatch::Dispatch;
use crate::drain::{Emptiness, Shutdown, drain, end_when_empty};
use crate::feed::Feed;
use crate::gather::Gatherers;
use crate::history::{self, Historian};
use crate::housekeep::Housekeeper;
use crate::isolate::{Isolation, Isolator};
use crate::job::Job;
use crate::leases::Leases;
use crate::meters::{Meters, begin_at_zero};
use crate::order::Order;
use crate::outbox::{self, Outbox};
use crate::served::Served;
use crate::settle::{Ledger, Settler};
use crate::writes;

/// After running jobs were told to stop, how long handing them back may take.
pub(crate) const HAND_BACK: Duration = Duration::from_secs(3);
/// Words about jobs that may gather before handlers wait for Redis, for each job that runs at once.
const WORDS_PER_SLOT: usize = 4;

/// What a worker needs to know.
pub struct Settings {
    /// The queues, with their weights.
    pub queues: Vec<(Queue, u32)>,
    /// Which queue is served first.
    pub order: Order,
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
    /// How jobs are run apart that are suspected of taking workers down; without it they run among the others.
    pub isolation: Option<Isolation>,
    /// This worker runs such jobs and nothing else, and tells its parent which it begins.
    pub is_isolated: bool,
    /// The outbox to relay, where there is to be one.
    pub outbox: Option<outbox::Settings>,
    /// The cache to look after, where it is to be.
    pub cache: Option<cache::Settings>,
    /// What keeps aggregates, where there are some.
    pub aggregates: Option<aggregates::Settings>,
    /// What writes batches of rows that were handed over, where that is to be done.
    pub writes: Option<writes::Settings>,
    /// What writes down what became of jobs, where that is to be done. Queues say by themselves what is told of them.
    pub history: Option<history::Settings>,
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
    begin_at_zero(&settings.reach.config, settings.queues.iter().map(|(queue, _)| queue));
    let leases = Leases::new(&info.worker, settings.lease);
    let stopped = CancellationToken::new();
    leases.start(stopped.clone()).map_err(WorkerError::Thread)?;
    let cache = cache::Tasks::start(settings.cache.clone(), &settings.reach, &info.worker, &shutdown.drain);
    let aggregates = aggregates::Tasks::start(settings.aggregates.clone(), &settings.reach, &shutdown.drain);
    let writes = writes::Tasks::start(
        settings.writes.clone(),
        &settings.reach,
        (&info.worker, settings.lease),
        &shutdown.drain,
    );
    care::start(settings.reach.db.clone().filter(|_| !settings.is_isolated), &shutdown.drain);
    let (outbox, outbox_tasks) = Outbox::start(settings.outbox.clone(), &shutdown.drain);
    let dispatch = Arc::new(dispatch(&settings, &info, &leases, outbox.clone()));
    let meters = Arc::clone(&dispatch.meters);
    let slots = Arc::new(Semaphore::new(settings.concurrency));
    let (send, receive) = mpsc::channel(settings.concurrency);
    let alarm = Alarm::default();
    let hearing = tokio::spawn(hear(&settings, &info.worker, alarm.clone(), leases.clone()));
    let past = write_history(&settings, &info, &stopped).await;
    let claimer = claimer(&settings, &info, &slots, &leases, alarm, send, pulses.claiming, &shutdown);
    let keeping = housekeeper(&settings, &info, Arc::clone(&meters), pulses.housekeeping, &stopped);
    let keeping = tokio::spawn(keeping.run());
    if let Some(isolator) = isolator(&settings, &info, &stopped) {
        tokio::spawn(isolator.run());
    }
    if settings.until_empty {
        let emptiness =
            Emptiness { queues: over_own_connection(&settings), outbox, only_suspects: settings.is_isolated };
        tokio::spawn(end_when_empty(emptiness, shutdown.clone()));
    }
    let claiming = tokio::spawn(claimer.run());
    let end = shutdown.drain.clone();
    let drained = drain(shutdown, slots, settings.concurrency, leases, settings.shutdown_grace);
    let ended = work(&info.worker, receive, dispatch, settings.concurrency, drained).await;
    // However it ended, nothing more is to be claimed.
    end.cancel();
    stopped.cancel();
    hearing.abort();
    // All end by themselves now; a panic in any has been logged by the runtime already.
    drop(tokio::join!(claiming, keeping, outbox_tasks.end(), cache.end(), aggregates.end(), writes.end()));
    if let Some(past) = past {
        drop(past.await);
    }
    meters.tell(&settings.fleet.minutes()).await;
    if let Err(error) = settings.fleet.leave(&info.worker).await {
        tracing::debug!(%error, "could not sign off");
    }
    let tally = meters.tally();
    tracing::info!(worker = info.worker, done = tally.done, failed = tally.failed, "worker ended");
    ended.map(|()| tally)
}

fn dispatch(settings: &Settings, info: &WorkerInfo, leases: &Leases, outbox: Outbox) -> Dispatch {
    let meters = Arc::new(Meters::new(&settings.catalog, settings.queues.iter().map(|(queue, _)| queue)));
    let words = settings.concurrency.saturating_mul(WORDS_PER_SLOT);
    Dispatch {
        catalog: settings.catalog.clone(),
        reach: Arc::clone(&settings.reach),
        leases: leases.clone(),
        settler: Settler::start(words, &info.worker, Ledger { meters: Arc::clone(&meters), outbox }),
        gatherers: Gatherers::start(&settings.catalog),
        meters,
        announce: Announce(settings.is_isolated),
        worker: info.worker.clone(),
    }
}

#[expect(clippy::too_many_arguments, reason = "this is where everything that a worker has comes together")]
fn claimer(
    settings: &Settings,
    info: &WorkerInfo,
    slots: &Arc<Semaphore>,
    leases: &Leases,
    alarm: Alarm,
    jobs: mpsc::Sender<Vec<Job>>,
    pulse: Pulse,
    shutdown: &Shutdown,
) -> Claimer {
    Claimer {
        queues: settings.queues.iter().map(|(queue, share)| Served::new(queue.clone(), *share)).collect(),
        order: settings.order,
        claimant: claimant(settings, info),
        slots: Arc::clone(slots),
        concurrency: settings.concurrency,
        jobs,
        leases: leases.clone(),
        alarm,
        pulse,
        stop: shutdown.drain.clone(),
    }
}

fn housekeeper(
    settings: &Settings,
    info: &WorkerInfo,
    meters: Arc<Meters>,
    pulse: Pulse,
    stop: &CancellationToken,
) -> Housekeeper {
    Housekeeper {
        queues: over_own_connection(settings),
        fleet: settings.fleet.clone(),
        info: info.clone(),
        meters,
        crashes_max: settings.crashes_max,
        pulse,
        stop: stop.clone(),
        unseen: HashMap::new(),
    }
}

/// Starts to write down what became of jobs, where that is to be done.
async fn write_history(
    settings: &Settings,
    info: &WorkerInfo,
    stop: &CancellationToken,
) -> Option<JoinHandle<()>> {
    let historian = Historian {
        settings: settings.history.clone()?,
        queues: over_own_connection(settings),
        worker: info.worker.clone(),
        clock: settings.reach.clock.clone(),
        stop: stop.clone(),
    };
    historian.begin().await;
    Some(tokio::spawn(historian.run()))
}

fn isolator(settings: &Settings, info: &WorkerInfo, stop: &CancellationToken) -> Option<Isolator> {
    Some(Isolator {
        isolation: settings.isolation.clone()?,
        queues: over_own_connection(settings),
        claimant: claimant(settings, info),
        crashes_max: settings.crashes_max,
        stop: stop.clone(),
    })
}

/// Turns what Redis publishes into words for the claiming loop and stops of running jobs.
fn hear(
    settings: &Settings,
    worker: &str,
    alarm: Alarm,
    leases: Leases,
) -> impl Future<Output = ()> + Send + use<> {
    let names: Vec<String> = settings.queues.iter().map(|(queue, _)| queue.name().to_owned()).collect();
    let keys = settings.queues.iter().map(|(queue, _)| queue.keys().clone()).collect();
    let store = settings.queues.first().map(|(queue, _)| queue.store().apart());
    let worker = worker.to_owned();
    async move {
        let Some(store) = store else { return };
        let heard = |told| match told {
            Wake::Ready(place, lane) => alarm.ready(place, lane),
            Wake::Stop(place, id) => leases.stop_asked(names.get(place).map_or("", String::as_str), &id),
            Wake::HandedOver(place, jobs) => alarm.handed_over(place, jobs),
        };
        listen(store, keys, &worker, heard).await;
    }
}

/// Hands the feed to apalis and waits until everything is drained. Each job gets a task of its own: one that
/// computes for long must not keep the others from being polled.
async fn work(
    name: &str,
    jobs: mpsc::Receiver<Vec<Job>>,
    dispatch: Arc<Dispatch>,
    concurrency: usize,
    drained: impl Future<Output = ()> + Send + 'static,
) -> Result<(), WorkerError> {
    // The jobs of a claim come together; slots bound how many there are, and the drain waits for slots.
    let handle = move |task: Task<Vec<Job>>| {
        for job in task.args {
            // Boxed, for the runtime moves what it is given from place to place.
            tokio::spawn(Box::pin(Arc::clone(&dispatch).handle(job)));
        }
        std::future::ready(Ok::<(), std::io::Error>(()))
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

fn over_own_connection(settings: &Settings) -> Vec<Queue> {
    let Some((first, _)) = settings.queues.first() else { return Vec::new() };
    let store = first.store().apart();
    settings.queues.iter().map(|(queue, _)| queue.clone().over(store.clone())).collect()
}

fn claimant(settings: &Settings, info: &WorkerInfo) -> Claimant {
    let company = match (settings.is_isolated, &settings.isolation) {
        (true, _) => Company::Suspects,
        (false, Some(_)) => Company::Trusted,
        (false, None) => Company::Mixed,
    };
    Claimant { worker: info.worker.clone(), classes: info.classes.clone(), lease: settings.lease, company }
}

fn describe(settings: &Settings) -> WorkerInfo {
    let host = host_name();
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
        keys: settings
            .queues
            .iter()
            .find_map(|(queue, _)| Some(queue.keyring()?.prints()))
            .unwrap_or_default(),
    }
}
