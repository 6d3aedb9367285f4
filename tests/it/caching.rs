//! The cache as a whole: workers load what readers ask for and what is due, and never leave anything stale.

mod asking;
mod bad_input;
mod due;
mod engine;
mod outage;
mod refreshing;
mod sparing;
mod versions;

use std::time::Duration;

use brasa_jobs::catalog;
use brasa_shared::cache::{Answer, Asking, Caches, Entry, Standing, params_of};
use brasa_shared::db::changes::ChangeLog;
use brasa_shared::db::migrate;
use brasa_tests::{Worker, World, eventually};
use brasa_worker::Settings;
use redis::cmd;
use sqlx::AssertSqlSafe;

/// A world whose database has schema `brasa` and a table of things: `id`, `name`, `size`.
pub(crate) async fn with_things() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    execute(
        &world,
        "create table things (id int primary key, name text not null, size int not null);
         insert into things select n, 'thing ' || n, n * 10 from generate_series(1, 50) n",
    )
    .await;
    world
}

/// The cache of a world.
pub(crate) fn caches(world: &World) -> Caches {
    Caches::new(world.store.clone(), &world.prefix, world.clock.clone())
}

/// A worker's settings with a cache to look after. `KEY` in the configuration stands for the world's prefix.
fn settings(world: &World, config: &str) -> Settings {
    // All tests share a database, and none is to wait for the others' sake.
    sparing_settings(world, config, 100)
}

/// The same, with how much of one loader's time is used while others are at work, in hundredths.
fn sparing_settings(world: &World, config: &str, percent: u32) -> Settings {
    let config = format!("{}\n[cache]\nbusy_percent = {percent}\n", config.replace("KEY", &world.prefix));
    let mut settings = world.settings(catalog(), &config);
    settings.cache = Some(brasa_worker::cache::Settings {
        queue: world.queue("default"),
        changes: ChangeLog::of(world.another_pool(2, Duration::from_secs(5))),
    });
    settings
}

/// A worker that looks after the cache.
pub(crate) fn start(world: &World, config: &str) -> Worker {
    Worker::start(settings(world, config))
}

pub(crate) async fn execute(world: &World, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&world.pool).await.unwrap();
}

/// The entry at `thing:ID` of this world.
fn thing(world: &World, id: &str) -> Entry {
    Entry { key: format!("{}:thing:{id}", world.prefix), params: params_of(&[id]) }
}

/// Reads as a reader with the whole protocol does.
async fn read(world: &World, entry: &Entry) -> Answer {
    let asking = Asking { token: Some("t"), lease: Duration::from_secs(5), is_counted: true, hot: 0 };
    caches(world).namespace("thing").read(entry, asking).await.unwrap()
}

/// Reads until there is something, or it is known that there is nothing.
async fn read_until_there(world: &World, entry: &Entry) -> Answer {
    let mut last = None;
    eventually("a worker brings the value", async || {
        let answer = read(world, entry).await;
        let is_there = matches!(answer.standing, Standing::Fresh | Standing::Stale | Standing::None);
        last = Some(answer);
        is_there
    })
    .await;
    last.unwrap()
}

/// What a plain client reads.
async fn get(world: &World, key: &str) -> Option<String> {
    world.redis(cmd("GET").arg(key)).await
}

/// Waits until a plain client reads this.
async fn holds(world: &World, key: &str, value: Option<&str>) {
    eventually(&format!("{key} holds {value:?}"), async || get(world, key).await.as_deref() == value).await;
}
