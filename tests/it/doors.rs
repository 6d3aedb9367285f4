//! Queues that take no new jobs, and what is kept of those that ended, by bytes.

use std::time::Duration;

use brasa_shared::queue::{Enqueued, Keep, QueueError, Tick, Verdict};
use brasa_tests::World;
use brasa_tests::hand::{Hand, again, dead, done};
use brasa_tests::recount::{assert_exact, said};
use redis::cmd;
use serde_json::json;

const KIND: &str = "sql.run";

fn hand() -> Hand {
    Hand::new("w", &[KIND])
}

#[tokio::test]
async fn a_closed_queue_takes_no_new_job_by_any_door_and_says_who_closed_it() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    queue.close("ana", "we move").await.unwrap();
    let job = world.job(KIND, &json!({}));

    let error = queue.enqueue(&job).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("closed by ana: we move"), "{error}");
    let bulk = [world.job(KIND, &json!({})), world.job(KIND, &json!({}))];
    assert!(matches!(queue.enqueue_all(&bulk).await, Err(QueueError::Closed { taken: 0, .. })));
    let instant = world.clock.now();
    let tick = Tick { schedule: "s", instant, overlap: "queue", withheld: None, why: "", job: &job };
    assert!(matches!(queue.tick(&tick).await, Err(QueueError::Closed { .. })));
    let wire = job.to_wire().unwrap();
    let _: u64 = world.redis(cmd("RPUSH").arg(&queue.keys().inbox).arg(wire)).await;
    assert_eq!(queue.drain_inbox().await.unwrap(), 0);
    assert!(hand().claim(&queue, 5).await.is_empty());

    assert!(queue.reopen().await.unwrap());
    assert_eq!(queue.drain_inbox().await.unwrap(), 1);
    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Known);
    assert_eq!(queue.tick(&tick).await.unwrap(), Verdict::Fired);
}

#[tokio::test]
async fn what_a_closed_queue_has_runs_to_its_end_with_its_retries() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    queue.close("ana", "").await.unwrap();

    let job = hand().claim_one(&queue).await;
    queue.retry(&[again(&job, Duration::ZERO, "")]).await.unwrap();
    queue.promote_due().await.unwrap();
    let job = hand().claim_one(&queue).await;
    queue.bury(&[dead(&job, "why")]).await.unwrap();
    assert_eq!(queue.revive(&[id]).await.unwrap(), [true]);
    let job = hand().claim_one(&queue).await;
    queue.finish(&[done(&job)]).await.unwrap();

    assert_eq!(world.counts().await.done, 1);
    assert!(world.counts().await.closed.is_some());
}

#[tokio::test]
async fn a_job_that_is_known_is_known_also_behind_a_closed_door() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let job = world.job(KIND, &json!({}));
    queue.enqueue(&job).await.unwrap();
    queue.close("ana", "").await.unwrap();

    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Known);
}

#[tokio::test]
async fn a_queue_that_was_not_closed_cannot_be_reopened() {
    assert!(!World::of_queues().queue("default").reopen().await.unwrap());
}

/// Ends this many jobs of about a kilobyte, one call each, a second apart.
async fn end_many(world: &World, queue: &brasa_shared::queue::Queue, count: usize, die: bool) {
    for _ in 0..count {
        world.enqueue(KIND, json!({ "text": "x".repeat(1_000) })).await;
        let job = hand().claim_one(queue).await;
        if die {
            queue.bury(&[dead(&job, "why")]).await.unwrap();
        } else {
            queue.finish(&[done(&job)]).await.unwrap();
        }
        world.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn done_jobs_take_no_more_bytes_than_they_may() {
    let world = World::with_manual_clock();
    let ten_kilobytes = Keep { count: 1_000, age_ms: 3_600_000, bytes: 10_000 };
    let queue = world.queue("default").keeping(ten_kilobytes, ten_kilobytes);
    end_many(&world, &queue, 30, false).await;
    queue.sweep().await.unwrap();

    assert!((6_000..=10_000).contains(&said(&queue).await.done_bytes), "{:?}", said(&queue).await);
    assert_exact(&queue, "after dropping").await;
}

#[tokio::test]
async fn dead_jobs_take_no_more_bytes_than_they_may_and_what_is_dropped_is_counted() {
    let world = World::with_manual_clock();
    let ten_kilobytes = Keep { count: 1_000, age_ms: 3_600_000, bytes: 10_000 };
    let queue = world.queue("default").keeping(ten_kilobytes, ten_kilobytes);
    end_many(&world, &queue, 30, true).await;

    let counts = world.counts().await;
    assert!((6_000..=10_000).contains(&said(&queue).await.dead_bytes), "{:?}", said(&queue).await);
    assert_eq!(counts.dead + counts.totals["dead_dropped"], 30);
    assert_exact(&queue, "after dropping").await;
}

#[tokio::test]
async fn jobs_that_ended_together_are_dropped_one_by_one_and_the_bytes_stay_exact() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    for n in 0..40_usize {
        world.enqueue(KIND, json!({ "text": "x".repeat(n * 50) })).await;
    }
    let jobs = hand().claim(&queue, 40).await;
    queue.finish(&jobs.iter().map(done).collect::<Vec<_>>()).await.unwrap();

    for left in (0..40).rev() {
        let keep = Keep { count: left, age_ms: 3_600_000, bytes: 0 };
        queue.clone().keeping(keep, keep).sweep().await.unwrap();
        assert_eq!(world.counts().await.done, left);
        assert_exact(&queue, &format!("{left} are left")).await;
    }
}
