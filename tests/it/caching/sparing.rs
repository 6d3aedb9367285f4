//! The database is spared while others are at work, and never at the cost of what readers find.

use std::time::{Duration, Instant};

use brasa_tests::{Worker, World, eventually};
use redis::cmd;
use serde_json::json;
use sqlx::Connection as _;
use tokio::task::JoinHandle;

use super::{sparing_settings, start, with_things};

/// Twelve loads of 50 ms, each by itself. One takes its turn every five seconds where the database is spared as much as
/// may be: all take a minute.
const CONFIG: &str = r#"
[warm.thing]
sql = "select id, to_jsonb(name) as value from things, lateral (select pg_sleep(0.05)) nap where id = any($1)"
for_each = { sql = "select id from things where id <= 12", params = ["id"] }
key = "KEY:thing:{id}"
ttl = "15s"
batch = 1
warm_on = []
"#;
/// How many values there are.
const VALUES: u64 = 12;

/// Somebody who is always at work.
async fn others(world: &World) -> JoinHandle<()> {
    let mut connection = sqlx::PgConnection::connect(&world.database_url).await.unwrap();
    tokio::spawn(async move {
        sqlx::raw_sql("select pg_sleep(300)").execute(&mut connection).await.ok();
    })
}

async fn warm(world: &World) -> String {
    world.enqueue("cache.warm", json!({ "name": "thing" })).await
}

/// How many of the values are there.
async fn present(world: &World) -> u64 {
    let mut exists = cmd("EXISTS");
    for id in 1..=VALUES {
        exists.arg(format!("{}:thing:{id}", world.prefix));
    }
    world.redis(&exists).await
}

/// All values are there, loaded while nobody was spared; and then a worker that spares others.
async fn warmed(world: &World) -> Worker {
    let before = start(world, CONFIG);
    warm(world).await;
    eventually("all are warm", async || present(world).await == VALUES).await;
    before.drain().await;
    Worker::start(sparing_settings(world, CONFIG, 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_readers_find_is_loaded_again_before_it_ends_although_others_are_at_work() {
    let world = with_things().await;
    let _worker = warmed(&world).await;
    let others = others(&world).await;
    warm(&world).await;

    let (begun, mut looks, mut missing) = (Instant::now(), 0, 0);
    while begun.elapsed() < Duration::from_secs(22) {
        missing += VALUES - present(&world).await;
        looks += VALUES;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // None is missing where the machine keeps up. Where nothing but sparing counted it would be nearly all, from the
    // fifteenth second on.
    assert!(missing * 10 < looks, "{missing} of {looks} reads found nothing");
    others.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_finds_yet_waits_for_its_turn_while_others_are_at_work() {
    let world = with_things().await;
    let others = others(&world).await;
    let _worker = Worker::start(sparing_settings(&world, CONFIG, 1));
    warm(&world).await;
    eventually("the first is there", async || present(&world).await > 0).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        assert!(present(&world).await < VALUES / 2, "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    others.abort();
}
