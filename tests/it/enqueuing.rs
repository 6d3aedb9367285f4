//! Making jobs known: once per id, at their time, and at most one per unique key.

use std::time::Duration;

use brasa_shared::queue::{Ending, Enqueued, Queue, State};
use brasa_tests::World;
use brasa_tests::hand::{CRASHES_MAX, Hand, LEASE_OVER, again, dead, done, done_freeing, reclaim};
use redis::cmd;
use serde_json::json;

/// A minute, which is how much later things are due here.
const MINUTE: Duration = Duration::from_mins(1);

fn hand() -> Hand {
    Hand::new("w", &["sql.run"])
}

/// Enqueues a job with this unique key.
async fn put_unique(world: &World, queue: &Queue, key: &str) -> (String, Enqueued) {
    let mut job = world.job("sql.run", &json!({}));
    job.unique = Some(key.to_owned());
    let answer = queue.enqueue(&job).await.unwrap();
    (job.id, answer)
}

#[tokio::test]
async fn an_id_that_is_enqueued_twice_is_one_job() {
    let world = World::of_queues();
    let (queue, job) = (world.queue("default"), world.job("sql.run", &json!({})));

    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::New);
    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Known);

    let counts = world.counts().await;
    assert_eq!((counts.waiting, counts.totals["enqueued"]), (1, 1));
}

#[tokio::test]
async fn an_id_is_known_for_as_long_as_its_outcome_is_kept() {
    let world = World::with_manual_clock();
    let (queue, mut job) = (world.queue("default"), world.job("sql.run", &json!({})));
    job.keep_ms = Some(60_000);
    queue.enqueue(&job).await.unwrap();
    let mut finish = done(&hand().claim_one(&queue).await);
    finish.keep_ms = job.keep_ms;
    queue.finish(&[finish]).await.unwrap();

    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Known);

    world.advance(MINUTE);
    // Whoever finishes sweeps.
    world.enqueue("sql.run", json!({})).await;
    let other = hand().claim_one(&queue).await;
    queue.finish(&[done(&other)]).await.unwrap();
    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::New);
}

#[tokio::test]
async fn an_id_that_is_in_the_dead_letter_is_known() {
    let world = World::of_queues();
    let (queue, job) = (world.queue("default"), world.job("sql.run", &json!({})));
    queue.enqueue(&job).await.unwrap();
    let claimed = hand().claim_one(&queue).await;
    queue.bury(&[dead(&claimed, "hopeless")]).await.unwrap();

    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Known);
}

#[tokio::test]
async fn a_thousand_jobs_are_enqueued_in_one_call_and_each_is_handed_out_once() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..1_000).map(|n| world.job("sql.run", &json!({ "n": n }))).collect();

    let answers = queue.enqueue_all(&jobs).await.unwrap();

    assert!(answers.len() == 1_000 && answers.iter().all(|answer| *answer == Enqueued::New));
    let mut handed_out = Vec::new();
    while handed_out.len() < 1_000 {
        let claimed = hand().claim(&queue, 100).await;
        assert_eq!(claimed.len(), 100);
        handed_out.extend(claimed.into_iter().map(|job| job.id));
    }
    let mut ids: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
    ids.sort();
    handed_out.sort();
    assert_eq!(handed_out, ids);
}

#[tokio::test]
async fn a_bulk_is_answered_job_by_job() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let (first, mut second) = (world.job("sql.run", &json!({})), world.job("sql.run", &json!({})));
    let mut rival = world.job("sql.run", &json!({}));
    (second.unique, rival.unique) = (Some("key".to_owned()), Some("key".to_owned()));

    let bulk = [first.clone(), first, second.clone(), rival];
    let answers = queue.enqueue_all(&bulk).await.unwrap();

    let held = Enqueued::Held { by: second.id };
    assert_eq!(answers, [Enqueued::New, Enqueued::Known, Enqueued::New, held]);
}

#[tokio::test]
async fn nothing_of_a_bulk_is_sent_where_one_job_breaks_a_rule() {
    let world = World::of_queues();
    let mut bad = world.job("sql.run", &json!({}));
    bad.id = "with space".to_owned();

    let error = world.queue("default").enqueue_all(&[world.job("sql.run", &json!({})), bad]).await;

    assert!(error.unwrap_err().to_string().contains("`with space` cannot be enqueued"));
    assert_eq!(world.counts().await.waiting, 0);
}

#[tokio::test]
async fn a_payload_that_is_compressed_on_its_way_arrives_as_it_was() {
    let world = World::of_queues();
    let text = "año nuevo ".repeat(10_000);
    let id = world.enqueue("sql.run", json!({ "text": text })).await;

    let stored: u64 = world.redis(cmd("HSTRLEN").arg(&world.queue("default").keys().jobs).arg(&id)).await;

    assert!(stored < 5_000, "{stored}");
    assert_eq!(world.show(&id).await.args["text"], text);
}

#[tokio::test]
async fn a_delayed_job_is_not_handed_out_before_its_millisecond() {
    let world = World::with_manual_clock();
    let (queue, mut job) = (world.queue("default"), world.job("sql.run", &json!({})));
    job.due = Some((world.clock.now() + MINUTE).as_millisecond());
    queue.enqueue(&job).await.unwrap();
    assert_eq!(world.state(&job.id).await, Some(State::Delayed));

    world.advance(MINUTE.saturating_sub(Duration::from_millis(1)));
    assert_eq!(queue.promote_due().await.unwrap(), 0);
    assert!(hand().claim(&queue, 1).await.is_empty());

    world.advance(Duration::from_millis(1));
    assert_eq!(queue.promote_due().await.unwrap(), 1);
    assert_eq!(hand().claim_one(&queue).await.id, job.id);
}

#[tokio::test]
async fn a_job_that_was_due_in_the_past_is_ready_at_once() {
    let world = World::with_manual_clock();
    let (queue, mut job) = (world.queue("default"), world.job("sql.run", &json!({})));
    job.due = Some((world.clock.now() - MINUTE).as_millisecond());

    queue.enqueue(&job).await.unwrap();

    assert_eq!(hand().claim_one(&queue).await.id, job.id);
}

#[tokio::test]
async fn a_job_that_became_due_goes_before_those_that_came_after_its_time() {
    let world = World::with_manual_clock();
    let (queue, mut job) = (world.queue("default"), world.job("sql.run", &json!({})));
    job.due = Some((world.clock.now() + MINUTE).as_millisecond());
    queue.enqueue(&job).await.unwrap();
    world.advance(MINUTE * 2);
    let later = world.enqueue("sql.run", json!({})).await;
    queue.promote_due().await.unwrap();

    let order: Vec<_> = hand().claim(&queue, 2).await.into_iter().map(|job| job.id).collect();

    assert_eq!(order, [job.id, later]);
}

#[tokio::test]
async fn due_jobs_become_ready_a_batch_at_a_time() {
    let world = World::with_manual_clock();
    let due = Some((world.clock.now() + MINUTE).as_millisecond());
    let jobs: Vec<_> = (0..200)
        .map(|_| {
            let mut job = world.job("sql.run", &json!({}));
            job.due = due;
            job
        })
        .collect();
    let queue = world.queue("default");
    queue.enqueue_all(&jobs).await.unwrap();
    world.advance(MINUTE);

    assert_eq!(queue.promote_due().await.unwrap(), 128);
    assert_eq!(queue.promote_due().await.unwrap(), 72);
    assert_eq!(world.counts().await.waiting, 200);
}

#[tokio::test]
async fn a_delayed_job_can_be_made_ready_at_once() {
    let world = World::with_manual_clock();
    let (queue, mut job) = (world.queue("default"), world.job("sql.run", &json!({})));
    job.due = Some((world.clock.now() + MINUTE).as_millisecond());
    queue.enqueue(&job).await.unwrap();

    assert_eq!(queue.promote_now(std::slice::from_ref(&job)).await.unwrap(), 1);

    assert_eq!(hand().claim_one(&queue).await.id, job.id);
}

#[tokio::test]
async fn a_unique_key_admits_one_job_and_names_its_holder() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let (holder, _) = put_unique(&world, &queue, "invoice-7").await;

    assert_eq!(put_unique(&world, &queue, "invoice-7").await.1, Enqueued::Held { by: holder });
    assert_eq!(put_unique(&world, &queue, "invoice-8").await.1, Enqueued::New);
}

#[tokio::test]
async fn a_unique_key_of_one_queue_is_free_in_another() {
    let world = World::of_queues();
    put_unique(&world, &world.queue("default"), "key").await;

    assert_eq!(put_unique(&world, &world.queue("other"), "key").await.1, Enqueued::New);
}

#[tokio::test]
async fn a_unique_key_is_held_while_its_job_runs_and_waits_for_its_retry() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let (holder, _) = put_unique(&world, &queue, "key").await;
    let held = Enqueued::Held { by: holder };

    let claimed = hand().claim_one(&queue).await;
    assert_eq!(put_unique(&world, &queue, "key").await.1, held);

    queue.retry(&[again(&claimed, MINUTE, "failed")]).await.unwrap();
    assert_eq!(put_unique(&world, &queue, "key").await.1, held);
}

#[tokio::test]
async fn a_unique_key_is_free_once_its_job_is_done() {
    let world = World::of_queues();
    let queue = world.queue("default");
    put_unique(&world, &queue, "key").await;
    let claimed = hand().claim_one(&queue).await;

    queue.finish(&[done_freeing(&claimed, "key")]).await.unwrap();

    assert_eq!(put_unique(&world, &queue, "key").await.1, Enqueued::New);
}

#[tokio::test]
async fn a_unique_key_is_free_once_its_job_is_dead() {
    let world = World::of_queues();
    let queue = world.queue("default");
    put_unique(&world, &queue, "key").await;
    let mut burial = dead(&hand().claim_one(&queue).await, "hopeless");
    burial.unique = Some("key".to_owned());

    queue.bury(&[burial]).await.unwrap();

    assert_eq!(put_unique(&world, &queue, "key").await.1, Enqueued::New);
}

#[tokio::test]
async fn a_unique_key_is_free_once_its_job_is_cancelled() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let (holder, _) = put_unique(&world, &queue, "key").await;

    queue.cancel(&holder, "ana", "").await.unwrap();

    assert_eq!(put_unique(&world, &queue, "key").await.1, Enqueued::New);
}

#[tokio::test]
async fn a_unique_key_is_free_once_its_job_is_quarantined() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let (holder, _) = put_unique(&world, &queue, "key").await;
    for n in 0..CRASHES_MAX {
        Hand::new(&format!("w{n}"), &["sql.run"]).claim_one(&queue).await;
        world.advance(LEASE_OVER);
        reclaim(&queue).await;
    }
    assert_eq!(world.state(&holder).await, Some(State::Dead));

    assert_eq!(put_unique(&world, &queue, "key").await.1, Enqueued::New);
}

#[tokio::test]
async fn a_lock_never_outlives_its_job() {
    let world = World::of_queues();
    let queue = world.queue("default");
    // What a crash between two releases could leave behind: a key whose job is gone.
    let _: u8 = world.redis(cmd("HSET").arg(&queue.keys().unique).arg("key").arg("gone")).await;

    assert_eq!(put_unique(&world, &queue, "key").await.1, Enqueued::New);
}

#[tokio::test]
async fn a_job_frees_only_a_key_that_is_still_its_own() {
    let world = World::of_queues();
    let queue = world.queue("default");
    put_unique(&world, &queue, "key").await;
    let first = hand().claim_one(&queue).await;
    queue.finish(&[done_freeing(&first, "key")]).await.unwrap();
    let (second, _) = put_unique(&world, &queue, "key").await;

    // The answer to the first finish was lost, and it is said again.
    queue.finish(&[done_freeing(&first, "key")]).await.unwrap();

    assert_eq!(put_unique(&world, &queue, "key").await.1, Enqueued::Held { by: second });
}

#[tokio::test]
async fn a_revived_job_starts_with_a_clean_count() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let claimed = hand().claim_one(&queue).await;
    queue.bury(&[dead(&claimed, "hopeless")]).await.unwrap();

    assert_eq!(queue.revive(&[id.clone(), "unknown".to_owned()]).await.unwrap(), [true, false]);

    assert_eq!(hand().claim_one(&queue).await.attempt, 1);
    assert!(world.show(&id).await.outcome.is_none());
}

#[tokio::test]
async fn a_forgotten_job_leaves_nothing_behind() {
    let world = World::of_queues();
    let (queue, job) = (world.queue("default"), world.job("sql.run", &json!({})));
    queue.enqueue(&job).await.unwrap();
    let claimed = hand().claim_one(&queue).await;
    queue.bury(&[dead(&claimed, "hopeless")]).await.unwrap();

    assert_eq!(queue.forget(std::slice::from_ref(&job.id)).await.unwrap(), [true]);

    assert_eq!(world.state(&job.id).await, None);
    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::New);
    assert_eq!(hand().claim_one(&queue).await.attempt, 1);
}

#[tokio::test]
async fn only_the_dead_letter_can_be_forgotten() {
    let world = World::of_queues();
    let id = world.enqueue("sql.run", json!({})).await;

    assert_eq!(world.queue("default").forget(std::slice::from_ref(&id)).await.unwrap(), [false]);

    assert_eq!(world.state(&id).await, Some(State::Waiting));
}

#[tokio::test]
async fn a_cancelled_job_is_kept_as_cancelled() {
    let world = World::of_queues();
    let id = world.enqueue("sql.run", json!({})).await;
    world.queue("default").cancel(&id, "ana", "not needed").await.unwrap();

    let outcome = world.show(&id).await.outcome.unwrap();

    assert_eq!((outcome.ending, outcome.reason.as_deref()), (Ending::Cancelled, Some("by ana: not needed")));
}
