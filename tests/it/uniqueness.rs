//! At most one job per unique key: until it has ended, until it starts, or for a while.

use std::time::Duration;

use brasa_shared::queue::{Enqueued, Envelope, Flow, Queue, UniqueUntil};
use brasa_tests::World;
use brasa_tests::hand::{CRASHES_MAX, Hand, LEASE_OVER, again, done, done_freeing};
use redis::cmd;
use serde_json::json;

const KIND: &str = "sql.run";

fn hand() -> Hand {
    Hand::new("w", &[KIND])
}

fn unique(world: &World, key: &str) -> Envelope {
    let mut job = world.job(KIND, &json!({}));
    job.unique = Some(key.to_owned());
    job
}

fn until_started(world: &World, key: &str) -> Envelope {
    Envelope { unique_until: UniqueUntil::Started, ..unique(world, key) }
}

fn throttled(world: &World, key: &str, window_ms: u64) -> Envelope {
    Envelope { unique_for_ms: Some(window_ms), ..unique(world, key) }
}

async fn put(queue: &Queue, job: &Envelope) -> Enqueued {
    queue.enqueue(job).await.unwrap()
}

fn held_by(job: &Envelope) -> Enqueued {
    Enqueued::Held { by: job.id.clone() }
}

/// How many keys and locks are remembered.
async fn remembered(world: &World) -> (u64, u64) {
    let queue = world.queue("default");
    let k = queue.keys();
    (world.redis(cmd("HLEN").arg(&k.unique)).await, world.redis(cmd("HLEN").arg(&k.locks)).await)
}

#[tokio::test]
async fn a_key_until_the_start_is_free_when_its_job_is_handed_out_and_not_before() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let first = until_started(&world, "k");
    put(&queue, &first).await;
    assert_eq!(put(&queue, &until_started(&world, "k")).await, held_by(&first));

    hand().claim_one(&queue).await;

    let second = until_started(&world, "k");
    assert_eq!(put(&queue, &second).await, Enqueued::New);
    assert_eq!(put(&queue, &until_started(&world, "k")).await, held_by(&second));
}

#[tokio::test]
async fn a_retry_of_a_job_with_a_key_until_the_start_does_not_free_the_key_of_the_next_one() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    put(&queue, &until_started(&world, "k")).await;
    let job = hand().claim_one(&queue).await;
    let second = until_started(&world, "k");
    put(&queue, &second).await;

    queue.retry(&[again(&job, Duration::ZERO, "")]).await.unwrap();
    queue.promote_due().await.unwrap();
    world.advance(Duration::from_millis(5));
    let retried = hand().claim(&queue, 2).await;
    assert_eq!(retried.len(), 2);
    queue.finish(&[done_freeing(&retried[0], "k"), done_freeing(&retried[1], "k")]).await.unwrap();

    assert_eq!(remembered(&world).await, (0, 0));
}

#[tokio::test]
async fn a_delayed_job_with_a_key_until_the_start_frees_it_when_it_starts() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut job = until_started(&world, "k");
    job.due = Some(world.clock.now().as_millisecond() + 1_000);
    put(&queue, &job).await;
    world.advance(Duration::from_secs(1));
    queue.promote_due().await.unwrap();
    assert_eq!(put(&queue, &until_started(&world, "k")).await, held_by(&job));

    hand().claim_one(&queue).await;

    assert_eq!(put(&queue, &until_started(&world, "k")).await, Enqueued::New);
}

#[tokio::test]
async fn a_job_that_waited_for_another_frees_its_key_when_it_starts() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let flow = Flow::chain("c", vec![world.job(KIND, &json!({})), until_started(&world, "k")]).unwrap();
    queue.enqueue_flow(&flow).await.unwrap();
    let first = hand().claim_one(&queue).await;
    let mut said = done(&first);
    said.next.clone_from(&flow.jobs()[1].next);
    queue.finish(&[said]).await.unwrap();

    assert_eq!(hand().claim_one(&queue).await.id, "c.2");

    assert_eq!(put(&queue, &until_started(&world, "k")).await, Enqueued::New);
}

#[tokio::test]
async fn a_throttled_key_is_taken_for_its_window_also_when_its_job_has_ended() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = throttled(&world, "k", 60_000);
    put(&queue, &first).await;
    let job = hand().claim_one(&queue).await;
    let mut said = done_freeing(&job, "k");
    said.keep_ms = Some(60_000);
    queue.finish(&[said]).await.unwrap();

    world.advance(Duration::from_millis(59_999));
    queue.sweep().await.unwrap();
    assert_eq!(put(&queue, &throttled(&world, "k", 60_000)).await, held_by(&first));

    world.advance(Duration::from_millis(1));
    assert_eq!(put(&queue, &throttled(&world, "k", 60_000)).await, Enqueued::New);
}

#[tokio::test]
async fn a_window_is_over_when_it_is_over_although_its_job_still_waits() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    put(&queue, &throttled(&world, "k", 1_000)).await;

    world.advance(Duration::from_secs(1));

    assert_eq!(put(&queue, &throttled(&world, "k", 1_000)).await, Enqueued::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_keeps_a_throttled_job_known_for_as_long_as_its_window() {
    use brasa_shared::queue::Keep;
    use brasa_tests::Worker;
    use brasa_tests::kinds::kinds;

    let world = World::of_queues();
    let none = Keep { count: 0, age_ms: 0, bytes: 0 };
    let mut settings = world.settings(kinds(), "");
    settings.queues[0].0 = settings.queues[0].0.clone().keeping(none, none);
    let worker = Worker::start(settings);
    let mut job = throttled(&world, "k", 600_000);
    job.kind = "test.echo".to_owned();
    world.queue("default").enqueue(&job).await.unwrap();
    world.result(&job.id).await;

    assert_eq!(
        world.queue("default").enqueue(&throttled(&world, "k", 600_000)).await.unwrap(),
        held_by(&job)
    );
    worker.drain().await;
}

/// Ten thousand customers who are throttled once each must not be remembered for ever.
#[tokio::test]
async fn what_is_remembered_of_windows_goes_when_they_are_over() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..100).map(|n| throttled(&world, &format!("k{n}"), 1_000)).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    for job in hand().claim(&queue, 100).await {
        let mut said = done(&job);
        said.keep_ms = Some(1_000);
        queue.finish(&[said]).await.unwrap();
    }
    assert_eq!(remembered(&world).await.0, 100);

    world.advance(Duration::from_secs(2));
    while queue.sweep().await.unwrap() > 0 {}

    assert_eq!(remembered(&world).await, (0, 0));
}

#[tokio::test]
async fn a_window_that_was_taken_anew_is_not_swept_with_the_one_before() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    put(&queue, &throttled(&world, "k", 1_000)).await;
    world.advance(Duration::from_millis(1_500));
    let second = throttled(&world, "k", 1_000);
    put(&queue, &second).await;

    queue.sweep().await.unwrap();

    assert_eq!(put(&queue, &throttled(&world, "k", 1_000)).await, held_by(&second));
}

/// Whatever becomes of a job, once it has ended or is gone its key is free.
#[tokio::test]
async fn no_lock_outlives_its_job_whichever_way_it_goes() {
    for make in [unique as fn(&World, &str) -> Envelope, until_started] {
        for way in ["done-freeing", "done-silently", "cancelled", "lost", "swept", "vanished"] {
            let world = World::with_manual_clock();
            let queue = world.queue("default");
            put(&queue, &make(&world, "k")).await;
            go(&world, &queue, way).await;
            assert_eq!(put(&queue, &make(&world, "k")).await, Enqueued::New, "{way}");
        }
    }
}

async fn go(world: &World, queue: &Queue, way: &str) {
    if way == "cancelled" {
        let id = queue.list(brasa_shared::queue::State::Waiting, 1).await.unwrap().remove(0).id;
        queue.cancel(&id, "ana", "").await.unwrap();
        return;
    }
    let job = hand().claim_one(queue).await;
    match way {
        "done-freeing" => drop(queue.finish(&[done_freeing(&job, "k")]).await.unwrap()),
        // An older worker that read the job otherwise, say.
        "done-silently" => drop(queue.finish(&[done(&job)]).await.unwrap()),
        "lost" => {
            world.advance(LEASE_OVER);
            queue.reclaim_lost(1).await.unwrap();
        }
        "swept" => {
            queue.finish(&[done(&job)]).await.unwrap();
            world.advance(Duration::from_hours(2));
            queue.sweep().await.unwrap();
        }
        _ => {
            let _: u64 = world.redis(cmd("HDEL").arg(&queue.keys().jobs).arg(&job.id)).await;
        }
    }
}

#[tokio::test]
async fn a_key_is_held_through_a_lost_lease_and_its_return() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = unique(&world, "k");
    put(&queue, &first).await;
    hand().claim_one(&queue).await;
    world.advance(LEASE_OVER);
    queue.reclaim_lost(CRASHES_MAX).await.unwrap();

    assert_eq!(put(&queue, &unique(&world, "k")).await, held_by(&first));
    queue.promote_due().await.unwrap();
    assert_eq!(put(&queue, &unique(&world, "k")).await, held_by(&first));
}

#[tokio::test]
async fn a_window_that_is_over_keeps_no_dead_job_from_coming_back() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = unique(&world, "k");
    put(&queue, &first).await;
    let held = hand().claim_one(&queue).await;
    queue.bury(&[brasa_tests::hand::dead(&held, "no")]).await.unwrap();
    put(&queue, &throttled(&world, "k", 1_000)).await;
    let revived = async || queue.revive(std::slice::from_ref(&first.id)).await.unwrap();
    assert_eq!(revived().await, [false]);

    world.advance(Duration::from_secs(1));

    assert_eq!(revived().await, [true]);
}
