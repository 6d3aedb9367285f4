//! A worker inside the test's own process.

use std::sync::Arc;
use std::time::Duration;

use brasa_jobs::{Catalog, Reach};
use brasa_shared::config::Config;
use brasa_shared::queue::Fleet;
use brasa_worker::{Order, Pulses, Settings, Shutdown, Tally, run};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::kinds::kinds;
use crate::{World, eventually};

/// A worker that runs.
#[derive(Debug)]
pub struct Worker {
    /// How it is told to end.
    pub shutdown: Shutdown,
    task: JoinHandle<Tally>,
}

impl World {
    /// What a worker of this world needs to know: the queue `default`, four jobs at once, a lease of 30 s,
    /// connections of its own. Tests change what they are about.
    ///
    /// # Panics
    /// The configuration has problems.
    pub fn settings(&self, catalog: Catalog, config: &str) -> Settings {
        let config = self.config(config);
        let store = self.store.apart();
        Settings {
            queues: vec![(self.queue("default").over(store.clone()), 1)],
            fleet: Fleet::new(store, &self.prefix, self.clock.clone()),
            catalog,
            reach: self.reach(config),
            concurrency: 4,
            lease: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(5),
            crashes_max: 3,
            until_empty: false,
            order: Order::Weighted,
            isolation: None,
            is_isolated: false,
            outbox: None,
            cache: None,
            aggregates: None,
            writes: None,
            history: None,
        }
    }

    /// What handlers of this world can reach.
    pub fn reach(&self, config: Config) -> Arc<Reach> {
        Arc::new(Reach::new(
            Arc::new(config),
            Some(self.pool.clone()),
            self.store.apart(),
            self.clock.clone(),
        ))
    }
}

/// The same for handlers that reach Postgres through this pool, or not at all.
pub fn over_pool(mut settings: Settings, pool: Option<PgPool>) -> Settings {
    let mut reach = Reach::clone(&settings.reach);
    reach.db = pool;
    settings.reach = Arc::new(reach);
    settings
}

impl Worker {
    /// A world of queues, and a worker in it with the kinds for tests.
    pub fn in_a_world() -> (World, Self) {
        let world = World::of_queues();
        let worker = Self::start(world.settings(kinds(), ""));
        (world, worker)
    }

    /// Starts it.
    pub fn start(settings: Settings) -> Self {
        let shutdown = Shutdown::default();
        let running = run(settings, Pulses::default(), shutdown.clone());
        let task = tokio::spawn(async move { running.await.expect("no fault ends a worker") });
        Self { shutdown, task }
    }

    /// Waits until it has ended by itself; returns what it has done.
    ///
    /// # Panics
    /// It does not end, or not in good order.
    pub async fn ended(self) -> Tally {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        ended.expect("the worker ends").expect("the worker ends in good order")
    }

    /// Asks it to drain and waits until it has; returns what it has done.
    ///
    /// # Panics
    /// As [`Self::ended`].
    pub async fn drain(self) -> Tally {
        self.shutdown.drain.cancel();
        self.ended().await
    }

    /// Asks it to drain once nothing is waiting, delayed or running in the queue `default`.
    ///
    /// # Panics
    /// As [`Self::ended`].
    pub async fn drain_when_idle(self, world: &World) -> Tally {
        eventually("everything has ended", async || world.counts().await.open() == 0).await;
        self.drain().await
    }

    /// Whether it is still running.
    pub fn lives(&self) -> bool {
        !self.task.is_finished()
    }
}
