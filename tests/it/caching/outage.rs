//! The source or Redis is away.

use std::time::Duration;

use brasa::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use brasa_jobs::cache::Loaders;
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
    ttl = "4s"
    refresh_ahead = "3500ms"
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
async fn values_are_there_while_a_source_takes_its_time_to_fail() {
    let world = with_things().await;
    execute(
        &world,
        "create table broken (at timestamptz);
         create function brittle(name text) returns text language plpgsql as $$ begin
           if exists (select from broken) then perform pg_sleep(4); raise exception 'away'; end if;
           return name; end $$",
    )
    .await;
    // Half of a load is longer than what `refresh_ahead` leaves.
    let config = r#"
        [warm.thing]
        for_each = { sql = "select 7 as id", params = ["id"] }
        sql = "select id, brittle(name) as value from things where id = any($1)"
        key = "KEY:thing:{id}"
        ttl = "4s"
        refresh_ahead = "2s"
        max_stale = "1m"
    "#;
    let worker = start(&world, config);
    let key = thing(&world, "7").key;
    holds(&world, &key, Some("\"thing 7\"")).await;
    execute(&world, "insert into broken values (now())").await;

    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(9) {
        assert!(get(&world, &key).await.is_some(), "gone after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    execute(&world, "delete from broken; update things set name = 'back' where id = 7").await;
    holds(&world, &key, Some("\"back\"")).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_loaded_together_lives_on_too_while_it_may() {
    let world = with_things().await;
    let config = r#"
        [warm.thing]
        sql = "select id, name as value from things"
        key = "KEY:thing:{id}"
        ttl = "2s"
        refresh_ahead = "1s"
        max_stale = "1m"
    "#;
    let worker = start(&world, config);
    let key = thing(&world, "7").key;
    holds(&world, &key, Some("\"thing 7\"")).await;
    execute(&world, "alter table things rename to gone").await;

    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        assert!(get(&world, &key).await.is_some(), "gone after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    execute(&world, "alter table gone rename to things; update things set name = 'back' where id = 7").await;
    holds(&world, &key, Some("\"back\"")).await;
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
    let worker = start(&world, &ALWAYS.replace("4s", "1h").replace("3500ms", "1m"));
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
    let (namespace, lease) = (loaders.caches.namespace("it"), Duration::from_secs(5));
    let before = loaders.caches.before().await.unwrap();
    assert_eq!(namespace.take_late(&["a"], "t", lease, &before).await.unwrap(), Some(vec![true]));

    for n in 0..4_000 {
        world.redis::<String>(cmd("SET").arg(format!("large:{n}")).arg("x".repeat(2_000))).await;
    }

    assert!(!loaders.trusts_replica().await.unwrap());
    // Also when it has stopped: what is gone is gone.
    assert!(!loaders.trusts_replica().await.unwrap());
    // Nor is anything believed that was loaded without a lease meanwhile.
    assert_eq!(namespace.take_late(&["b"], "t", lease, &before).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_receives_nothing_any_more_is_not_read_and_neither_is_what_is_none() {
    let options = PostgresOptions::default();
    let primary = PostgresServer::start(options.clone()).unwrap();
    let standby = primary.standby(options).unwrap();
    let world = World::of_queues();
    let config = world.config(
        "[warm.it]\nsql = \"select 1 as value\"\nkey = \"it\"\nttl = \"1m\"\nfill_from = \"replica\"\n",
    );
    let loaders = |replica: &str| {
        let (primary, replica) = (world.pool_at(&primary.url("postgres")), world.pool_at(replica));
        Loaders::new(&config, caches(&world), primary, Some(replica))
    };
    let (good, stranger) = (loaders(&standby.url("postgres")), loaders(&primary.url("postgres")));
    let warmer = &config.warm["it"];
    eventually("the replica is read", async || good.origin(warmer).await.is_replica).await;
    assert!(!stranger.origin(warmer).await.is_replica);

    // Nothing was written since, so it has replayed all that it has received.
    let alone = world.pool_at(&standby.url("postgres"));
    sqlx::query("alter system set primary_conninfo = ''").execute(&alone).await.unwrap();
    sqlx::query("select pg_reload_conf()").execute(&alone).await.unwrap();
    // The last transaction must be longer ago than a replica may lag.
    tokio::time::sleep(Duration::from_secs(5)).await;

    eventually("the primary is read", async || !good.origin(warmer).await.is_replica).await;
}
