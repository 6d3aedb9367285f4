//! The cache beside the jobs: what readers ask for is loaded, what is due is loaded again, and what changes in the
//! tables is carried to Redis.
//!
//! ```text
//! hear ──► serve, one per warmer: asked for, or due ──► lease, load, fill
//! one worker of all:  carry: change log ──► marks in Redis
//!                     watch: epoch, sweeps, what is hot, numbers
//! ```
//!
//! Nothing here is a job: what is lost with a worker is asked for again, or is due again, as soon as its lease is over.

mod carry;
mod circuit;
mod hear;
mod heat;
mod serve;
mod sweep;
mod tell;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use brasa_jobs::Reach;
use brasa_jobs::cache::{Loaders, Shape};
use brasa_shared::config::Warmer;
use brasa_shared::db::changes::ChangeLog;
use brasa_shared::queue::Queue;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the cache of a worker needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where jobs go that warm everything.
    pub queue: Queue,
    /// What changed in the tables.
    pub changes: ChangeLog,
}

/// What all parts share.
struct Shared {
    reach: Arc<Reach>,
    loaders: Arc<Loaders>,
    settings: Settings,
    worker: String,
    warmers: BTreeMap<String, Served>,
}

/// A warmer, and how its task is woken.
struct Served {
    warmer: Warmer,
    shape: Shape,
    wake: Arc<Notify>,
}

/// The tasks of a worker's cache.
#[derive(Debug, Default)]
pub(crate) struct Tasks(JoinSet<()>);

impl Tasks {
    /// Starts to look after the cache until `stop`, where there is something to look after: warmers, Postgres, and
    /// nobody who switched it off.
    pub(crate) fn start(
        settings: Option<Settings>,
        reach: &Arc<Reach>,
        worker: &str,
        stop: &CancellationToken,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let Some(settings) = settings.filter(|_| !reach.config.warm.is_empty()) else { return Self(tasks) };
        let Some(loaders) = reach.loaders().cloned() else { return Self(tasks) };
        let served = |(name, warmer): (&String, &Warmer)| {
            let shape = Shape::of(name, warmer);
            (name.clone(), Served { warmer: warmer.clone(), shape, wake: Arc::new(Notify::new()) })
        };
        let shared = Arc::new(Shared {
            loaders,
            settings,
            worker: worker.to_owned(),
            warmers: reach.config.warm.iter().map(served).collect(),
            reach: Arc::clone(reach),
        });
        for name in shared.warmers.keys() {
            tasks.spawn(until(stop, serve::run(Arc::clone(&shared), name.clone())));
        }
        tasks.spawn(until(stop, hear::run(Arc::clone(&shared))));
        tasks.spawn(until(stop, carry::run(Arc::clone(&shared))));
        tasks.spawn(until(stop, watch::run(shared)));
        Self(tasks)
    }

    /// Waits until all have ended. They were told to stop by then.
    pub(crate) async fn end(mut self) {
        // Wherever they stand, they may be dropped: leases end by themselves.
        self.0.abort_all();
        while self.0.join_next().await.is_some() {}
    }
}

/// Runs something that never ends until `stop`.
fn until(
    stop: &CancellationToken,
    running: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let stop = stop.clone();
    async move {
        tokio::select! {
            () = running => {}
            () = stop.cancelled() => {}
        }
    }
}
