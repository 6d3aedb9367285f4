//! Postgres stays away: jobs go on.

use std::time::Duration;

use brasa_shared::queue::Telling;
use brasa_tests::Proxy;
use brasa_tests::{World, eventually};
use serde_json::json;

use super::{ROOM, rows, scene, start, start_plainly, waiting};

/// An address at which nobody answers.
const NOBODY: &str = "postgres://nobody@127.0.0.1:1/nothing";

async fn run_jobs(world: &World, count: u64) {
    let before = world.counts().await.totals.get("done").copied().unwrap_or_default();
    for n in 0..count {
        world.enqueue("test.echo", json!({ "n": n })).await;
    }
    eventually("they are done", async || world.counts().await.totals.get("done") == Some(&(before + count)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_while_postgres_is_away_and_what_became_of_them_comes_later() {
    let world = scene().await;
    let (account, place) =
        world.database_url.rsplit_once('@').unwrap_or(("postgres://", &world.database_url));
    let (host, database) = place.split_once('/').unwrap();
    let proxy = Proxy::to(host).await;
    let pool = world.pool_at(&format!("{account}@{}/{database}", proxy.address()));
    let worker = start(&world, &Telling::default(), pool, ROOM);
    run_jobs(&world, 10).await;
    eventually("the first are written down", async || rows(&world).await == 10).await;

    proxy.freeze();
    run_jobs(&world, 200).await;
    assert!(waiting(&world.queue("default")).await > 0);
    proxy.sever();
    proxy.thaw();
    eventually("the others are, too", async || rows(&world).await == 210).await;
    worker.drain().await;
    assert_eq!(waiting(&world.queue("default")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_bounded_and_what_has_to_go_for_it_is_counted() {
    let world = scene().await;
    let room = 4_000;
    let pool = brasa_shared::db::pool(
        NOBODY,
        brasa_shared::db::PoolLimits {
            connections_max: 1,
            acquire_timeout: Duration::from_millis(100),
            statement_timeout: Duration::from_secs(1),
        },
    );
    let worker = start(&world, &Telling::default(), pool.unwrap(), room);
    run_jobs(&world, 300).await;
    worker.drain().await;
    let keys = world.queue("default").keys().clone();
    let bytes: u64 = world.redis(redis::cmd("HGET").arg(&keys.counts).arg("history_bytes")).await;
    assert!(bytes > 0 && bytes <= room, "{bytes}");
    let dropped = world.counts().await.totals["history_dropped"];
    assert!(dropped > 0);

    let worker = start_plainly(&world);
    let left = i64::try_from(300 - dropped).unwrap();
    eventually("what is left is written down", async || rows(&world).await == left).await;
    worker.drain().await;
    let bytes: Option<u64> = world.redis(redis::cmd("HGET").arg(&keys.counts).arg("history_bytes")).await;
    assert_eq!(bytes, None);
}
