//! How often a job may start in the whole fleet.

use std::time::Duration;

use brasa_shared::queue::{Limit, LimitScope, Queue};
use brasa_tests::World;
use brasa_tests::hand::{Hand, back, done};
use redis::cmd;
use serde_json::json;

const KIND: &str = "mail.send";

fn rate(scope: LimitScope, starts: u32, period: Duration) -> Limit {
    Limit { scope, at_once: 0, rate: Some((starts, period)) }
}

fn rated(world: &World, scope: LimitScope, starts: u32, period: Duration) -> Queue {
    world.queue("default").limited(vec![rate(scope, starts, period)])
}

async fn put(world: &World, share: Option<&str>, count: usize) {
    let mut jobs: Vec<_> = (0..count).map(|_| world.job(KIND, &json!({}))).collect();
    for job in &mut jobs {
        job.share = share.map(ToOwned::to_owned);
    }
    world.queue("default").enqueue_all(&jobs).await.unwrap();
}

fn hand(n: u32) -> Hand {
    Hand::new(&format!("w{}", n % 3), &[KIND, "sql.run"])
}

#[tokio::test]
async fn as_many_start_in_a_period_as_may_whoever_asks() {
    for (scope, share) in [
        (LimitScope::Queue, None),
        (LimitScope::Kind(KIND.to_owned()), None),
        (LimitScope::Share, Some("acme")),
    ] {
        let world = World::with_manual_clock();
        let queue = rated(&world, scope.clone(), 10, Duration::from_secs(1));
        put(&world, share, 200).await;
        let mut started = 0;
        for tick in 0..500 {
            started += hand(tick).claim(&queue, 7).await.len();
            world.advance(Duration::from_millis(10));
        }

        // Ten at once after a rest, and one each 100 ms in the five seconds that follow.
        assert!((58..=60).contains(&started), "{scope:?}: {started}");
        assert!(world.show(&first_waiting(&queue).await).await.attempt == 0);
    }
}

async fn first_waiting(queue: &Queue) -> String {
    queue.list(brasa_shared::queue::State::Waiting, 1).await.unwrap().remove(0).id
}

#[tokio::test]
async fn an_answer_says_when_the_next_may_start() {
    for (scope, share) in [(LimitScope::Queue, None), (LimitScope::Share, Some("acme"))] {
        let world = World::with_manual_clock();
        let queue = rated(&world, scope.clone(), 2, Duration::from_secs(10));
        put(&world, share, 5).await;
        assert_eq!(hand(0).claim(&queue, 5).await.len(), 2);

        let kept_back = hand(1).ask(&queue, 5).await;
        assert!(kept_back.jobs.is_empty());
        assert_eq!(kept_back.look_again, Some(Duration::from_secs(5)), "{scope:?}");

        world.advance(Duration::from_millis(4_999));
        assert_eq!(hand(0).claim(&queue, 5).await.len(), 0, "{scope:?}");
        world.advance(Duration::from_millis(1));
        assert_eq!(hand(1).claim(&queue, 5).await.len(), 1, "{scope:?}");
    }
}

#[tokio::test]
async fn a_queue_without_limits_never_says_when_to_look_again() {
    let world = World::with_manual_clock();
    put(&world, None, 1).await;

    assert_eq!(hand(0).ask(&world.queue("default"), 5).await.look_again, None);
}

#[tokio::test]
async fn a_rest_is_worth_one_period_and_not_more() {
    let world = World::with_manual_clock();
    let queue = rated(&world, LimitScope::Queue, 5, Duration::from_secs(1));
    put(&world, None, 50).await;
    world.advance(Duration::from_hours(1));

    assert_eq!(hand(0).claim(&queue, 50).await.len(), 5);
}

#[tokio::test]
async fn a_start_counts_although_its_job_ended_or_was_handed_back() {
    let world = World::with_manual_clock();
    let queue = rated(&world, LimitScope::Queue, 2, Duration::from_secs(10));
    put(&world, None, 5).await;
    let jobs = hand(0).claim(&queue, 2).await;
    queue.finish(&[done(&jobs[0])]).await.unwrap();
    queue.hand_back(&[back(&jobs[1], KIND)]).await.unwrap();

    assert!(hand(0).claim(&queue, 2).await.is_empty());
}

#[tokio::test]
async fn a_key_at_its_rate_keeps_no_other_key_and_no_other_kind_back() {
    let world = World::with_manual_clock();
    let queue = rated(&world, LimitScope::Share, 1, Duration::from_secs(10));
    put(&world, Some("acme"), 100).await;
    put(&world, Some("birch"), 1).await;
    world.enqueue("sql.run", json!({})).await;

    assert_eq!(hand(0).claim(&queue, 50).await.len(), 3);

    for _ in 0..5 {
        world.advance(Duration::from_secs(10));
        assert_eq!(hand(1).claim(&queue, 50).await.len(), 1);
    }
}

#[tokio::test]
async fn the_tighter_of_two_limits_decides_and_both_are_counted() {
    let world = World::with_manual_clock();
    let kind = Limit { at_once: 3, ..rate(LimitScope::Kind(KIND.to_owned()), 100, Duration::from_secs(1)) };
    let queue =
        world.queue("default").limited(vec![kind, rate(LimitScope::Queue, 5, Duration::from_secs(1))]);
    put(&world, None, 20).await;
    let first = hand(0).claim(&queue, 20).await;
    assert_eq!(first.len(), 3);

    queue.finish(&first.iter().map(done).collect::<Vec<_>>()).await.unwrap();

    assert_eq!(hand(0).claim(&queue, 20).await.len(), 2);
}

#[tokio::test]
async fn what_is_remembered_of_rates_goes_when_it_says_nothing_any_more() {
    let world = World::with_manual_clock();
    let queue = rated(&world, LimitScope::Share, 1, Duration::from_secs(10));
    for n in 0..50 {
        put(&world, Some(&format!("key-{n}")), 1).await;
    }
    assert_eq!(hand(0).claim(&queue, 50).await.len(), 50);
    world.advance(Duration::from_secs(11));

    queue.sweep().await.unwrap();

    assert_eq!(world.redis::<u64>(cmd("ZCARD").arg(&queue.keys().rates)).await, 0);
}
