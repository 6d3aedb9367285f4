//! Queues and workers: from when on they are told of.

use brasa_jobs::catalog;
use brasa_shared::queue::{ClaimedJob, Queue};
use brasa_tests::hand::{Hand, dead, done};
use brasa_tests::{Worker, World, eventually};
use redis::cmd;
use serde_json::json;

use super::looks::Eye;

const HOUR_MS: i64 = 3_600_000;

/// So many jobs that somebody holds.
async fn held(world: &World, count: usize) -> (Queue, Vec<ClaimedJob>) {
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..count).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    let claimed = Hand::new("w", &["sql.run"]).claim(&queue, count).await;
    assert_eq!(claimed.len(), count);
    (queue, claimed)
}

async fn die(world: &World, count: usize) {
    let (queue, claimed) = held(world, count).await;
    let burials: Vec<_> = claimed.iter().map(|job| dead(job, "no")).collect();
    queue.bury(&burials).await.unwrap();
}

async fn succeed(world: &World, count: usize) {
    let (queue, claimed) = held(world, count).await;
    let finishes: Vec<_> = claimed.iter().map(done).collect();
    queue.finish(&finishes).await.unwrap();
}

#[tokio::test]
async fn more_dead_of_a_queue_in_an_hour_than_the_limit_are_told_and_older_ones_are_not() {
    let world = World::of_queues();
    let mut eye = Eye::of(&world, "dead_per_hour", "2", "");
    die(&world, 2).await;
    eye.is_quiet("so many may die").await;

    die(&world, 1).await;
    eye.fires("default: queue `default`: 3 jobs died in the last hour (limit 2)").await;

    let queue = world.queue("default");
    let first: Vec<String> = world.redis(cmd("ZRANGE").arg(&queue.keys().dead).arg(0).arg(0)).await;
    let then_ms = world.clock.now().as_millisecond() - HOUR_MS - 1_000;
    let _moved: i64 =
        world.redis(cmd("ZADD").arg(&queue.keys().dead).arg("XX").arg(then_ms).arg(&first[0])).await;
    eye.is_quiet("one of them died more than an hour ago").await;
}

#[tokio::test]
async fn a_share_of_failures_above_the_limit_is_told_from_twenty_jobs_on() {
    let world = World::of_queues();
    let mut eye = Eye::of(&world, "failure_share", "0.2", "");
    die(&world, 30).await;
    eye.begins().await;

    die(&world, 4).await;
    succeed(&world, 15).await;
    eye.is_quiet("nineteen are too few to judge").await;
    succeed(&world, 1).await;
    eye.is_quiet("a fifth may fail").await;
    die(&world, 1).await;
    eye.fires(
        "default: queue `default`: 5 of the last 21 jobs that ended died, which is 23.8 % (limit 20 %)",
    )
    .await;
}

#[tokio::test]
async fn a_queue_that_nobody_knew_at_the_first_look_is_judged_too() {
    let world = World::of_queues();
    let mut eye = Eye::of(&world, "failure_share", "0.2", "");
    eye.begins().await;

    let late = world.queue("late");
    world.fleet().add_queue("late").await.unwrap();
    eye.is_quiet("nothing has ended").await;
    let jobs: Vec<_> = (0..20).map(|_| world.job("sql.run", &json!({}))).collect();
    late.enqueue_all(&jobs).await.unwrap();
    let claimed = Hand::new("w", &["sql.run"]).claim(&late, 20).await;
    let burials: Vec<_> = claimed.iter().map(|job| dead(job, "no")).collect();
    late.bury(&burials).await.unwrap();

    eye.fires("late: queue `late`: 20 of the last 20 jobs that ended died").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_workers_than_there_have_to_be_are_told() {
    let world = World::of_queues();
    let (mut one, mut two) = (Eye::of(&world, "workers", "1", ""), Eye::of(&world, "workers", "2", ""));
    one.fires(": no worker is there: jobs wait").await;

    let worker = Worker::start(world.settings(catalog(), ""));
    eventually("it is known", async || !world.fleet().live_workers().await.unwrap().is_empty()).await;

    one.is_quiet("one is enough").await;
    two.fires(": only 1 worker(s) are there (limit 2)").await;
    worker.drain().await;
}
