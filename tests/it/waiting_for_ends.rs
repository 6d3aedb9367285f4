//! Waiting for the end of a job.

use std::time::{Duration, Instant};

use brasa_shared::queue::{Keep, Queue, State};
use brasa_shared::store::Store;
use brasa_tests::hand::{Hand, LEASE_OVER, dead, done};
use brasa_tests::{Proxy, World, eventually};
use redis::cmd;
use serde_json::json;

const KIND: &str = "sql.run";
const LONG: Duration = Duration::from_secs(20);

fn hand() -> Hand {
    Hand::new("w", &[KIND])
}

async fn waiters(world: &World, queue: &Queue) -> u64 {
    world.redis(cmd("HLEN").arg(&queue.keys().waiters)).await
}

async fn somebody_waits(world: &World, queue: &Queue) {
    eventually("somebody waits", async || waiters(world, queue).await > 0).await;
}

/// Makes a job end in this way.
async fn end(world: &World, queue: &Queue, id: &str, way: &str) {
    match way {
        "cancelled" => drop(queue.cancel(id, "ana", "").await.unwrap()),
        "done" => drop(queue.finish(&[done(&hand().claim_one(queue).await)]).await.unwrap()),
        "dead" => drop(queue.bury(&[dead(&hand().claim_one(queue).await, "why")]).await.unwrap()),
        _ => {
            hand().claim_one(queue).await;
            world.queue_seen("default", LEASE_OVER).reclaim_lost(1).await.unwrap();
        }
    }
}

/// A look comes once a second: who was told at once was told by a push.
#[tokio::test]
async fn who_waits_is_told_at_once_however_the_job_ends() {
    for (way, state) in [
        ("done", State::Done),
        ("cancelled", State::Done),
        ("dead", State::Dead),
        ("quarantined", State::Dead),
    ] {
        let world = World::of_queues();
        let queue = world.queue("default");
        let id = world.enqueue(KIND, json!({})).await;
        let waiting = tokio::spawn({
            let (queue, id) = (queue.clone(), id.clone());
            async move { (queue.wait_for_end(&id, LONG).await.unwrap().unwrap(), Instant::now()) }
        });
        somebody_waits(&world, &queue).await;

        end(&world, &queue, &id, way).await;
        let ended = Instant::now();

        let (view, told) = waiting.await.unwrap();
        assert_eq!(view.state, state, "{way}");
        assert!(told.saturating_duration_since(ended) < Duration::from_millis(700), "{way}");
        assert_eq!(waiters(&world, &queue).await, 0, "{way}");
    }
}

#[tokio::test]
async fn many_wait_for_the_same_job() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (queue, id) = (queue.clone(), id.clone());
            tokio::spawn(async move { queue.wait_for_end(&id, LONG).await.unwrap().unwrap().state })
        })
        .collect();
    somebody_waits(&world, &queue).await;

    end(&world, &queue, &id, "done").await;

    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), State::Done);
    }
}

#[tokio::test]
async fn who_waits_for_a_job_that_has_ended_or_is_unknown_does_not_wait() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    end(&world, &queue, &id, "done").await;

    assert_eq!(queue.wait_for_end(&id, LONG).await.unwrap().unwrap().state, State::Done);
    assert!(queue.wait_for_end("nobody", LONG).await.unwrap().is_none());
    assert_eq!(waiters(&world, &queue).await, 0);
}

#[tokio::test]
async fn who_waits_long_enough_is_shown_the_job_as_it_is() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;

    let view = queue.wait_for_end(&id, Duration::from_millis(100)).await.unwrap();

    assert_eq!(view.unwrap().state, State::Waiting);
    assert_eq!(waiters(&world, &queue).await, 0);
}

#[tokio::test]
async fn who_waits_for_a_job_of_which_nothing_is_kept_is_told_that_it_is_gone() {
    let world = World::of_queues();
    let none = Keep { count: 0, age_ms: 0, bytes: 0 };
    let queue = world.queue("default").keeping(none, none);
    let id = world.enqueue(KIND, json!({})).await;
    let waiting = tokio::spawn({
        let (queue, id) = (queue.clone(), id.clone());
        async move { queue.wait_for_end(&id, LONG).await.unwrap() }
    });
    somebody_waits(&world, &queue).await;

    end(&world, &queue, &id, "done").await;

    assert!(waiting.await.unwrap().is_none());
}

#[tokio::test]
async fn who_waits_is_told_although_the_push_was_lost_with_its_connection() {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let queue = world.queue("default");
    let far = queue.clone().over(Store::open(&proxy.url()).unwrap());
    let id = world.enqueue(KIND, json!({})).await;
    let waiting = tokio::spawn({
        let (far, id) = (far, id.clone());
        async move { far.wait_for_end(&id, LONG).await.unwrap().unwrap() }
    });
    somebody_waits(&world, &queue).await;

    proxy.swallow_next_answer();
    end(&world, &queue, &id, "done").await;

    assert_eq!(waiting.await.unwrap().state, State::Done);
    assert!(proxy.swallowed() <= 1);
}
