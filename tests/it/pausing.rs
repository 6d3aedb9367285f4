//! Pausing a queue, and letting it go on.

use std::time::Duration;

use brasa_shared::queue::Settled;
use brasa_tests::hand::{Hand, done};
use brasa_tests::{Worker, World, eventually, kinds};
use redis::cmd;
use serde_json::json;

fn hand() -> Hand {
    Hand::new("w", &["sql.run"])
}

#[tokio::test]
async fn a_paused_queue_hands_nothing_out_and_says_who_paused_it() {
    let world = World::of_queues();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;

    let paused = queue.pause("ana", "the bank is down").await.unwrap();

    assert!(hand().claim(&queue, 1).await.is_empty());
    assert_eq!((paused.by.as_str(), paused.reason.as_str()), ("ana", "the bank is down"));
    assert_eq!(queue.paused().await.unwrap().as_ref(), Some(&paused));
    assert_eq!(world.counts().await.paused, Some(paused));
}

#[tokio::test]
async fn a_paused_queue_still_takes_jobs_and_settles_running_ones() {
    let world = World::of_queues();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    let running = hand().claim_one(&queue).await;
    queue.pause("ana", "").await.unwrap();

    world.enqueue("sql.run", json!({})).await;
    assert_eq!(queue.finish(&[done(&running)]).await.unwrap(), [Settled::Accepted]);

    assert_eq!((world.counts().await.waiting, world.counts().await.done), (1, 1));
}

#[tokio::test]
async fn a_resumed_queue_hands_out_what_waited() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    queue.pause("ana", "").await.unwrap();

    assert!(queue.resume().await.unwrap());

    assert_eq!(hand().claim_one(&queue).await.id, id);
    assert_eq!(queue.paused().await.unwrap(), None);
}

#[tokio::test]
async fn resuming_a_queue_that_runs_changes_nothing() {
    let world = World::of_queues();

    assert!(!world.queue("default").resume().await.unwrap());
}

#[tokio::test]
async fn pausing_one_queue_leaves_the_others_alone() {
    let world = World::of_queues();
    world.queue("other").pause("ana", "").await.unwrap();
    let id = world.enqueue("sql.run", json!({})).await;

    assert_eq!(hand().claim_one(&world.queue("default")).await.id, id);
}

#[tokio::test]
async fn a_pause_that_somebody_set_by_hand_is_a_pause_too() {
    let world = World::of_queues();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    world.redis::<()>(cmd("SET").arg(&queue.keys().paused).arg("ask ana")).await;

    assert!(hand().claim(&queue, 1).await.is_empty());
    assert_eq!(queue.paused().await.unwrap().unwrap().reason, "ask ana");
}

/// Workers look once a second by themselves; resuming is faster than that, ten times in a row.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_starts_again_when_its_queue_is_resumed() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let worker = Worker::start(world.settings(kinds::kinds(), ""));
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        queue.pause("ana", "").await.unwrap();
        let done_before = world.counts().await.done;
        world.enqueue("test.echo", json!({})).await;
        // The worker was woken, found the queue paused and went back to sleep.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(world.counts().await.done, done_before);

        queue.resume().await.unwrap();
        eventually("the job is done", async || world.counts().await.done > done_before).await;
    }

    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    worker.drain().await;
}
