//! What goes first: the more urgent, but nobody waits for ever; and which queue a worker serves first.

use std::time::Duration;

use brasa_shared::queue::{Envelope, Queue};
use brasa_tests::hand::{Hand, done};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World};
use brasa_worker::Order;
use serde_json::json;

const KINDS: [&str; 3] = ["cache.warm", "db.analyze", "sql.run"];

fn urgent(world: &World, kind: &str, priority: u8) -> Envelope {
    let mut job = world.job(kind, &json!({}));
    job.priority = priority;
    job
}

/// Enqueues jobs of these kinds and priorities, a millisecond apart; returns their ids.
async fn enqueue(world: &World, queue: &Queue, jobs: &[(&str, u8)]) -> Vec<String> {
    let mut ids = Vec::new();
    for (kind, priority) in jobs {
        let job = urgent(world, kind, *priority);
        queue.enqueue(&job).await.unwrap();
        world.advance(Duration::from_millis(1));
        ids.push(job.id);
    }
    ids
}

/// The places, in the list of ids, of all that is handed out one by one.
async fn order(queue: &Queue, ids: &[String]) -> Vec<usize> {
    let hand = Hand::new("w", &KINDS);
    let mut order = Vec::new();
    while let Some(job) = hand.claim(queue, 1).await.pop() {
        order.push(ids.iter().position(|id| *id == job.id).unwrap());
    }
    order
}

#[tokio::test]
async fn the_more_urgent_job_goes_first_whatever_its_kind() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let jobs = [("sql.run", 0), ("sql.run", 5), ("cache.warm", 9), ("db.analyze", 5), ("sql.run", 9)];
    let ids = enqueue(&world, &queue, &jobs).await;

    assert_eq!(order(&queue, &ids).await, [2, 4, 1, 3, 0]);
}

#[tokio::test]
async fn jobs_of_one_priority_go_by_time_across_kinds() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let jobs = [("sql.run", 3), ("cache.warm", 3), ("db.analyze", 3), ("cache.warm", 3), ("sql.run", 3)];
    let ids = enqueue(&world, &queue, &jobs).await;

    assert_eq!(order(&queue, &ids).await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_claim_of_many_is_in_the_order_of_claims_of_one() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..60_u8).map(|n| (KINDS[usize::from(n) % 3], n % 10 * 7 % 10)).collect();
    let ids = enqueue(&world, &queue, &jobs).await;
    let twin = world.queue("twin");
    let twins = enqueue(&world, &twin, &jobs).await;

    let at_once: Vec<_> =
        Hand::new("w", &KINDS).claim(&queue, 60).await.into_iter().map(|job| job.id).collect();

    let expected: Vec<_> = order(&twin, &twins).await.into_iter().map(|place| ids[place].clone()).collect();
    assert_eq!(at_once, expected);
}

#[tokio::test]
async fn a_step_of_priority_is_worth_the_ageing_time_of_the_queue_and_no_more() {
    for (step_ms, later_ms, expected) in
        [(60_000, 59_000, [1, 0]), (60_000, 61_000, [0, 1]), (1_000, 900, [1, 0]), (1_000, 1_100, [0, 1])]
    {
        let world = World::with_manual_clock();
        let queue = world.queue("default").ageing(step_ms);
        let mut ids = enqueue(&world, &queue, &[("sql.run", 2)]).await;
        world.advance(Duration::from_millis(later_ms));
        ids.extend(enqueue(&world, &queue, &[("sql.run", 3)]).await);

        assert_eq!(order(&queue, &ids).await, expected, "{step_ms} {later_ms}");
    }
}

#[tokio::test]
async fn a_low_job_is_not_starved_by_a_flood_of_urgent_ones() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let hand = Hand::new("w", &KINDS);
    let low = enqueue(&world, &queue, &[("sql.run", 0)]).await.remove(0);
    let mut waited = Duration::ZERO;
    // More urgent jobs come than can be run, for ever.
    for round in 0.. {
        assert!(round < 100, "it was starved");
        enqueue(&world, &queue, &[("cache.warm", 9); 5]).await;
        let claimed = hand.claim(&queue, 4).await;
        queue.finish(&claimed.iter().map(done).collect::<Vec<_>>()).await.unwrap();
        if claimed.iter().any(|job| job.id == low) {
            break;
        }
        world.advance(Duration::from_secs(30));
        waited += Duration::from_secs(30);
    }

    // Nine steps of a minute each; what came before that has to be run first.
    assert!(waited >= Duration::from_mins(9), "{waited:?}");
}

#[tokio::test]
async fn urgent_jobs_with_share_keys_go_first_too() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut ids = enqueue(&world, &queue, &[("sql.run", 0)]).await;
    for priority in [0, 9] {
        let mut job = urgent(&world, "sql.run", priority);
        job.share = Some("acme".to_owned());
        queue.enqueue(&job).await.unwrap();
        ids.push(job.id);
    }

    assert_eq!(order(&queue, &ids).await, [2, 0, 1]);
}

/// The places at which the jobs of the first queue were run, of 60 jobs of each of two queues.
async fn served_first(order: Order) -> Vec<usize> {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.queues = vec![
        (world.queue("main").over(world.store.apart()), 9),
        (world.queue("side").over(world.store.apart()), 1),
    ];
    (settings.order, settings.concurrency, settings.until_empty) = (order, 1, true);
    let mut started = Vec::new();
    for name in ["main", "side"] {
        let jobs: Vec<_> = (0..120).map(|n| world.job("test.echo", &json!({ "n": n }))).collect();
        world.queue(name).enqueue_all(&jobs).await.unwrap();
        started.push((name, jobs));
    }
    Worker::start(settings).ended().await;
    let mut ran = Vec::new();
    for (name, jobs) in started {
        let ids: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
        for view in world.queue(name).views(&ids).await.unwrap() {
            ran.push((view.unwrap().outcome.unwrap().result.unwrap()["fence"].as_i64().unwrap(), name));
        }
    }
    ran.sort_unstable();
    ran.iter().enumerate().filter(|(_, (_, name))| *name == "main").map(|(place, _)| place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_strict_order_a_queue_is_served_when_those_before_it_are_empty() {
    let places = served_first(Order::Strict).await;

    assert_eq!(places, (0..120).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn by_weight_the_heavier_queue_comes_first_more_often_and_the_other_is_not_left_out() {
    let places = served_first(Order::Weighted).await;

    // Of the first forty the heavy queue has 36 on average.
    let early = places.iter().filter(|place| **place < 40).count();
    assert!(early >= 25, "{early} of 40");
    // By chance alone all of it would come first once in three hundred thousand times.
    assert_ne!(places, (0..120).collect::<Vec<_>>());
}
