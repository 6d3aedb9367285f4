//! The outbox: jobs that are enqueued in SQL, inside of transactions.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

mod faults;
mod people;
mod reconciling;
mod relaying;
mod sql;

use std::time::Duration;

use brasa_jobs::Catalog;
use brasa_shared::db::migrate;
use brasa_shared::db::outbox::OutboxTable;
use brasa_shared::queue::{Fleet, Queue};
use brasa_shared::store::Store;
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use brasa_worker::Settings;
use brasa_worker::outbox::{self, Pace};
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};

/// So long that what happens in a test did not happen because of it.
const NEVER: Duration = Duration::from_hours(1);

/// Looks as often as it can, and at everything.
const BUSY: Pace = Pace {
    poll: Duration::from_millis(20),
    reconcile_every: Duration::from_millis(100),
    reconcile_after: Duration::ZERO,
    second_look: Duration::from_millis(50),
};

/// Waits for notifications, and looks after nothing.
const DEAF_TO_TIME: Pace =
    Pace { poll: NEVER, reconcile_every: NEVER, reconcile_after: NEVER, second_look: NEVER };

/// A world with an outbox.
struct Scene {
    world: World,
    queue: Queue,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let queue = world.queue("default");
        migrate(&world.pool).await.unwrap();
        Self { world, queue }
    }

    /// The same on another Redis, for tests that do to it what no neighbour would bear.
    async fn on_redis(url: &str) -> Self {
        let Self { world, .. } = Self::new().await;
        let queue = Queue::new(Store::open(url).unwrap(), &world.prefix, "default", world.clock.clone());
        Self { world, queue }
    }

    fn pool(&self) -> &PgPool {
        &self.world.pool
    }

    /// A worker with these kinds, and an outbox at this pace.
    fn settings(&self, catalog: Catalog, pace: Pace) -> Settings {
        let store = self.queue.store().apart();
        let queue = self.queue.clone().over(store.clone());
        let table = OutboxTable::of(self.world.another_pool(2, Duration::from_secs(10)));
        Settings {
            fleet: Fleet::new(store, &self.world.prefix, self.world.clock.clone()),
            outbox: Some(outbox::Settings { table, queues: vec![queue.clone()], pace }),
            queues: vec![(queue, 1)],
            ..self.world.settings(catalog, "")
        }
    }

    /// A worker that runs what tests enqueue.
    fn worker(&self, pace: Pace) -> Worker {
        Worker::start(self.settings(kinds(), pace))
    }

    /// A worker that runs nothing, and so only relays.
    fn relay(&self, pace: Pace) -> Worker {
        Worker::start(self.settings(Catalog::default(), pace))
    }

    /// Waits until every job has ended and its row is gone.
    async fn is_empty(&self) {
        eventually("the outbox is empty", async || self.rows().await == 0).await;
    }

    async fn rows(&self) -> i64 {
        count(self.pool(), "select count(*) from brasa.outbox").await
    }

    /// How many jobs were done.
    async fn done(&self) -> u64 {
        self.total("done").await
    }

    /// What the queue has counted under this name.
    async fn total(&self, counter: &str) -> u64 {
        self.queue.counts().await.unwrap().totals.get(counter).copied().unwrap_or(0)
    }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Enqueues in a transaction of its own.
async fn enqueue(pool: &PgPool, kind: &str, args: &Value) -> String {
    let query = sqlx::query_scalar("select brasa.enqueue($1, $2::text::jsonb)").bind(kind);
    query.bind(args.to_string()).fetch_one(pool).await.unwrap()
}

/// Enqueues in a transaction that goes on.
async fn enqueue_in(transaction: &mut Transaction<'_, Postgres>, kind: &str) -> String {
    let query = sqlx::query_scalar("select brasa.enqueue($1)").bind(kind);
    query.fetch_one(&mut **transaction).await.unwrap()
}
