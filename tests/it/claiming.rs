//! Handing jobs out: the oldest first, to one holder, and never what the holder cannot run.

use std::collections::BTreeSet;
use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{Asking, Settled, State};
use brasa_shared::store::Store;
use brasa_tests::hand::{Hand, LEASE_OVER, done, reclaim};
use brasa_tests::{Proxy, World};
use redis::cmd;
use serde_json::json;

#[tokio::test]
async fn jobs_are_handed_out_oldest_first_whatever_their_class() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut enqueued = Vec::new();
    for kind in ["sql.run", "cache.warm", "cache.warm", "sql.run", "db.analyze", "sql.run"] {
        enqueued.push(world.enqueue(kind, json!({})).await);
        world.advance(Duration::from_millis(1));
    }

    let hand = Hand::new("w", &["db.analyze", "cache.warm", "sql.run"]);
    let mut order: Vec<_> = hand.claim(&queue, 4).await.into_iter().map(|job| job.id).collect();
    order.extend(hand.claim(&queue, 4).await.into_iter().map(|job| job.id));

    assert_eq!(order, enqueued);
}

#[tokio::test]
async fn a_claim_takes_at_most_what_was_asked_for() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..5).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();

    assert_eq!(Hand::new("w", &["sql.run"]).claim(&queue, 3).await.len(), 3);

    let counts = world.counts().await;
    assert_eq!((counts.running, counts.waiting), (3, 2));
}

#[tokio::test]
async fn a_claim_never_takes_more_than_a_batch() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..200).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();

    assert_eq!(Hand::new("w", &["sql.run"]).claim(&queue, 10_000).await.len(), 128);
}

#[tokio::test]
async fn a_claim_of_nothing_takes_nothing() {
    let world = World::of_queues();
    world.enqueue("sql.run", json!({})).await;

    assert!(Hand::new("w", &["sql.run"]).claim(&world.queue("default"), 0).await.is_empty());
    assert!(Hand::new("w", &[]).claim(&world.queue("default"), 5).await.is_empty());
}

#[tokio::test]
async fn hundreds_of_kinds_are_enqueued_and_claimed_like_one() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let kinds: Vec<_> = (0..300).map(|n| format!("kind-{n}")).collect();
    let jobs: Vec<_> = kinds.iter().map(|kind| world.job(kind, &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();

    let hand = Hand::new("w", &kinds.iter().map(String::as_str).collect::<Vec<_>>());
    let claimed =
        [hand.claim(&queue, 128).await, hand.claim(&queue, 128).await, hand.claim(&queue, 128).await];

    assert_eq!(claimed.map(|jobs| jobs.len()), [128, 128, 44]);
}

#[tokio::test]
async fn a_kind_that_nobody_knows_waits_and_can_be_seen_waiting() {
    let world = World::of_queues();
    let stranger = world.enqueue("team.invent", json!({})).await;
    let known = world.enqueue("sql.run", json!({})).await;

    let claimed = Hand::new("w", &["sql.run"]).claim(&world.queue("default"), 10).await;

    assert_eq!(claimed.into_iter().map(|job| job.id).collect::<Vec<_>>(), [known]);
    assert_eq!(world.state(&stranger).await, Some(State::Waiting));
    assert_eq!(world.counts().await.waiting_by_class["team.invent"], 1);
}

#[tokio::test]
async fn a_later_version_of_a_payload_waits_for_a_worker_that_reads_it() {
    let world = World::of_queues();
    let (queue, mut job) = (world.queue("default"), world.job("sql.run", &json!({})));
    job.kv = 2;
    queue.enqueue(&job).await.unwrap();

    assert!(Hand::new("old", &["sql.run"]).claim(&queue, 1).await.is_empty());
    assert_eq!(world.counts().await.waiting_by_class["sql.run@2"], 1);

    assert_eq!(Hand::new("new", &["sql.run", "sql.run@2"]).claim_one(&queue).await.id, job.id);
}

#[tokio::test]
async fn a_job_is_handed_out_to_one_of_many_who_ask_at_once() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..300).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();

    let claims = (0..30).map(|n| {
        let (queue, hand) = (queue.clone(), Hand::new(&format!("w{n}"), &["sql.run"]));
        tokio::spawn(async move { hand.claim(&queue, 20).await })
    });
    let mut handed_out = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        handed_out.extend(claim.await.unwrap().into_iter().map(|job| job.id));
    }

    assert_eq!(handed_out.len(), 300);
    assert_eq!(handed_out.into_iter().collect::<BTreeSet<_>>().len(), 300);
}

#[tokio::test]
async fn an_attempt_counts_from_the_moment_it_is_handed_out() {
    let world = World::of_queues();
    let id = world.enqueue("sql.run", json!({})).await;

    let claimed = Hand::new("w", &["sql.run"]).claim_one(&world.queue("default")).await;

    assert_eq!(claimed.attempt, 1);
    let view = world.show(&id).await;
    assert_eq!((view.state, view.attempt, view.worker.as_str()), (State::Running, 1, "w"));
}

/// The nonce of a claim is chosen inside, and kept over every try, so a replay shows only when an answer is lost
/// (next test). Two claims of one worker are two claims.
#[tokio::test]
async fn two_claims_of_one_worker_hold_different_jobs_under_different_nonces() {
    let world = World::of_queues();
    let (queue, hand) = (world.queue("default"), Hand::new("w", &["sql.run"]));
    world.enqueue("sql.run", json!({})).await;
    world.enqueue("sql.run", json!({})).await;

    let (first, second) = (hand.claim_one(&queue).await, hand.claim_one(&queue).await);

    assert_ne!(first.id, second.id);
    assert_ne!(first.nonce, second.nonce);
    assert!(hand.claim(&queue, 1).await.is_empty());
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_answered_again_with_the_same_jobs() {
    let world = World::of_queues();
    let jobs: Vec<_> = (0..8).map(|_| world.job("sql.run", &json!({}))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    let proxy = Proxy::to(&world.redis_url).await;
    let far = world.queue("default").over(Store::open(&proxy.url()).unwrap());
    far.counts().await.unwrap();

    proxy.swallow_next_answer();
    let claimed = Hand::new("w", &["sql.run"]).claim(&far, 5).await;

    assert_eq!(proxy.swallowed(), 1);
    assert_eq!(claimed.len(), 5);
    assert!(claimed.iter().all(|job| job.attempt == 1));
    assert_eq!((world.counts().await.running, world.counts().await.waiting), (5, 3));
    let finishes: Vec<_> = claimed.iter().map(done).collect();
    assert_eq!(far.finish(&finishes).await.unwrap(), [Settled::Accepted; 5]);
}

#[tokio::test]
async fn fences_grow_within_a_claim_and_from_claim_to_claim() {
    let world = World::with_manual_clock();
    let (queue, hand) = (world.queue("default"), Hand::new("w", &["sql.run"]));
    let jobs: Vec<_> = (0..6).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();

    let mut fences: Vec<_> = hand.claim(&queue, 3).await.iter().map(|job| job.fence).collect();
    fences.push(hand.claim_one(&queue).await.fence);
    world.advance(Duration::from_secs(1));
    fences.push(hand.claim_one(&queue).await.fence);

    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
}

#[tokio::test]
async fn fences_grow_even_when_the_servers_clock_is_set_back() {
    let world = World::with_manual_clock();
    let hand = Hand::new("w", &["sql.run"]);
    world.enqueue("sql.run", json!({})).await;
    world.enqueue("sql.run", json!({})).await;

    let ahead = hand.claim_one(&world.queue_seen("default", Duration::from_hours(1))).await;
    let back = hand.claim_one(&world.queue("default")).await;

    assert!(back.fence > ahead.fence);
}

#[tokio::test]
async fn a_job_that_is_handed_out_again_has_a_larger_fence() {
    let world = World::with_manual_clock();
    let (queue, hand) = (world.queue("default"), Hand::new("w", &["sql.run"]));
    world.enqueue("sql.run", json!({})).await;
    let first = hand.claim_one(&queue).await;
    world.advance(LEASE_OVER);
    reclaim(&queue).await;

    assert!(hand.claim_one(&queue).await.fence > first.fence);
}

#[tokio::test]
async fn jobs_that_were_lost_one_after_the_other_all_go_before_those_that_never_began() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.enqueue("sql.run", json!({})).await);
        world.advance(Duration::from_millis(1));
    }
    for name in ["v", "w"] {
        Hand::new(name, &["sql.run"]).claim_one(&queue).await;
        world.advance(Duration::from_secs(1));
    }
    world.advance(LEASE_OVER.saturating_sub(Duration::from_secs(2)));
    for _ in 0..2 {
        reclaim(&queue).await;
        world.advance(Duration::from_secs(1));
    }

    let next = Hand::new("x", &["sql.run"]).claim(&queue, 3).await;

    let next: BTreeSet<_> = next.into_iter().map(|job| job.id).collect();
    assert_eq!(next, ids.into_iter().take(3).collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn a_claim_that_comes_late_by_a_connection_that_was_given_up_takes_nothing_new() {
    let world = World::of_queues();
    let (queue, hand) = (world.queue("default"), Hand::new("w", &["sql.run"]));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.enqueue("sql.run", json!({})).await);
    }
    let first = Asking::default();
    let job = hand.ask_again(&queue, 1, &first).await.jobs.remove(0);
    assert_eq!(hand.ask_again(&queue, 1, &Asking::default()).await.jobs[0].id, ids[1]);

    let late = hand.ask_again(&queue, 1, &first).await;
    assert_eq!(
        (late.jobs.len(), late.jobs[0].id.as_str(), late.jobs[0].fence),
        (1, ids[0].as_str(), job.fence)
    );
    queue.finish(&[done(&job)]).await.unwrap();
    let later = hand.ask_again(&queue, 1, &first).await;

    assert!(later.jobs.is_empty() && later.is_spent);
    assert_eq!(world.state(&ids[2]).await, Some(State::Waiting));
}

#[tokio::test]
async fn a_worker_that_met_many_cancelled_jobs_looks_behind_them_at_once() {
    let world = World::of_queues();
    let (queue, hand) = (world.queue("default"), Hand::new("w", &["sql.run"]));
    let jobs: Vec<_> = (0..500).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    for job in &jobs {
        queue.cancel(&job.id, "ana", "").await.unwrap();
    }
    let live = world.enqueue("sql.run", json!({})).await;

    let first = hand.ask(&queue, 1).await;

    assert!(first.jobs.is_empty());
    assert!(
        first.look_again.is_some_and(|pause| pause <= Duration::from_millis(1)),
        "{:?}",
        first.look_again
    );
    assert_eq!(hand.claim_one(&queue).await.id, live);
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_taught_again() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let world = World::on_redis(redis.url());
    let (queue, hand) = (world.queue("default"), Hand::new("w", &["sql.run"]));
    let forget = async || world.redis::<()>(cmd("SCRIPT").arg("FLUSH")).await;
    for _ in 0..3 {
        forget().await;
        world.enqueue("sql.run", json!({})).await;
        forget().await;
        let job = hand.claim_one(&queue).await;
        forget().await;
        assert_eq!(queue.finish(&[done(&job)]).await.unwrap(), [Settled::Accepted]);
    }

    assert_eq!(world.counts().await.done, 3);
}

#[tokio::test]
async fn a_worker_that_is_gone_for_good_is_forgotten_by_the_queue() {
    let world = World::of_queues();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    Hand::new("w", &["sql.run"]).claim_one(&queue).await;
    assert_eq!(queue.claimants().await.unwrap(), ["w"]);

    queue.forget_claimants(&["w".to_owned()]).await.unwrap();

    assert!(queue.claimants().await.unwrap().is_empty());
}
