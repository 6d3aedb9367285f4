//! What becomes of rows whose jobs Redis has lost, or whose end nobody recorded.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{Standing, State};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, eventually};
use brasa_worker::Settings;
use serde_json::json;

use super::{BUSY, DEAF_TO_TIME, Pace, Scene, count, enqueue};

const TWICE_PUSHED: &str = "select count(*) from brasa.outbox where pushes = 2";
const ON_THEIR_WAY: &str = "select count(*) from brasa.outbox where pushed_at is not null";

#[tokio::test]
async fn jobs_that_redis_has_lost_are_pushed_again_and_run() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let scene = Scene::on_redis(redis.url()).await;
    let first = scene.relay(DEAF_TO_TIME);
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(enqueue(scene.pool(), "test.echo", &json!({ "n": n })).await);
    }
    eventually("all are in Redis", async || count(scene.pool(), ON_THEIR_WAY).await == 20).await;
    first.drain().await;

    scene.queue.store().run::<()>("forget everything", redis::cmd("FLUSHALL").arg("SYNC")).await.unwrap();
    assert_eq!(scene.queue.standings(&ids).await.unwrap(), vec![Standing::Unknown; 20]);
    let second = scene.relay(BUSY);
    eventually("all are pushed again", async || count(scene.pool(), TWICE_PUSHED).await == 20).await;
    second.drain().await;
    let worker = scene.worker(BUSY);

    scene.is_empty().await;
    assert_eq!(scene.done().await, 20);
    worker.drain().await;
}

#[tokio::test]
async fn the_row_of_a_job_whose_end_nobody_recorded_is_deleted_and_the_job_does_not_run_again() {
    let scene = Scene::new().await;
    // It runs jobs and records no ends, like one that is killed in between.
    let forgetful = Worker::start(Settings { outbox: None, ..scene.settings(kinds(), BUSY) });
    let relay = scene.relay(DEAF_TO_TIME);
    let ids = [
        enqueue(scene.pool(), "test.echo", &json!({})).await,
        enqueue(scene.pool(), "test.fail", &json!({ "how": "bury" })).await,
        enqueue(scene.pool(), "test.fail", &json!({ "how": "discard" })).await,
    ];
    eventually("all have ended", async || {
        scene.queue.standings(&ids).await.unwrap() == vec![Standing::Ended; 3]
    })
    .await;
    eventually("all are marked", async || count(scene.pool(), ON_THEIR_WAY).await == 3).await;
    relay.drain().await;

    let reconciler = scene.relay(BUSY);
    scene.is_empty().await;

    assert_eq!(scene.total("enqueued").await, 3);
    reconciler.drain().await;
    forgetful.drain().await;
}

#[tokio::test]
async fn jobs_that_wait_or_run_are_left_alone() {
    let scene = Scene::new().await;
    let relay = scene.relay(BUSY);
    let waiting = enqueue(scene.pool(), "test.echo", &json!({})).await;
    eventually("it is in Redis", async || count(scene.pool(), ON_THEIR_WAY).await == 1).await;

    let begun = turn(&scene).await;
    eventually("several rounds have passed", async || turn(&scene).await > begun + 0.5).await;

    assert_eq!(scene.world.state(&waiting).await, Some(State::Waiting));
    assert_eq!(count(scene.pool(), "select sum(pushes)::bigint from brasa.outbox").await, 1);
    relay.drain().await;
}

/// When the next reconciliation is due, in seconds since 1970.
async fn turn(scene: &Scene) -> f64 {
    let sql = "select case when isfinite(due_at) then extract(epoch from due_at)::float8 else 0 end
               from brasa.outbox_turn";
    sqlx::query_scalar(sql).fetch_one(scene.pool()).await.unwrap()
}

#[tokio::test]
async fn an_end_that_is_just_being_recorded_is_not_taken_for_a_loss() {
    let scene = Scene::new().await;
    // This test records the ends of its jobs in its place.
    let worker = Worker::start(Settings { outbox: None, ..scene.settings(kinds(), BUSY) });
    let relay = scene.relay(DEAF_TO_TIME);
    let ids = [enqueue(scene.pool(), "test.echo", &json!({})).await];
    eventually("it is marked", async || count(scene.pool(), ON_THEIR_WAY).await == 1).await;
    let standing = async || scene.queue.standings(&ids).await.unwrap();
    eventually("it has ended", async || standing().await == [Standing::Ended]).await;
    // And Redis remembers nothing of it, as after a loss.
    let keys = scene.queue.keys();
    for key in [&keys.jobs, &keys.outcomes] {
        let forget = redis::cmd("HDEL").arg(key).arg(&ids[0]).to_owned();
        assert_eq!(scene.queue.store().run::<u8>("forget", &forget).await.unwrap(), 1);
    }
    assert_eq!(standing().await, [Standing::Unknown]);
    relay.drain().await;

    let reconciler = scene.relay(Pace { second_look: Duration::from_secs(3), ..BUSY });
    eventually("a round has begun", async || turn(&scene).await > 0.0).await;
    // Time enough for one that would not look twice.
    tokio::time::sleep(Duration::from_millis(300)).await;
    sqlx::query("delete from brasa.outbox").execute(scene.pool()).await.unwrap();
    let begun = turn(&scene).await;
    eventually("it has ended, and the next has begun", async || turn(&scene).await > begun).await;

    assert_eq!((scene.rows().await, scene.total("enqueued").await), (0, 1));
    reconciler.drain().await;
    worker.drain().await;
}
