//! The demo's application: it reads the caches as an application would, mostly with a plain `GET`, and enqueues a
//! job for what it need not do itself. One of its readers is the library's own, which counts what it finds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brasa_jobs::aggregates::install;
use brasa_shared::cache::{Cache, Warmed};
use brasa_shared::queue::{Envelope, Queue, State};
use brasa_shared::store::Store;
use brasa_worker::Shutdown;
use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::failure::{Failure, chain};

/// How many readers there are, and how long each rests between two requests.
const READERS: usize = 4;
const READ_EVERY: Duration = Duration::from_millis(4);
/// The warmer whose reads are counted.
const COUNTED: &str = "airlines";
/// How often a search is recorded, and how many at once.
const SEARCH_EVERY: Duration = Duration::from_millis(50);
const SEARCHES: usize = 5;
/// How long the first warming may take.
const WARM_MAX: Duration = Duration::from_mins(1);

const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];
const DESTINATIONS: [&str; 12] =
    ["ATL", "BOS", "CLT", "DCA", "DEN", "FLL", "IAH", "LAX", "MCO", "MIA", "ORD", "SFO"];

/// What the readers met.
#[derive(Debug, Default)]
pub(super) struct Reads {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
}

impl Reads {
    /// Hits and misses so far.
    pub(super) fn count(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

/// The tasks of the application.
pub(super) struct Application(Vec<JoinHandle<()>>);

impl Application {
    /// Starts readers and searches; they end with the demo.
    pub(super) async fn start(app: &App, reads: Arc<Reads>, shutdown: &Shutdown) -> Result<Self, Failure> {
        let keys = Arc::new(keys(&app.store).await?);
        let mut tasks = Vec::with_capacity(READERS + 1);
        for _ in 0..READERS {
            let reader = read(app.store.apart(), Arc::clone(&keys), Arc::clone(&reads));
            tasks.push(spawn(reader, shutdown));
        }
        if let Some(url) = &app.config.redis.url {
            let cache = Cache::builder().without_l1().open(url.expose(), &app.config.redis.prefix)?;
            tasks.push(spawn(read_counted(cache.warmer(COUNTED), keys, reads), shutdown));
        }
        tasks.push(spawn(search(app.queue("default")), shutdown));
        Ok(Self(tasks))
    }

    /// Waits until all have ended.
    pub(super) async fn ended(self) {
        for task in self.0 {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a part of the demo's application broke");
            }
        }
    }
}

/// Work that goes on until the demo ends.
fn spawn(work: impl Future<Output = ()> + Send + 'static, shutdown: &Shutdown) -> JoinHandle<()> {
    let end = shutdown.drain.clone();
    tokio::spawn(async move {
        end.run_until_cancelled_owned(work).await;
    })
}

/// Every key that the warmers fill: what a real application would ask for.
async fn keys(store: &Store) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for pattern in ["board:*", "delays:*", "airline:*"] {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000);
            let (next, found): (u64, Vec<String>) = store.run("list cache entries", &scan).await?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
    }
    Ok(keys)
}

/// Has the dashboards' figures kept from now on: in real life a person says `brasa aggregates install`.
pub(super) async fn keep_figures(app: &App, pool: &PgPool) -> Result<(), Failure> {
    let mut connection = pool.acquire().await?;
    for (name, aggregate) in &app.config.aggregates {
        install(&mut connection, name, aggregate, false)
            .await
            .map_err(|error| Failure::environment(chain(&error)))?;
    }
    Ok(())
}

async fn read(store: Store, keys: Arc<Vec<String>>, reads: Arc<Reads>) {
    loop {
        let Some(key) = keys.get(rand::random_range(0..keys.len().max(1))) else { return };
        match store.run::<Option<Vec<u8>>>("read the cache", redis::cmd("GET").arg(key)).await {
            Ok(Some(_)) => reads.hits.fetch_add(1, Ordering::Relaxed),
            Ok(None) => reads.misses.fetch_add(1, Ordering::Relaxed),
            Err(_) => 0,
        };
        tokio::time::sleep(READ_EVERY).await;
    }
}

/// The same with the library's reader.
async fn read_counted(airlines: Warmed, keys: Arc<Vec<String>>, reads: Arc<Reads>) {
    let carriers: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix("airline:")).collect();
    loop {
        let Some(carrier) = carriers.get(rand::random_range(0..carriers.len().max(1))) else { return };
        match airlines.get(&[carrier]).await {
            Ok(read) if read.is_missing() => reads.misses.fetch_add(1, Ordering::Relaxed),
            Ok(_) => reads.hits.fetch_add(1, Ordering::Relaxed),
            Err(_) => 0,
        };
        tokio::time::sleep(READ_EVERY).await;
    }
}

async fn search(queue: Queue) {
    loop {
        let jobs = (0..SEARCHES).filter_map(|_| {
            let origin = ORIGINS[rand::random_range(0..ORIGINS.len())];
            let dest = DESTINATIONS[rand::random_range(0..DESTINATIONS.len())];
            let args = json!({ "name": "record-search", "origin": origin, "dest": dest });
            Envelope::new("sql.run", &args, queue.clock().now()).ok()
        });
        if let Err(error) = queue.enqueue_all(&jobs.collect::<Vec<_>>()).await {
            tracing::warn!(error = %chain(&error), "could not enqueue");
        }
        tokio::time::sleep(SEARCH_EVERY).await;
    }
}

/// Enqueues every warmer once and waits until all are through.
pub(super) async fn warm_all(app: &App, shutdown: &Shutdown) -> Result<(), Failure> {
    let queue = app.queue("default");
    let mut waiting = Vec::new();
    for name in app.config.warm.keys() {
        let job = Envelope::new("cache.warm", &json!({ "name": name }), app.clock.now());
        let job = job.map_err(|error| Failure::environment(error.to_string()))?;
        queue.enqueue(&job).await?;
        waiting.push(job.id);
    }
    let all = async {
        for id in waiting {
            while !matches!(
                queue.show(&id).await?.map(|view| view.state),
                None | Some(State::Done | State::Dead)
            ) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        ended = tokio::time::timeout(WARM_MAX, all) => {
            ended.map_err(|_| Failure::environment("the caches are not warm after a minute"))?
        }
        () = shutdown.drain.cancelled() => Ok(()),
    }
}
