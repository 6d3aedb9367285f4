//! Cancelling a job, wherever it is.

use std::time::{Duration, Instant};

use brasa_shared::queue::{Cancelled, Ending, Renewal, State};
use brasa_tests::hand::{Hand, LEASE, dead, done, held};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use serde_json::json;

fn hand() -> Hand {
    Hand::new("w", &["sql.run"])
}

#[tokio::test]
async fn a_waiting_job_that_is_cancelled_is_never_handed_out() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;

    assert_eq!(queue.cancel(&id, "ana", "not needed").await.unwrap(), Cancelled::Cancelled);

    assert!(hand().claim(&queue, 1).await.is_empty());
    assert_eq!(world.state(&id).await, Some(State::Done));
}

#[tokio::test]
async fn a_delayed_job_that_is_cancelled_never_becomes_due() {
    let world = World::with_manual_clock();
    let (queue, mut job) = (world.queue("default"), world.job("sql.run", &json!({})));
    job.due = Some((world.clock.now() + Duration::from_mins(1)).as_millisecond());
    queue.enqueue(&job).await.unwrap();

    assert_eq!(queue.cancel(&job.id, "ana", "").await.unwrap(), Cancelled::Cancelled);

    world.advance(Duration::from_mins(2));
    assert_eq!(queue.promote_due().await.unwrap(), 0);
}

#[tokio::test]
async fn the_holder_of_a_job_that_is_cancelled_learns_it_when_it_renews() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;

    assert_eq!(queue.cancel(&id, "ana", "too slow").await.unwrap(), Cancelled::Asked);

    assert_eq!(queue.renew(&[held(&job)], LEASE).await.unwrap(), [Renewal::StopAsked]);
    assert_eq!(world.show(&id).await.stop_asked.as_deref(), Some("by ana: too slow"));
    assert_eq!(queue.cancel_reason(&id).await.unwrap().as_deref(), Some("by ana: too slow"));
}

#[tokio::test]
async fn a_job_that_came_through_although_it_was_cancelled_is_done() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;
    queue.cancel(&id, "ana", "").await.unwrap();

    queue.finish(&[done(&job)]).await.unwrap();

    let view = world.show(&id).await;
    assert_eq!((view.outcome.unwrap().ending, view.stop_asked), (Ending::Done, None));
}

#[tokio::test]
async fn what_has_ended_cannot_be_cancelled() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let (first, second) =
        (world.enqueue("sql.run", json!({})).await, world.enqueue("sql.run", json!({})).await);
    let jobs = hand().claim(&queue, 2).await;
    let job = |id: &String| jobs.iter().find(|job| job.id == *id).unwrap();
    queue.finish(&[done(job(&first))]).await.unwrap();
    queue.bury(&[dead(job(&second), "why")]).await.unwrap();

    assert_eq!(queue.cancel(&first, "ana", "").await.unwrap(), Cancelled::Done);
    assert_eq!(queue.cancel(&second, "ana", "").await.unwrap(), Cancelled::Dead);
    assert_eq!(queue.cancel("never-was", "ana", "").await.unwrap(), Cancelled::Unknown);
    assert_eq!(world.show(&first).await.outcome.unwrap().ending, Ending::Done);
}

#[tokio::test]
async fn a_job_is_cancelled_once() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    queue.cancel(&id, "ana", "first").await.unwrap();

    assert_eq!(queue.cancel(&id, "eva", "second").await.unwrap(), Cancelled::Done);

    assert_eq!(world.show(&id).await.outcome.unwrap().reason.as_deref(), Some("by ana: first"));
    assert_eq!(world.counts().await.totals["cancelled"], 1);
}

/// With a lease of 30 s a renewal would tell after 5: what is faster is the message.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_a_running_handler_within_a_second_and_is_recorded() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let worker = Worker::start(world.settings(kinds(), ""));
    let told = format!("{}:told", world.prefix);
    let id = world.enqueue("test.sentinel", json!({ "tells": told })).await;
    eventually("the job runs", async || world.state(&id).await == Some(State::Running)).await;

    let asked = Instant::now();
    assert_eq!(queue.cancel(&id, "ana", "enough").await.unwrap(), Cancelled::Asked);
    eventually("the handler is told", async || world.redis(redis::cmd("EXISTS").arg(&told)).await).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());

    eventually("it is recorded", async || world.state(&id).await == Some(State::Done)).await;
    let outcome = world.show(&id).await.outcome.unwrap();
    assert_eq!((outcome.ending, outcome.attempt), (Ending::Cancelled, 1));
    assert_eq!(outcome.reason.as_deref(), Some("by ana: enough"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_does_not_listen_is_cancelled_all_the_same() {
    let world = World::of_queues();
    let worker = Worker::start(world.settings(kinds(), ""));
    let gate = format!("{}:gate", world.prefix);
    let id = world.enqueue("test.gate", json!({ "gate": gate })).await;
    eventually("the job runs", async || world.state(&id).await == Some(State::Running)).await;

    world.queue("default").cancel(&id, "ana", "").await.unwrap();

    eventually("it is recorded", async || world.state(&id).await == Some(State::Done)).await;
    assert_eq!(world.show(&id).await.outcome.unwrap().ending, Ending::Cancelled);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_after_it_was_cancelled_is_not_tried_again() {
    let world = World::of_queues();
    let worker = Worker::start(world.settings(kinds(), ""));
    let gate = format!("{}:gate", world.prefix);
    // When it is told to stop, it says that it wants to be tried again.
    let id = world.enqueue("test.gate", json!({ "gate": gate, "obeys": true })).await;
    eventually("the job runs", async || world.state(&id).await == Some(State::Running)).await;

    world.queue("default").cancel(&id, "ana", "").await.unwrap();

    eventually("it is recorded", async || world.state(&id).await == Some(State::Done)).await;
    let view = world.show(&id).await;
    assert_eq!((view.outcome.unwrap().ending, view.attempt), (Ending::Cancelled, 1));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_while_it_runs_frees_its_unique_key() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let worker = Worker::start(world.settings(kinds(), ""));
    let mut job = world.job("test.gate", &json!({ "gate": format!("{}:gate", world.prefix), "obeys": true }));
    job.unique = Some("key".to_owned());
    queue.enqueue(&job).await.unwrap();
    eventually("the job runs", async || world.state(&job.id).await == Some(State::Running)).await;

    queue.cancel(&job.id, "ana", "").await.unwrap();

    eventually("it is recorded", async || world.state(&job.id).await == Some(State::Done)).await;
    let holder: Option<String> = world.redis(redis::cmd("HGET").arg(&queue.keys().unique).arg("key")).await;
    assert_eq!(holder, None);
    worker.drain().await;
}
