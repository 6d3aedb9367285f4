//! Jobs that were lost with more than one worker: they run apart, and where that ends badly it is certain.

use std::time::Duration;

use brasa_shared::queue::{ClaimedJob, Company, Held, Queue, Reclaimed, State, Witnessed};
use brasa_tests::World;
use brasa_tests::hand::{CRASHES_MAX, Hand, LEASE_OVER, back, done, held};
use serde_json::json;

const KIND: &str = "sql.run";

fn hand(name: &str, company: Company) -> Hand {
    Hand::new(name, &[KIND]).in_company(company)
}

/// All that stands in line is claimed by one worker, which dies.
async fn die(world: &World, queue: &Queue, name: &str, company: Company) -> usize {
    let claimed = hand(name, company).claim(queue, 5).await.len();
    world.advance(LEASE_OVER);
    queue.reclaim_lost(CRASHES_MAX).await.unwrap();
    world.advance(Duration::from_secs(2));
    queue.promote_due().await.unwrap();
    claimed
}

/// Two jobs that were lost in company twice.
async fn two_suspects() -> (World, Queue, [String; 2]) {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let ids = [world.enqueue(KIND, json!({})).await, world.enqueue(KIND, json!({})).await];
    for name in ["w1", "w2"] {
        assert_eq!(die(&world, &queue, name, Company::Mixed).await, 2);
    }
    (world, queue, ids)
}

fn crashed(job: &ClaimedJob) -> Witnessed {
    Witnessed { held: held(job), how: "it was killed".to_owned() }
}

#[tokio::test]
async fn a_job_that_was_lost_once_is_no_suspect_yet() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue(KIND, json!({})).await;
    die(&world, &queue, "w1", Company::Trusted).await;

    assert!(hand("s", Company::Suspects).claim(&queue, 5).await.is_empty());
    assert_eq!(hand("t", Company::Trusted).claim(&queue, 5).await.len(), 1);
}

#[tokio::test]
async fn a_job_that_was_lost_twice_waits_apart_and_only_those_for_it_take_it() {
    let (world, queue, _) = two_suspects().await;
    assert_eq!(queue.lanes().await.unwrap(), [KIND.to_owned(), format!("{KIND}!")]);
    let trusted = world.enqueue(KIND, json!({})).await;

    let claimed = hand("t", Company::Trusted).claim(&queue, 5).await;
    assert_eq!(claimed.iter().map(|job| &job.id).collect::<Vec<_>>(), [&trusted]);
    assert_eq!(hand("s", Company::Suspects).claim(&queue, 1).await.len(), 1);
    assert_eq!(hand("m", Company::Mixed).claim(&queue, 5).await.len(), 1);
}

#[tokio::test]
async fn share_and_priority_do_not_keep_a_suspect_from_its_lane() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    for _ in 0..2 {
        let mut job = world.job(KIND, &json!({}));
        (job.share, job.priority) = (Some("acme".to_owned()), 9);
        queue.enqueue(&job).await.unwrap();
    }
    for name in ["w1", "w2"] {
        assert_eq!(die(&world, &queue, name, Company::Mixed).await, 2);
    }

    assert!(hand("t", Company::Trusted).claim(&queue, 5).await.is_empty());
    assert_eq!(hand("s", Company::Suspects).claim(&queue, 5).await.len(), 2);
}

#[tokio::test]
async fn a_suspect_that_is_handed_back_stays_one() {
    let (_world, queue, _) = two_suspects().await;
    let job = hand("s", Company::Suspects).claim_one(&queue).await;

    queue.hand_back(&[back(&job, &format!("{KIND}!"))]).await.unwrap();

    assert!(hand("t", Company::Trusted).claim(&queue, 5).await.is_empty());
    let again = hand("s", Company::Suspects).claim_one(&queue).await;
    assert_eq!((again.id, again.attempt), (job.id, job.attempt));
}

#[tokio::test]
async fn a_suspect_that_fails_and_is_tried_again_stays_one() {
    let (world, queue, _) = two_suspects().await;
    let job = hand("s", Company::Suspects).claim_one(&queue).await;
    queue.retry(&[brasa_tests::hand::again(&job, Duration::ZERO, "")]).await.unwrap();
    world.advance(Duration::from_millis(1));
    queue.promote_due().await.unwrap();

    assert!(hand("t", Company::Trusted).claim(&queue, 5).await.is_empty());
    assert_eq!(hand("s", Company::Suspects).claim(&queue, 5).await.len(), 2);
}

#[tokio::test]
async fn a_suspect_that_is_started_by_hand_stays_one() {
    let (_world, queue, _) = two_suspects().await;
    let job = hand("s", Company::Suspects).claim_one(&queue).await;
    queue.retry(&[brasa_tests::hand::again(&job, Duration::from_hours(1), "")]).await.unwrap();

    let envelope = queue.envelope(&job.id).await.unwrap().unwrap().unwrap();
    assert_eq!(queue.promote_now(&[envelope]).await.unwrap(), 1);

    assert!(hand("t", Company::Trusted).claim(&queue, 5).await.is_empty());
    assert_eq!(hand("s", Company::Suspects).claim(&queue, 5).await.len(), 2);
}

#[tokio::test]
async fn a_suspect_that_is_done_is_done_and_one_that_is_revived_has_a_clean_count() {
    let (world, queue, ids) = two_suspects().await;
    let job = hand("s", Company::Suspects).claim_one(&queue).await;
    queue.finish(&[done(&job)]).await.unwrap();
    let other = hand("s", Company::Suspects).claim_one(&queue).await;
    queue.bury(&[brasa_tests::hand::dead(&other, "why")]).await.unwrap();

    queue.revive(std::slice::from_ref(&other.id)).await.unwrap();

    assert_eq!(world.state(&job.id).await, Some(State::Done));
    assert!(ids.contains(&other.id));
    assert_eq!(hand("t", Company::Trusted).claim_one(&queue).await.id, other.id);
}

#[tokio::test]
async fn a_crash_that_was_seen_counts_at_once_and_quarantines_at_the_limit() {
    let (world, queue, _) = two_suspects().await;
    let job = hand("s", Company::Suspects).claim_one(&queue).await;

    // Nobody waits for a lease: the clock stands still.
    let found = queue.reclaim_witnessed(CRASHES_MAX, crashed(&job)).await.unwrap();

    assert_eq!(found, Reclaimed { quarantined: 1, ..Reclaimed::default() });
    let view = world.show(&job.id).await;
    assert_eq!(view.state, State::Dead);
    assert!(view.outcome.unwrap().reason.unwrap().ends_with("it was killed"));
    assert!(view.trail.last().unwrap().contains("crashed s it was killed"), "{:?}", view.trail);
}

#[tokio::test]
async fn a_crash_that_was_seen_and_is_not_the_last_straw_brings_the_job_back() {
    let (world, queue, _) = two_suspects().await;
    let job = hand("s", Company::Suspects).claim_one(&queue).await;

    let found = queue.reclaim_witnessed(10, crashed(&job)).await.unwrap();

    assert_eq!(found, Reclaimed { returned: 1, ..Reclaimed::default() });
    queue.promote_due().await.unwrap();
    assert_eq!(world.show(&job.id).await.lost, 3);
    assert!(hand("t", Company::Trusted).claim(&queue, 5).await.is_empty());
    assert_eq!(queue.counts().await.unwrap().running, 0);
}

#[tokio::test]
async fn a_witness_with_a_stale_nonce_changes_nothing() {
    let (world, queue, _) = two_suspects().await;
    let late = hand("s1", Company::Suspects).claim_one(&queue).await;
    queue.hand_back(&[back(&late, &format!("{KIND}!"))]).await.unwrap();
    let nobody = queue.reclaim_witnessed(CRASHES_MAX, crashed(&late)).await.unwrap();
    let job = hand("s2", Company::Suspects).claim_one(&queue).await;
    assert_eq!(job.id, late.id);

    let other = queue.reclaim_witnessed(CRASHES_MAX, crashed(&late)).await.unwrap();
    let unknown =
        Witnessed { held: Held { id: "nobody".to_owned(), nonce: late.nonce.clone() }, how: String::new() };
    let unknown = queue.reclaim_witnessed(CRASHES_MAX, unknown).await.unwrap();

    assert_eq!([nobody, other, unknown], [Reclaimed::default(); 3]);
    let view = world.show(&job.id).await;
    assert_eq!((view.state, view.lost, view.worker.as_str()), (State::Running, 2, "s2"));
}
