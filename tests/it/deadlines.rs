//! Jobs that are worth nothing later: expiry before the start, and deadlines.

use std::time::Duration;

use brasa_shared::queue::{Ending, Envelope, State};
use brasa_tests::hand::Hand;
use brasa_tests::kinds::{at_the_gate, kinds};
use brasa_tests::{Worker, World};
use serde_json::{Value, json};

#[expect(clippy::unnecessary_wraps, reason = "it is a field of the envelope")]
fn in_ms(world: &World, ms: i64) -> Option<i64> {
    Some(world.clock.now().as_millisecond() + ms)
}

async fn put(world: &World, job: Envelope) -> String {
    world.queue("default").enqueue(&job).await.unwrap();
    job.id
}

fn failing(world: &World, args: &Value) -> Envelope {
    world.job("test.fail", args)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_comes_too_late_does_not_start_and_is_recorded_as_expired() {
    let world = World::of_queues();
    let mut job = world.job("test.fail", &json!({ "how": "bury" }));
    job.expires = in_ms(&world, -1_000);
    let id = put(&world, job).await;
    let worker = Worker::start(world.settings(kinds(), ""));
    world.is(&id, State::Done).await;

    let outcome = world.show(&id).await.outcome.unwrap();
    assert_eq!(outcome.ending, Ending::Expired);
    assert!(outcome.reason.unwrap().contains("not to start so late"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_starts_in_time_runs_although_it_expires_meanwhile() {
    let world = World::of_queues();
    let mut job = world.job("test.block", &json!({ "ms": 300 }));
    job.expires = in_ms(&world, 10_000);
    let id = put(&world, job).await;
    let worker = Worker::start(world.settings(kinds(), ""));

    world.is(&id, State::Done).await;

    assert_eq!(world.show(&id).await.outcome.unwrap().ending, Ending::Done);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_job_frees_its_key_and_holds_those_that_want_it_done() {
    use brasa_shared::queue::{Enqueued, Flow};

    let world = World::of_queues();
    let queue = world.queue("default");
    let mut first = world.job("test.echo", &json!({}));
    (first.expires, first.unique) = (in_ms(&world, -1_000), Some("k".to_owned()));
    let flow = Flow::chain("c", vec![first.clone(), world.job("test.echo", &json!({}))]).unwrap();
    queue.enqueue_flow(&flow).await.unwrap();
    let worker = Worker::start(world.settings(kinds(), ""));
    world.is("c.1", State::Done).await;

    assert_eq!(world.state("c.2").await, Some(State::Blocked));
    first.expires = None;
    first.id = "again".to_owned();
    assert_eq!(queue.enqueue(&first).await.unwrap(), Enqueued::New);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_cut_short_at_the_deadline_and_none_comes_after_it() {
    let world = World::of_queues();
    let mut job = world.job("test.gate", &at_the_gate(&world));
    job.deadline = in_ms(&world, 700);
    let id = put(&world, job).await;
    let worker = Worker::start(world.settings(kinds(), ""));

    let reason = world.buried(&id).await;

    assert!(reason.contains("was stopped") && reason.contains("its deadline is over"), "{reason}");
    assert_eq!(world.show(&id).await.attempt, 1);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_and_a_snooze_that_would_come_after_the_deadline_are_not_waited_for() {
    let world = World::of_queues();
    let worker = Worker::start(world.settings(kinds(), ""));
    for how in ["retry-in", "snooze"] {
        let mut job = failing(&world, &json!({ "how": how, "ms": 60_000 }));
        job.deadline = in_ms(&world, 30_000);
        let id = put(&world, job).await;

        let reason = world.buried(&id).await;

        assert!(reason.contains("its deadline is over before it could be tried again"), "{reason}");
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_before_the_deadline_is_made() {
    let world = World::of_queues();
    let worker = Worker::start(world.settings(kinds(), ""));
    let mut job = failing(&world, &json!({ "how": "retry-in", "ms": 20, "times": 1 }));
    job.deadline = in_ms(&world, 30_000);
    let id = put(&world, job).await;

    assert_eq!(world.result(&id).await["attempt"], json!(2));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_deadline_was_over_before_it_started_has_expired() {
    let world = World::of_queues();
    let mut job = world.job("test.echo", &json!({}));
    job.deadline = in_ms(&world, -1);
    let id = put(&world, job).await;
    let worker = Worker::start(world.settings(kinds(), ""));
    world.is(&id, State::Done).await;

    let outcome = world.show(&id).await.outcome.unwrap();
    assert_eq!(outcome.ending, Ending::Expired);
    assert!(outcome.reason.unwrap().contains("its deadline was over"));
    worker.drain().await;
}

/// The clock of Redis judges, and what is said about the job agrees with what a worker does.
#[tokio::test]
async fn a_job_may_start_at_the_very_instant_of_its_expiry() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut job = world.job("sql.run", &json!({}));
    job.expires = in_ms(&world, 1_000);
    let id = put(&world, job).await;
    let info = world_worker(&world);

    world.advance(Duration::from_secs(1));
    assert_eq!(queue.why(&id, std::slice::from_ref(&info)).await.unwrap().unwrap().reason, "next");
    world.advance(Duration::from_millis(1));
    assert_eq!(queue.why(&id, &[info]).await.unwrap().unwrap().reason, "expired");
    assert_eq!(Hand::new("w", &["sql.run"]).claim_one(&queue).await.id, id);
}

fn world_worker(world: &World) -> brasa_shared::queue::WorkerInfo {
    brasa_shared::queue::WorkerInfo {
        worker: "w".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        since: world.clock.now().as_millisecond(),
        queues: vec!["default".to_owned()],
        classes: vec!["sql.run".to_owned()],
        concurrency: 4,
        keys: Vec::new(),
    }
}
