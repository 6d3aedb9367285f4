//! What became of jobs, as Postgres has it when Redis has forgotten.

mod crashing;
mod ending;
mod keeping;
mod outages;
mod rights;
mod searching;

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_shared::db::migrate;
use brasa_shared::queue::{Queue, Telling};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use brasa_worker::history::Settings;
use sqlx::PgPool;

/// How long what became of jobs is kept in these tests.
const KEEP: Duration = Duration::from_hours(30 * 24);
/// How much may wait for Postgres.
const ROOM: u64 = 64 << 20;

/// A world whose database has the table.
async fn scene() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world
}

/// A worker with the kinds for tests that tells so much, and writes it down there.
fn start(world: &World, telling: &Telling, pool: PgPool, room: u64) -> Worker {
    let mut settings = world.settings(kinds(), "");
    for (queue, _) in &mut settings.queues {
        *queue = queue.clone().telling(telling.clone());
    }
    settings.history = Some(Settings { pool, keep: KEEP, room });
    Worker::start(settings)
}

/// The same, with what is usual.
fn start_plainly(world: &World) -> Worker {
    start(world, &Telling::default(), world.pool.clone(), ROOM)
}

/// Waits until a worker has said that it wants to know what ends.
async fn wanted(queue: &Queue) {
    eventually("somebody wants to know what ends", async || {
        let mut exists = redis::cmd("EXISTS");
        exists.arg(&queue.keys().history_room);
        queue.store().run::<bool>("look", &exists).await.unwrap()
    })
    .await;
}

/// How many entries wait to be written down.
async fn waiting(queue: &Queue) -> u64 {
    let mut length = redis::cmd("XLEN");
    length.arg(&queue.keys().history);
    queue.store().run("look", &length).await.unwrap()
}

/// How each job ended, as the table has it: all ends of it, in their order.
async fn endings(world: &World) -> BTreeMap<String, Vec<String>> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select id, ending from brasa.history order by ended_at")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let mut endings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, ending) in rows {
        endings.entry(id).or_default().push(ending);
    }
    endings
}

/// How many ends the table has.
async fn rows(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from brasa.history").fetch_one(&world.pool).await.unwrap()
}
