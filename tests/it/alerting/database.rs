//! Postgres, and what waits for it or in it: from when on it is told of.

use std::time::Duration;

use brasa_jobs::{Site, catalog};
use brasa_shared::db::migrate;
use brasa_tests::process::Brasa;
use brasa_tests::{World, eventually};
use redis::cmd;

use super::looks::{Eye, only};
use crate::{aggregating, reviewing, writing};

#[tokio::test]
async fn more_rows_in_the_outbox_than_the_limit_are_told() {
    let world = World::new().await;
    let mut eye = Eye::of(&world, "outbox_waiting", "2", "");
    eye.is_quiet("there is no outbox yet").await;
    migrate(&world.pool).await.unwrap();
    world.execute("select brasa.enqueue('sql.run') from generate_series(1, 2)").await;
    eye.is_quiet("so many may wait").await;

    world.execute("select brasa.enqueue('sql.run')").await;
    eye.fires(": 3 rows of the outbox are not in Redis yet (limit 2)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_for_longer_than_the_limit_are_told_by_aggregate() {
    let (world, _) = aggregating::kept().await;
    let config = aggregating::CONFIG;
    let mut patient = Eye::of(&world, "aggregate_lag", "\"1h\"", config);
    let mut eye = Eye::of(&world, "aggregate_lag", "\"1ms\"", config);
    for name in aggregating::NAMES {
        aggregating::folded(&world, name).await;
    }
    eye.is_quiet("nothing waits").await;

    world.execute("insert into sales (at, shop, kind, units) values (now(), 'a', 1, 41)").await;
    eventually("it has waited", async || eye.sees().await.len() == 2).await;
    let seen = eye.sees().await;
    assert!(seen.iter().any(|one| one.starts_with("daily: aggregate `daily`: 1 changes wait")), "{seen:?}");
    patient.is_quiet("it has not waited for an hour").await;

    aggregating::folded(&world, "daily").await;
    eye.fires("peaks: aggregate `peaks`: 1 changes wait").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_for_longer_than_the_limit_are_told_until_they_are_written() {
    let world = writing::scene().await;
    let mut eye = Eye::of(&world, "writes_lag", "\"10m\"", writing::CONFIG);
    eye.is_quiet("nothing was handed over").await;
    writing::add(&world, "visits", r#"{"id": 1, "page": "/"}"#).await;
    eye.is_quiet("it has only just come").await;

    let then_ms = world.clock.now().as_millisecond() - 1_200_000;
    let key = format!("{}:writes:{{pages:0}}", world.prefix);
    let row = r#"{"page": "/", "hits": 1}"#;
    world.redis::<String>(cmd("XADD").arg(key).arg(format!("{then_ms}-1")).arg("d").arg(row)).await;
    eye.fires("pages: writes `pages`: a row has been waiting for 20 min (limit 10m)").await;

    let worker = writing::start(&world, writing::CONFIG);
    writing::done(&world, "pages", 1).await;
    eye.is_quiet("it is written").await;
    worker.drain().await;
}

/// Other tests use the same server, so the limits are ones that nobody reaches and that a single one does.
#[tokio::test]
async fn a_server_with_most_of_its_connections_in_use_is_told() {
    let world = World::new().await;
    Eye::of(&world, "database_connections", "1", "").is_quiet("no more than all can be in use").await;
    let mut eye = Eye::of(&world, "database_connections", "0.0001", "");
    let seen = eye.sees().await;
    assert!(
        seen.len() == 1 && seen[0].contains(" of the connections that Postgres takes are in use"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_pool_with_most_of_its_connections_in_use_is_told_by_its_name() {
    let world = World::new().await;
    let site = Site::open(world.config(&only("database_pool", "0.75", "")), catalog()).unwrap();
    let pool = site.pool_for("jobs", 4).unwrap().unwrap();
    let mut eye = Eye::at(&site, "database_pool");
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(pool.acquire().await.unwrap());
    }
    eye.is_quiet("three of four may be in use").await;

    held.push(pool.acquire().await.unwrap());
    eye.fires("jobs: 4 of 4 connections of pool `jobs` are in use, which is 100 % (limit 75 %)").await;

    drop(held);
    eventually("they are given back", async || eye.sees().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_recommendations_that_are_open_are_told_until_somebody_dismisses_them() {
    let world =
        reviewing::scene("create table t (id serial primary key); select setval('t_id_seq', 2147000000)")
            .await;
    let mut eye = Eye::of(&world, "critical_recommendations", "1", "");
    eye.is_quiet("nobody has reviewed").await;

    let brasa = Brasa::configured(&world, "");
    let report = brasa.run(["db", "review", "--json"]).await.json();
    let found = report["recommendations"].as_array().unwrap().iter();
    let critical: Vec<_> = found.filter(|one| one["severity"] == "critical").collect();
    eye.fires(&format!(": {} critical recommendation(s) about the database are open", critical.len())).await;
    let more = (critical.len() + 1).to_string();
    Eye::of(&world, "critical_recommendations", &more, "").is_quiet("so many are borne").await;

    for one in critical {
        let dismiss = ["db", "recommendations", "dismiss", one["fingerprint"].as_str().unwrap()];
        let _done = brasa.run(dismiss.into_iter().chain(["--why", "a test"])).await.with_code(0);
    }
    eye.is_quiet("nobody wants to hear of it").await;
}

#[tokio::test]
async fn what_is_in_a_postgres_that_is_away_is_unknown_and_not_well() {
    let world = World::of_queues();
    let away =
        "\n[postgres]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\npool = { acquire_timeout = \"1s\" }\n";
    for (name, limit) in [
        ("outbox_waiting", "1"),
        ("aggregate_lag", "\"1m\""),
        ("writes_lag", "\"1m\""),
        ("database_connections", "0.8"),
        ("critical_recommendations", "1"),
    ] {
        let look = Eye::of(&world, name, limit, away).look().await;
        assert!(look.troubles.is_empty() && !look.knows(name), "{look:?}");
    }
    let begun = std::time::Instant::now();
    Eye::of(&world, "workers", "1", away).fires(": no worker is there").await;
    assert!(begun.elapsed() < Duration::from_secs(1), "nobody waits for it who does not ask it");
}
