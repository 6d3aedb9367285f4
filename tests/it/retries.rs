//! Trying again: later, with a count and a trail; and coming back without either.

use std::time::Duration;

use brasa_shared::queue::{Ending, Outcome, Settled, State};
use brasa_tests::World;
use brasa_tests::hand::{Hand, again, back, done, snoozed};
use serde_json::json;

const MINUTE: Duration = Duration::from_mins(1);

fn hand() -> Hand {
    Hand::new("w", &["sql.run"])
}

#[tokio::test]
async fn a_retry_waits_in_the_delayed_set_with_a_line_in_its_trail() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;

    let answers = queue.retry(&[again(&job, MINUTE, "1 failed: no connection")]).await.unwrap();

    assert_eq!(answers, [Settled::Accepted]);
    let view = world.show(&id).await;
    assert_eq!((view.state, view.trail), (State::Delayed, vec!["1 failed: no connection".to_owned()]));
    assert_eq!(view.state_ms, (world.clock.now() + MINUTE).as_millisecond());
    assert_eq!(world.counts().await.totals["retried"], 1);
}

#[tokio::test]
async fn a_retry_is_not_handed_out_before_its_time_and_then_as_the_next_attempt() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;
    queue.retry(&[again(&job, MINUTE, "")]).await.unwrap();

    world.advance(MINUTE.saturating_sub(Duration::from_millis(1)));
    queue.promote_due().await.unwrap();
    assert!(hand().claim(&queue, 1).await.is_empty());

    world.advance(Duration::from_millis(1));
    queue.promote_due().await.unwrap();
    assert_eq!(hand().claim_one(&queue).await.attempt, 2);
}

#[tokio::test]
async fn a_snooze_burns_no_attempt() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    for _ in 0..5 {
        let job = hand().claim_one(&queue).await;
        assert_eq!(job.attempt, 1);
        queue.retry(&[snoozed(&job, MINUTE)]).await.unwrap();
        world.advance(MINUTE);
        queue.promote_due().await.unwrap();
    }

    assert!(!world.counts().await.totals.contains_key("retried"));
}

#[tokio::test]
async fn a_hand_back_burns_no_attempt_and_returns_to_its_place_in_line() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;
    world.advance(MINUTE);
    let second = world.enqueue("sql.run", json!({})).await;

    assert_eq!(queue.hand_back(&[back(&job, "sql.run")]).await.unwrap(), [Settled::Accepted]);

    assert_eq!(world.show(&first).await.attempt, 0);
    let again = hand().claim(&queue, 2).await;
    let order: Vec<_> = again.iter().map(|job| (job.id.clone(), job.attempt)).collect();
    assert_eq!(order, [(first, 1), (second, 1)]);
}

#[tokio::test]
async fn a_hand_back_after_a_retry_keeps_the_attempts_that_were_used() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;
    queue.retry(&[again(&job, Duration::ZERO, "")]).await.unwrap();
    queue.promote_due().await.unwrap();
    let second = hand().claim_one(&queue).await;

    queue.hand_back(&[back(&second, "sql.run")]).await.unwrap();

    assert_eq!(hand().claim_one(&queue).await.attempt, 2);
}

#[tokio::test]
async fn a_job_that_was_cancelled_meanwhile_is_not_tried_again() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;
    queue.cancel(&id, "ana", "").await.unwrap();

    assert_eq!(queue.retry(&[again(&job, MINUTE, "")]).await.unwrap(), [Settled::CancelFirst]);

    // It is still held, so that its holder can record how it ended.
    assert_eq!(world.state(&id).await, Some(State::Running));
    let mut finish = done(&job);
    finish.outcome = Outcome::new(Ending::Cancelled, 0);
    assert_eq!(queue.finish(&[finish]).await.unwrap(), [Settled::Accepted]);
    assert_eq!(world.counts().await.totals["cancelled"], 1);
}

#[tokio::test]
async fn a_trail_stays_short_and_keeps_its_latest_lines() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    for n in 0..50 {
        let job = hand().claim_one(&queue).await;
        let note = format!("{n} {}", "x".repeat(300));
        queue.retry(&[again(&job, Duration::ZERO, &note)]).await.unwrap();
        queue.promote_due().await.unwrap();
    }

    let trail = world.show(&id).await.trail;

    assert!(trail.iter().map(String::len).sum::<usize>() <= 4_096);
    assert!(trail.last().unwrap().starts_with("49 "));
}

#[tokio::test]
async fn a_batch_of_retries_is_answered_job_by_job() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    world.enqueue("sql.run", json!({})).await;
    let jobs = hand().claim(&queue, 2).await;
    queue.finish(&[done(&jobs[0])]).await.unwrap();
    let mut stranger = again(&jobs[1], MINUTE, "");
    stranger.held.nonce = "somebody-elses".into();

    let answers = queue.retry(&[stranger, again(&jobs[1], MINUTE, "")]).await.unwrap();

    assert_eq!(answers, [Settled::Refused, Settled::Accepted]);
}
