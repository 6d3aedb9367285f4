//! Leases: how long a job belongs to its holder, and who is blamed when the holder dies.

use std::time::Duration;

use brasa_shared::queue::{ClaimedJob, Ending, Enqueued, Queue, Reclaimed, Renewal, State};
use brasa_tests::World;
use brasa_tests::hand::{CRASHES_MAX, Hand, LEASE, LEASE_OVER, again, done, held, reclaim};
use redis::cmd;
use serde_json::json;

const KIND: &str = "sql.run";

/// A worker that nobody has heard of before; its death is its own.
async fn claim_as(worker: &str, queue: &Queue, most: usize) -> Vec<ClaimedJob> {
    Hand::new(worker, &[KIND]).claim(queue, most).await
}

/// Lets time pass until all leases are over and what was lost has come back, also what comes back late.
async fn let_die(world: &World, queue: &Queue) {
    world.advance(LEASE_OVER);
    queue.reclaim_lost(CRASHES_MAX).await.unwrap();
    world.advance(Duration::from_secs(2));
    queue.promote_due().await.unwrap();
}

#[tokio::test]
async fn a_job_is_lost_when_its_lease_ends_and_not_before() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue(KIND, json!({})).await;
    claim_as("w", &queue, 1).await;

    world.advance(LEASE.saturating_sub(Duration::from_millis(1)));
    assert_eq!(queue.reclaim_lost(CRASHES_MAX).await.unwrap(), Reclaimed::default());

    world.advance(Duration::from_millis(1));
    let lost = Reclaimed { returned: 1, ..Reclaimed::default() };
    assert_eq!(queue.reclaim_lost(CRASHES_MAX).await.unwrap(), lost);
    assert_eq!(queue.reclaim_lost(CRASHES_MAX).await.unwrap(), Reclaimed::default());
}

#[tokio::test]
async fn a_renewed_lease_lasts_from_its_renewal() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue(KIND, json!({})).await;
    let job = claim_as("w", &queue, 1).await.remove(0);

    for _ in 0..5 {
        world.advance(LEASE * 9 / 10);
        assert_eq!(queue.renew(&[held(&job)], LEASE).await.unwrap(), [Renewal::Renewed]);
        assert_eq!(queue.reclaim_lost(CRASHES_MAX).await.unwrap(), Reclaimed::default());
    }
    assert_eq!(world.show(&job.id).await.state_ms, (world.clock.now() + LEASE).as_millisecond());
}

#[tokio::test]
async fn a_settled_job_has_no_lease_to_renew() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    let job = claim_as("w", &queue, 1).await.remove(0);
    queue.finish(&[done(&job)]).await.unwrap();

    assert_eq!(queue.renew(&[held(&job)], LEASE).await.unwrap(), [Renewal::Lost]);

    assert_eq!(world.state(&id).await, Some(State::Done));
}

#[tokio::test]
async fn a_lost_job_has_used_an_attempt_and_its_trail_says_who_lost_it() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    claim_as("ill-fated", &queue, 1).await;
    world.advance(LEASE_OVER);
    let lost_at = world.clock.now().as_millisecond();
    reclaim(&queue).await;

    assert_eq!(claim_as("next", &queue, 1).await[0].attempt, 2);
    assert_eq!(world.show(&id).await.trail, [format!("{lost_at} 1 lost ill-fated")]);
    assert_eq!(world.counts().await.totals["reclaimed"], 1);
}

#[tokio::test]
async fn a_job_that_was_lost_alone_comes_back_at_once() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    claim_as("w", &queue, 1).await;
    world.advance(LEASE_OVER);

    queue.reclaim_lost(CRASHES_MAX).await.unwrap();

    let view = world.show(&id).await;
    assert_eq!((view.state, view.state_ms), (State::Delayed, world.clock.now().as_millisecond()));
}

#[tokio::test]
async fn jobs_that_were_lost_together_come_back_within_a_moment() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..20).map(|_| world.job(KIND, &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    claim_as("w", &queue, 20).await;
    world.advance(LEASE_OVER);

    queue.reclaim_lost(CRASHES_MAX).await.unwrap();

    let now = world.clock.now().as_millisecond();
    for view in queue.list(State::Delayed, 20).await.unwrap() {
        assert!((0..2_000).contains(&(view.state_ms - now)), "{}", view.state_ms - now);
    }
    world.advance(Duration::from_secs(2));
    assert_eq!(queue.promote_due().await.unwrap(), 20);
}

#[tokio::test]
async fn a_job_that_takes_three_workers_down_alone_is_quarantined_with_its_trail() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({ "poison": true })).await;
    for n in 1..=3 {
        assert_eq!(world.state(&id).await, Some(State::Waiting));
        claim_as(&format!("w{n}"), &queue, 1).await;
        let_die(&world, &queue).await;
    }

    let view = world.show(&id).await;
    assert_eq!((view.state, view.args), (State::Dead, json!({ "poison": true })));
    assert!(view.outcome.unwrap().reason.unwrap().starts_with("quarantined"));
    let losers: Vec<_> = view.trail.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(losers, ["w1", "w2", "w3"]);
    assert_eq!(world.counts().await.totals["dead"], 1);
}

#[tokio::test]
async fn how_many_crashes_are_too_many_is_the_callers_to_say() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    claim_as("w", &queue, 1).await;
    world.advance(LEASE_OVER);

    let lost = Reclaimed { quarantined: 1, ..Reclaimed::default() };
    assert_eq!(queue.reclaim_lost(1).await.unwrap(), lost);

    assert_eq!(world.state(&id).await, Some(State::Dead));
}

#[tokio::test]
async fn jobs_that_were_lost_in_company_are_not_quarantined_for_three_crashes() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..10).map(|_| world.job(KIND, &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    for n in 1..=3 {
        assert_eq!(claim_as(&format!("w{n}"), &queue, 10).await.len(), 10);
        let_die(&world, &queue).await;
    }

    let claimed = claim_as("w4", &queue, 10).await;

    assert_eq!(claimed.len(), 10);
    assert!(claimed.iter().all(|job| (job.attempt, job.blame) == (4, 3)));
}

#[tokio::test]
async fn the_last_of_many_lost_jobs_was_lost_in_company_too() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    // More than one call can take back.
    let jobs: Vec<_> = (0..130).map(|_| world.job(KIND, &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    claim_as("w", &queue, 128).await;
    claim_as("w", &queue, 2).await;
    world.advance(LEASE_OVER);

    let mut returned = [(); 2].map(|()| 0);
    for returned in &mut returned {
        *returned = queue.reclaim_lost(CRASHES_MAX).await.unwrap().returned;
    }
    returned.sort_unstable();
    assert_eq!(returned, [2, 128]);

    world.advance(Duration::from_secs(2));
    queue.promote_due().await.unwrap();
    queue.promote_due().await.unwrap();
    let mut claimed = claim_as("next", &queue, 128).await;
    claimed.extend(claim_as("next", &queue, 128).await);
    assert!(claimed.len() == 130 && claimed.iter().all(|job| job.blame == 1));
}

#[tokio::test]
async fn a_failed_attempt_blames_nobody_for_a_crash() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue(KIND, json!({})).await;
    let job = claim_as("w", &queue, 1).await.remove(0);
    queue.retry(&[again(&job, Duration::ZERO, "failed")]).await.unwrap();
    queue.promote_due().await.unwrap();

    assert_eq!(claim_as("w", &queue, 1).await[0].blame, 0);
}

#[tokio::test]
async fn a_crash_is_remembered_through_a_failed_attempt() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue(KIND, json!({})).await;
    claim_as("w1", &queue, 1).await;
    let_die(&world, &queue).await;
    let job = claim_as("w2", &queue, 1).await.remove(0);
    queue.retry(&[again(&job, Duration::ZERO, "failed")]).await.unwrap();
    queue.promote_due().await.unwrap();

    let job = claim_as("w3", &queue, 1).await.remove(0);

    assert_eq!((job.attempt, job.blame), (3, 4));
}

#[tokio::test]
async fn two_who_take_lost_jobs_back_take_each_once() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..100).map(|_| world.job(KIND, &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    claim_as("w", &queue, 100).await;
    world.advance(LEASE_OVER);

    let other = queue.clone();
    let (one, two) = tokio::join!(queue.reclaim_lost(CRASHES_MAX), other.reclaim_lost(CRASHES_MAX));

    assert_eq!(one.unwrap().returned + two.unwrap().returned, 100);
    assert_eq!(world.counts().await.totals["reclaimed"], 100);
}

#[tokio::test]
async fn a_lost_job_without_an_envelope_comes_back_like_any_other() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    claim_as("w", &queue, 1).await;
    let _: u8 = world.redis(cmd("HDEL").arg(&queue.keys().jobs).arg(&id)).await;
    world.advance(LEASE_OVER);

    assert_eq!(queue.reclaim_lost(CRASHES_MAX).await.unwrap().returned, 1);
    // There is no saying which class it was of, so it is put aside where a person sees it.
    assert_eq!(queue.promote_due().await.unwrap(), 1);

    let view = world.show(&id).await;
    assert_eq!(view.state, State::Dead);
    assert!(view.outcome.unwrap().reason.unwrap().contains("no envelope"));
}

#[tokio::test]
async fn a_cancel_that_the_holder_did_not_live_to_see_is_carried_out_for_it() {
    let world = World::with_manual_clock();
    let (queue, mut job) = (world.queue("default"), world.job(KIND, &json!({})));
    job.unique = Some("key".to_owned());
    queue.enqueue(&job).await.unwrap();
    claim_as("w", &queue, 1).await;
    queue.cancel(&job.id, "ana", "").await.unwrap();
    world.advance(LEASE_OVER);

    let lost = Reclaimed { cancelled: 1, ..Reclaimed::default() };
    assert_eq!(queue.reclaim_lost(CRASHES_MAX).await.unwrap(), lost);

    let view = world.show(&job.id).await;
    assert_eq!((view.state, view.outcome.unwrap().ending), (State::Done, Ending::Cancelled));
    job.id = "next".to_owned();
    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::New);
}

#[tokio::test]
async fn a_job_that_was_lost_once_keeps_its_place_in_line() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = world.enqueue(KIND, json!({})).await;
    claim_as("w", &queue, 1).await;
    world.advance(Duration::from_secs(1));
    let second = world.enqueue(KIND, json!({})).await;
    let_die(&world, &queue).await;

    let order: Vec<_> = claim_as("next", &queue, 2).await.into_iter().map(|job| job.id).collect();

    assert_eq!(order, [first, second]);
}

#[tokio::test]
async fn a_job_that_was_lost_again_goes_behind_those_that_wait() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = world.enqueue(KIND, json!({})).await;
    claim_as("w1", &queue, 1).await;
    world.advance(Duration::from_secs(1));
    let second = world.enqueue(KIND, json!({})).await;
    let_die(&world, &queue).await;
    assert_eq!(claim_as("w2", &queue, 1).await[0].id, first);
    let_die(&world, &queue).await;

    let order: Vec<_> = claim_as("w3", &queue, 2).await.into_iter().map(|job| job.id).collect();

    assert_eq!(order, [second, first]);
}
