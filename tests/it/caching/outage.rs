//! The source or Redis is away.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::cache::Standing;
use brasa_shared::db::migrate;
use brasa_tests::{World, eventually};
use redis::cmd;

use super::{caches, execute, get, holds, read, start, thing, with_things};

const ALWAYS: &str = r#"
    [warm.thing]
    for_each = { sql = "select id from things", params = ["id"] }
    sql = "select id, to_jsonb(name) as value from things where id = any($1)"
    key = "KEY:thing:{id}"
    ttl = "1s"
    refresh_ahead = "500ms"
    max_stale = "1m"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_source_fails_values_live_on_as_long_as_they_may() {
    let world = with_things().await;
    let worker = start(&world, ALWAYS);
    let entry = thing(&world, "7");
    holds(&world, &entry.key, Some("\"thing 7\"")).await;

    execute(&world, "alter table things rename to gone").await;
    eventually("it is stale", async || read(&world, &entry).await.standing == Standing::Stale).await;
    // Well beyond its time.
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(get(&world, &entry.key).await.as_deref(), Some("\"thing 7\""));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    execute(&world, "alter table gone rename to things; update things set name = 'back' where id = 7").await;
    holds(&world, &entry.key, Some("\"back\"")).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_flush_a_new_epoch_begins_and_everything_is_warmed_again() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let world = World::with_database_on_redis(redis.url()).await;
    migrate(&world.pool).await.unwrap();
    execute(
        &world,
        "create table things (id int primary key, name text); insert into things select n, 'thing ' || n from generate_series(1, 50) n",
    )
    .await;
    let worker = start(&world, &ALWAYS.replace("1s", "1h").replace("500ms", "1m"));
    let entry = thing(&world, "7");
    holds(&world, &entry.key, Some("\"thing 7\"")).await;
    let before = caches(&world).epoch().await.unwrap().unwrap();

    world.redis::<String>(&cmd("FLUSHALL")).await;

    holds(&world, &entry.key, Some("\"thing 7\"")).await;
    let after = caches(&world).epoch().await.unwrap().unwrap();
    assert_ne!(before.count, after.count);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_evicts_no_replica_is_read() {
    let limits = [("maxmemory", "4mb"), ("maxmemory-policy", "allkeys-lru")];
    let extra = limits.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let redis = RedisServer::start(RedisOptions { extra, ..RedisOptions::default() }).unwrap();
    let world = World::with_database_on_redis(redis.url()).await;
    let reach = world.reach(world.config(""));
    let loaders = reach.loaders().unwrap();
    assert!(loaders.trusts_replica().await.unwrap());

    for n in 0..4_000 {
        world.redis::<String>(cmd("SET").arg(format!("large:{n}")).arg("x".repeat(2_000))).await;
    }

    assert!(!loaders.trusts_replica().await.unwrap());
    // Also when it has stopped: what is gone is gone.
    assert!(!loaders.trusts_replica().await.unwrap());
}
