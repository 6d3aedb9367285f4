//! How many jobs a worker could take now: what more workers would be of use for.

use std::time::Duration;

use brasa_shared::queue::{Limit, LimitScope, Queue};
use brasa_tests::hand::{Hand, done};
use brasa_tests::process::{Brasa, http_get};
use brasa_tests::{World, eventually};
use redis::cmd;
use serde_json::json;

const KIND: &str = "mail.send";
const OTHER: &str = "sql.run";

fn at_once(scope: LimitScope, most: u32) -> Limit {
    Limit { scope, at_once: most, rate: None }
}

fn kind() -> LimitScope {
    LimitScope::Kind(KIND.to_owned())
}

async fn put(world: &World, kind: &str, share: Option<&str>, count: usize) {
    let mut jobs: Vec<_> = (0..count).map(|_| world.job(kind, &json!({}))).collect();
    for job in &mut jobs {
        job.share = share.map(ToOwned::to_owned);
    }
    world.queue("default").enqueue_all(&jobs).await.unwrap();
}

async fn ready(queue: &Queue) -> u64 {
    queue.ready(&queue.counts().await.unwrap()).await.unwrap()
}

fn hand() -> Hand {
    Hand::new("w", &[KIND, OTHER])
}

#[tokio::test]
async fn without_limits_all_that_waits_is_ready_and_nothing_is_while_the_queue_is_paused() {
    let world = World::of_queues();
    let queue = world.queue("default");
    assert_eq!(ready(&queue).await, 0);
    put(&world, KIND, None, 3).await;
    put(&world, OTHER, Some("acme"), 2).await;
    let _length: i64 = world.redis(cmd("RPUSH").arg(&queue.keys().inbox).arg("{}")).await;
    assert_eq!(ready(&queue).await, 6);

    queue.pause("ana", "the bank is down").await.unwrap();
    assert_eq!((queue.counts().await.unwrap().waiting, ready(&queue).await), (6, 0));
    queue.resume().await.unwrap();
    assert_eq!(ready(&queue).await, 6);
}

#[tokio::test]
async fn no_more_is_ready_than_limits_of_the_queue_and_of_kinds_leave() {
    for (limits, at_first, after_two) in [
        (vec![at_once(LimitScope::Queue, 4)], 4, 2),
        (vec![at_once(kind(), 3)], 3 + 5, 1 + 5),
        (vec![at_once(kind(), 2), at_once(LimitScope::Queue, 6)], 6, 4),
        (vec![at_once(LimitScope::Share, 1)], 15, 13),
    ] {
        let world = World::of_queues();
        let queue = world.queue("default").limited(limits.clone());
        put(&world, KIND, None, 10).await;
        put(&world, OTHER, None, 5).await;
        assert_eq!(ready(&queue).await, at_first, "{limits:?}");

        let claimed = Hand::new("w", &[KIND]).claim(&queue, 2).await;
        assert_eq!((claimed.len(), ready(&queue).await), (2, after_two), "{limits:?}");
        queue.finish(&claimed.iter().map(done).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(ready(&queue).await, at_first.min(13), "{limits:?}");
    }
}

#[tokio::test]
async fn what_waits_for_its_share_key_is_not_ready() {
    let world = World::of_queues();
    let queue = world.queue("default").limited(vec![at_once(LimitScope::Share, 1)]);
    put(&world, KIND, Some("acme"), 5).await;
    put(&world, OTHER, None, 1).await;

    assert_eq!(hand().claim(&queue, 9).await.len(), 2);

    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.parked, ready(&queue).await), (4, 4, 0));
}

#[tokio::test]
async fn a_rate_lets_as_many_be_ready_as_may_start() {
    let world = World::with_manual_clock();
    let rate = Limit { scope: LimitScope::Queue, at_once: 0, rate: Some((4, Duration::from_secs(4))) };
    let queue = world.queue("default").limited(vec![rate]);
    put(&world, KIND, None, 20).await;
    assert_eq!(ready(&queue).await, 4);

    assert_eq!(hand().claim(&queue, 9).await.len(), 4);
    assert_eq!(ready(&queue).await, 0);
    for seconds in [1, 2] {
        world.advance(Duration::from_secs(1));
        assert_eq!(ready(&queue).await, seconds);
    }
    // As many as claims hand out.
    assert_eq!(hand().claim(&queue, 9).await.len(), 2);
}

#[tokio::test]
async fn a_worker_tells_how_much_is_ready_beside_how_much_waits() {
    let world = World::new().await;
    put(&world, "nobody.knows", None, 3).await;
    let worker = Brasa::configured(&world, "").start(["worker", "--listen", "127.0.0.1:0"]);
    let address = worker.address().await;
    let told = async |ready: u32| {
        let what = format!("3 wait, and {ready} of them are ready");
        eventually(&what, async || {
            let (_, metrics) = http_get(address, "/metrics").await.unwrap();
            metrics.contains("brasa_queue_jobs{queue=\"default\",state=\"waiting\"} 3\n")
                && metrics.contains(&format!("brasa_queue_ready_jobs{{queue=\"default\"}} {ready}\n"))
        })
        .await;
    };
    told(3).await;
    world.queue("default").pause("ana", "").await.unwrap();
    told(0).await;
}
