//! Why a job is not running: every state has an answer.

use std::time::Duration;

use brasa_shared::queue::{Envelope, Flow, Limit, LimitScope, Queue, Why, WorkerInfo};
use brasa_tests::World;
use brasa_tests::hand::{CRASHES_MAX, Hand, LEASE_OVER, again, dead, done};
use serde_json::json;

const KIND: &str = "sql.run";

fn hand() -> Hand {
    Hand::new("w", &[KIND])
}

fn worker(queue: &str, classes: &[&str]) -> WorkerInfo {
    WorkerInfo {
        worker: "w".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        since: 0,
        queues: vec![queue.to_owned()],
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        concurrency: 2,
        keys: Vec::new(),
    }
}

/// Why, as far as a queue with one worker goes that knows the kind.
async fn why(queue: &Queue, id: &str) -> Why {
    queue.why(id, &[worker("default", &[KIND])]).await.unwrap().expect("a known job")
}

async fn reason(queue: &Queue, id: &str) -> &'static str {
    why(queue, id).await.reason
}

fn limited(world: &World, scope: LimitScope, at_once: u32, rate: Option<(u32, Duration)>) -> Queue {
    world.queue("default").limited(vec![Limit { scope, at_once, rate }])
}

async fn put(world: &World, change: impl FnOnce(&mut Envelope)) -> String {
    let mut job = world.job(KIND, &json!({}));
    change(&mut job);
    world.queue("default").enqueue(&job).await.unwrap();
    world.advance(Duration::from_millis(1));
    job.id
}

#[tokio::test]
async fn nobody_knows_why_of_a_job_that_nobody_knows() {
    assert!(World::of_queues().queue("default").why("nobody", &[]).await.unwrap().is_none());
}

#[tokio::test]
async fn a_job_is_next_or_behind_so_many() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = put(&world, |_| ()).await;
    put(&world, |_| ()).await;
    let third = put(&world, |_| ()).await;

    assert_eq!(reason(&queue, &first).await, "next");
    let behind = why(&queue, &third).await;
    assert_eq!(behind.reason, "behind");
    assert!(behind.text.contains("2 job(s)"), "{}", behind.text);

    put(&world, |_| ()).await;
    hand().claim(&queue, 2).await;
    let busy = why(&queue, &third).await;
    assert!(busy.reason == "next" && busy.text.contains("all 2 slots are taken"), "{busy:?}");
}

#[tokio::test]
async fn places_in_shared_and_urgent_lanes_are_found_too() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    for priority in [0, 3] {
        let share = |job: &mut Envelope| (job.share, job.priority) = (Some("acme".to_owned()), priority);
        put(&world, share).await;
        let second = put(&world, share).await;

        assert!(why(&queue, &second).await.text.contains("1 job(s)"));
    }
}

#[tokio::test]
async fn pauses_expiry_and_missing_workers_are_named() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = put(&world, |_| ()).await;
    let late = put(&world, |job| job.expires = Some(0)).await;

    assert_eq!(reason(&queue, &late).await, "expired");
    assert_eq!(queue.why(&id, &[]).await.unwrap().unwrap().reason, "no-worker");
    let elsewhere = [worker("other", &[KIND])];
    assert_eq!(queue.why(&id, &elsewhere).await.unwrap().unwrap().reason, "no-worker");
    let ignorant = [worker("default", &["cache.warm"])];
    let unknown = queue.why(&id, &ignorant).await.unwrap().unwrap();
    assert!(unknown.reason == "unknown-kind" && unknown.text.contains(KIND), "{unknown:?}");

    queue.pause("ana", "we move").await.unwrap();
    let paused = why(&queue, &id).await;
    assert!(paused.reason == "paused" && paused.text.contains("by ana: we move"), "{paused:?}");
}

#[tokio::test]
async fn each_limit_is_named_with_its_number() {
    for (scope, said) in [
        (LimitScope::Queue, "the queue is at its limit: 1 of 1"),
        (LimitScope::Kind(KIND.to_owned()), "the kind `sql.run` is at its limit: 1 of 1"),
        (LimitScope::Share, "its share key is at its limit: 1 of 1"),
    ] {
        let world = World::with_manual_clock();
        let queue = limited(&world, scope, 1, None);
        let share = |job: &mut Envelope| job.share = Some("acme".to_owned());
        put(&world, share).await;
        let second = put(&world, share).await;
        hand().claim(&queue, 2).await;

        let limited = why(&queue, &second).await;
        assert!(limited.reason == "limited" && limited.text.contains(said), "{limited:?}");
        // Somebody who does not know the limits has an answer too.
        assert_eq!(reason(&world.queue("default"), &second).await, "next");
    }
}

#[tokio::test]
async fn a_rate_is_named_with_the_time_of_the_next_start() {
    let world = World::with_manual_clock();
    let queue = limited(&world, LimitScope::Queue, 0, Some((1, Duration::from_secs(10))));
    put(&world, |_| ()).await;
    let second = put(&world, |_| ()).await;
    hand().claim(&queue, 2).await;
    world.advance(Duration::from_secs(4));

    let limited = why(&queue, &second).await;
    assert!(limited.reason == "limited" && limited.text.contains("in 6000 ms"), "{limited:?}");
}

#[tokio::test]
async fn delayed_jobs_say_whether_they_are_early_tried_again_or_asked_for_it() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let later = world.clock.now().as_millisecond() + 60_000;
    let early = put(&world, |job| job.due = Some(later)).await;
    let failed = put(&world, |_| ()).await;
    let snoozed = put(&world, |_| ()).await;
    let jobs = hand().claim(&queue, 2).await;
    queue.retry(&[again(&jobs[0], Duration::from_mins(1), "0 1 failed it is raining")]).await.unwrap();
    let mut snooze = again(&jobs[1], Duration::from_mins(1), "");
    snooze.snooze = true;
    queue.retry(&[snooze]).await.unwrap();

    for (id, said) in [(early, "enqueued for later"), (failed, "it is raining"), (snoozed, "")] {
        let delayed = why(&queue, &id).await;
        assert!(delayed.reason == "delayed" && delayed.text.contains(said), "{delayed:?}");
    }
}

#[tokio::test]
async fn a_blocked_job_names_what_it_waits_for() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let members = (0..3).map(|_| world.job(KIND, &json!({}))).collect();
    let flow = Flow::group("g", members, world.job(KIND, &json!({})), false).unwrap();
    queue.enqueue_flow(&flow).await.unwrap();
    let jobs = hand().claim(&queue, 2).await;
    let mut said = done(&jobs[0]);
    said.next.clone_from(&flow.jobs()[1].next);
    queue.finish(&[said]).await.unwrap();
    queue.bury(&[dead(&jobs[1], "why")]).await.unwrap();

    let blocked = why(&queue, "g.then").await;

    assert_eq!(blocked.reason, "blocked");
    let dead = format!("{} (dead)", jobs[1].id);
    assert!(blocked.text.contains("2 job(s)") && blocked.text.contains(&dead), "{}", blocked.text);
}

#[tokio::test]
async fn running_and_ended_jobs_say_so() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let ids = [put(&world, |_| ()).await, put(&world, |_| ()).await, put(&world, |_| ()).await];
    let jobs = hand().claim(&queue, 2).await;
    let running = why(&queue, &ids[0]).await;
    assert!(running.reason == "running" && running.text.contains('w'), "{running:?}");

    queue.finish(&[done(&jobs[0])]).await.unwrap();
    queue.bury(&[dead(&jobs[1], "it is raining")]).await.unwrap();
    queue.cancel(&ids[2], "ana", "").await.unwrap();

    for (id, said) in ids.iter().zip(["done", "dead it is raining", "cancelled by ana"]) {
        let ended = why(&queue, id).await;
        assert!(ended.reason == "ended" && ended.text.contains(said), "{ended:?}");
    }
}

#[tokio::test]
async fn a_suspect_says_that_it_waits_to_be_run_apart() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = put(&world, |_| ()).await;
    put(&world, |_| ()).await;
    for n in 0..2 {
        Hand::new(&format!("w{n}"), &[KIND]).claim(&queue, 2).await;
        world.advance(LEASE_OVER);
        queue.reclaim_lost(CRASHES_MAX).await.unwrap();
        world.advance(Duration::from_secs(2));
        queue.promote_due().await.unwrap();
    }

    let suspect = why(&queue, &id).await;
    assert!(suspect.reason == "suspect" && suspect.text.contains("lost 2 times"), "{suspect:?}");
}

#[tokio::test]
async fn a_job_that_cannot_be_read_has_an_answer() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = put(&world, |_| ()).await;
    let _: u64 = world.redis(redis::cmd("HSET").arg(&queue.keys().jobs).arg(&id).arg("not a job")).await;

    let unreadable = why(&queue, &id).await;

    assert!(unreadable.reason == "next" && unreadable.text.contains("cannot be read"), "{unreadable:?}");
}
