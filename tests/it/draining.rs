//! A worker that is told to end, and how it leaves its jobs.

use std::time::{Duration, Instant};

use brasa_shared::queue::State;
use brasa_shared::store::Store;
use brasa_tests::kinds::{at_the_gate, at_the_gate_now, kinds, obedient_at_the_gate, open_the_gate};
use brasa_tests::{Proxy, Worker, World, eventually};
use brasa_worker::Tally;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_when_all_is_done_waits_for_what_is_due_later() {
    let world = World::of_queues();
    let mut job = world.job("test.echo", &json!({}));
    job.due = Some((world.clock.now() + Duration::from_millis(500)).as_millisecond());
    world.queue("default").enqueue(&job).await.unwrap();
    let mut settings = world.settings(kinds(), "");
    settings.until_empty = true;

    assert_eq!(Worker::start(settings).ended().await.done, 1);

    assert_eq!(world.state(&job.id).await, Some(State::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_running_jobs_finish_and_begins_no_others() {
    let (world, worker) = Worker::in_a_world();
    let running = world.enqueue("test.gate", at_the_gate(&world)).await;
    world.is(&running, State::Running).await;

    worker.shutdown.drain.cancel();
    let later = world.enqueue("test.echo", json!({})).await;
    open_the_gate(&world).await;

    assert_eq!(worker.ended().await, Tally { done: 1, failed: 0 });
    assert_eq!(world.state(&running).await, Some(State::Done));
    assert_eq!(world.state(&later).await, Some(State::Waiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_is_handed_back_without_using_an_attempt() {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.shutdown_grace = Duration::from_millis(100);
    let worker = Worker::start(settings);
    // One stops when it is told to, the other has to be stopped.
    let obedient = world.enqueue("test.gate", obedient_at_the_gate(&world)).await;
    let stubborn = world.enqueue("test.gate", at_the_gate(&world)).await;
    eventually("both jobs run", async || at_the_gate_now(&world).await == 2).await;

    assert_eq!(worker.drain().await, Tally { done: 0, failed: 0 });

    for id in [&obedient, &stubborn] {
        let view = world.show(id).await;
        assert_eq!((view.state, view.attempt), (State::Waiting, 0));
    }
    open_the_gate(&world).await;
    let next = Worker::start(world.settings(kinds(), ""));
    for id in [&obedient, &stubborn] {
        assert_eq!(world.result(id).await, json!({ "attempt": 1 }));
    }
    next.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_to_end_does_not_wait_for_the_grace() {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.shutdown_grace = Duration::from_hours(1);
    let worker = Worker::start(settings);
    let id = world.enqueue("test.gate", at_the_gate(&world)).await;
    world.is(&id, State::Running).await;

    worker.shutdown.ask();
    worker.shutdown.ask();

    worker.ended().await;
    assert_eq!((world.state(&id).await, world.show(&id).await.attempt), (Some(State::Waiting), 0));
}

/// The claim is on its way when everything is told to stop, and is answered after that.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_claimed_while_everything_stopped_is_handed_back() {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let mut settings = world.settings(kinds(), "");
    settings.queues = vec![(world.queue("default").over(Store::open(&proxy.url()).unwrap()), 1)];
    let worker = Worker::start(settings);
    let first = world.enqueue("test.echo", json!({})).await;
    world.is(&first, State::Done).await;
    proxy.freeze();
    let id = world.enqueue("test.gate", at_the_gate(&world)).await;
    // Within a second it asks for jobs.
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    worker.shutdown.ask();
    worker.shutdown.ask();
    // The first thing that an end at once does is to tell everything to stop.
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.thaw();

    worker.ended().await;
    assert_eq!((world.state(&id).await, world.show(&id).await.attempt), (Some(State::Waiting), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_ends_at_once() {
    let (world, worker) = Worker::in_a_world();
    eventually("the worker reports", async || world.fleet().workers().await.unwrap().len() == 1).await;
    let begun = Instant::now();

    worker.drain().await;

    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_seen_by_the_fleet_until_it_has_drained() {
    let (world, worker) = Worker::in_a_world();
    eventually("the worker reports", async || world.fleet().workers().await.unwrap().len() == 1).await;
    let info = world.fleet().workers().await.unwrap().remove(0);
    assert_eq!(
        (info.queues, info.concurrency, info.pid),
        (vec!["default".to_owned()], 4, std::process::id())
    );

    worker.drain().await;

    assert!(world.fleet().workers().await.unwrap().is_empty());
}
