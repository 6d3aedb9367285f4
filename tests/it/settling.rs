//! Saying what became of a job: only its holder may, once, and each job for itself.

use std::time::Duration;

use brasa_shared::queue::{ClaimedJob, Ending, Enqueued, Keep, Queue, Renewal, Settled, State};
use brasa_shared::store::Store;
use brasa_tests::hand::{Hand, LEASE, LEASE_OVER, again, back, dead, done, held, reclaim};
use brasa_tests::{Proxy, World};
use serde_json::json;

const MINUTE: Duration = Duration::from_mins(1);

fn hand(name: &str) -> Hand {
    Hand::new(name, &["sql.run"])
}

/// A job that one worker held until its lease ended, and that another holds now: both claims.
async fn stolen(world: &World) -> (ClaimedJob, ClaimedJob) {
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    let stale = hand("slow").claim_one(&queue).await;
    world.advance(LEASE_OVER);
    reclaim(&queue).await;
    (stale, hand("quick").claim_one(&queue).await)
}

/// Makes sure that the present holder has noticed nothing.
async fn assert_untouched(world: &World, present: &ClaimedJob) {
    let view = world.show(&present.id).await;
    assert_eq!((view.state, view.attempt, view.worker.as_str()), (State::Running, 2, "quick"));
    assert_eq!(world.queue("default").finish(&[done(present)]).await.unwrap(), [Settled::Accepted]);
    assert_eq!(world.counts().await.totals["done"], 1);
}

#[tokio::test]
async fn a_stale_holder_cannot_renew() {
    let world = World::with_manual_clock();
    let (stale, present) = stolen(&world).await;

    let answers = world.queue("default").renew(&[held(&stale)], LEASE * 100).await.unwrap();

    assert_eq!(answers, [Renewal::Lost]);
    let until = world.show(&present.id).await.state_ms;
    assert_eq!(until, (world.clock.now() + LEASE).as_millisecond());
    assert_untouched(&world, &present).await;
}

#[tokio::test]
async fn a_stale_holder_cannot_finish() {
    let world = World::with_manual_clock();
    let (stale, present) = stolen(&world).await;

    assert_eq!(world.queue("default").finish(&[done(&stale)]).await.unwrap(), [Settled::Refused]);

    assert_untouched(&world, &present).await;
}

#[tokio::test]
async fn a_stale_holder_cannot_retry() {
    let world = World::with_manual_clock();
    let (stale, present) = stolen(&world).await;

    let answers = world.queue("default").retry(&[again(&stale, MINUTE, "stale")]).await.unwrap();

    assert_eq!(answers, [Settled::Refused]);
    assert!(!world.show(&present.id).await.trail.join(" ").contains("stale"));
    assert_untouched(&world, &present).await;
}

#[tokio::test]
async fn a_stale_holder_cannot_bury() {
    let world = World::with_manual_clock();
    let (stale, present) = stolen(&world).await;

    assert_eq!(world.queue("default").bury(&[dead(&stale, "stale")]).await.unwrap(), [Settled::Refused]);

    assert_untouched(&world, &present).await;
}

#[tokio::test]
async fn a_stale_holder_cannot_hand_back() {
    let world = World::with_manual_clock();
    let (stale, present) = stolen(&world).await;

    let answers = world.queue("default").hand_back(&[back(&stale, "sql.run")]).await.unwrap();

    assert_eq!(answers, [Settled::Refused]);
    assert_untouched(&world, &present).await;
}

#[tokio::test]
async fn a_holder_is_refused_as_soon_as_its_job_was_taken_back() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let stale = hand("slow").claim_one(&queue).await;
    world.advance(LEASE_OVER);
    queue.reclaim_lost(3).await.unwrap();

    assert_eq!(queue.renew(&[held(&stale)], LEASE).await.unwrap(), [Renewal::Lost]);
    assert_eq!(queue.finish(&[done(&stale)]).await.unwrap(), [Settled::Refused]);
    assert_eq!(world.state(&id).await, Some(State::Delayed));
}

#[tokio::test]
async fn a_late_holder_whom_nobody_replaced_is_still_believed() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    let late = hand("slow").claim_one(&queue).await;
    world.advance(LEASE_OVER);

    assert_eq!(queue.finish(&[done(&late)]).await.unwrap(), [Settled::Accepted]);
}

#[tokio::test]
async fn one_stolen_job_in_a_batch_is_refused_and_the_others_are_accepted() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let (stale, present) = stolen(&world).await;
    world.enqueue("sql.run", json!({})).await;
    world.enqueue("sql.run", json!({})).await;
    let good = hand("slow").claim(&queue, 2).await;

    let answers = queue.finish(&[done(&good[0]), done(&stale), done(&good[1])]).await.unwrap();

    assert_eq!(answers, [Settled::Accepted, Settled::Refused, Settled::Accepted]);
    assert_eq!(world.state(&present.id).await, Some(State::Running));
    assert_eq!(world.counts().await.done, 2);
}

#[tokio::test]
async fn a_job_that_never_was_is_refused_alone() {
    let world = World::of_queues();
    let queue = world.queue("default");
    world.enqueue("sql.run", json!({})).await;
    let mut made_up = hand("w").claim_one(&queue).await;
    let real = done(&made_up);
    made_up.id = "made-up".to_owned();

    let answers = queue.finish(&[done(&made_up), real]).await.unwrap();

    assert_eq!(answers, [Settled::Refused, Settled::Accepted]);
}

/// Says something whose answer gets lost, so that it is said again, and expects to be believed and counted once.
async fn said_twice(verb: impl AsyncFn(&Queue, &ClaimedJob) -> Vec<Settled>, counter: Option<&str>) {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let far = world.queue("default").over(Store::open(&proxy.url()).unwrap());
    far.counts().await.unwrap();
    world.enqueue("sql.run", json!({})).await;
    let job = hand("w").claim_one(&world.queue("default")).await;

    proxy.swallow_next_answer();
    assert_eq!(verb(&far, &job).await, [Settled::Accepted]);

    assert_eq!(proxy.swallowed(), 1);
    assert_eq!(world.counts().await.running, 0);
    if let Some(counter) = counter {
        assert_eq!(world.counts().await.totals[counter], 1);
    }
    // Said once more it is another word, about a job that nobody holds.
    assert_eq!(verb(&far, &job).await, [Settled::Refused]);
}

#[tokio::test]
async fn a_finish_that_is_said_twice_is_one_finish() {
    said_twice(async |queue, job| queue.finish(&[done(job)]).await.unwrap(), Some("done")).await;
}

#[tokio::test]
async fn a_retry_that_is_said_twice_is_one_retry() {
    let retry = async |queue: &Queue, job: &ClaimedJob| {
        queue.retry(&[again(job, MINUTE, "the line of the trail")]).await.unwrap()
    };
    said_twice(retry, Some("retried")).await;
}

#[tokio::test]
async fn a_burial_that_is_said_twice_is_one_burial() {
    said_twice(async |queue, job| queue.bury(&[dead(job, "why")]).await.unwrap(), Some("dead")).await;
}

#[tokio::test]
async fn a_hand_back_that_is_said_twice_is_one_hand_back() {
    said_twice(async |queue, job| queue.hand_back(&[back(job, "sql.run")]).await.unwrap(), None).await;
}

#[tokio::test]
async fn a_finish_whose_answer_was_lost_is_accepted_all_the_same() {
    let world = World::of_queues();
    world.enqueue("sql.run", json!({})).await;
    let proxy = Proxy::to(&world.redis_url).await;
    let far = world.queue("default").over(Store::open(&proxy.url()).unwrap());
    let job = hand("w").claim_one(&far).await;

    proxy.swallow_next_answer();
    assert_eq!(far.finish(&[done(&job)]).await.unwrap(), [Settled::Accepted]);

    assert_eq!(proxy.swallowed(), 1);
    assert_eq!(world.counts().await.totals["done"], 1);
}

/// Says something about three hundred jobs at once, which is more than one call of a script takes.
async fn said_of_many(verb: impl AsyncFn(&Queue, &[ClaimedJob]) -> usize) {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..300).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    let mut claimed = Vec::new();
    while claimed.len() < 300 {
        claimed.extend(hand("w").claim(&queue, 128).await);
    }

    assert_eq!(verb(&queue, &claimed).await, 300);
}

fn accepted(answers: &[Settled]) -> usize {
    answers.iter().filter(|answer| **answer == Settled::Accepted).count()
}

#[tokio::test]
async fn any_number_of_leases_is_renewed_at_once() {
    said_of_many(async |queue, jobs| {
        let all: Vec<_> = jobs.iter().map(held).collect();
        let answers = queue.renew(&all, LEASE).await.unwrap();
        answers.iter().filter(|answer| **answer == Renewal::Renewed).count()
    })
    .await;
}

#[tokio::test]
async fn any_number_of_jobs_is_finished_at_once() {
    said_of_many(async |queue, jobs| {
        accepted(&queue.finish(&jobs.iter().map(done).collect::<Vec<_>>()).await.unwrap())
    })
    .await;
}

#[tokio::test]
async fn any_number_of_jobs_is_retried_at_once() {
    said_of_many(async |queue, jobs| {
        let all: Vec<_> = jobs.iter().map(|job| again(job, MINUTE, "failed")).collect();
        accepted(&queue.retry(&all).await.unwrap())
    })
    .await;
}

#[tokio::test]
async fn any_number_of_jobs_is_buried_at_once() {
    said_of_many(async |queue, jobs| {
        let all: Vec<_> = jobs.iter().map(|job| dead(job, "why")).collect();
        accepted(&queue.bury(&all).await.unwrap())
    })
    .await;
}

#[tokio::test]
async fn any_number_of_jobs_is_handed_back_at_once() {
    said_of_many(async |queue, jobs| {
        let all: Vec<_> = jobs.iter().map(|job| back(job, "sql.run")).collect();
        accepted(&queue.hand_back(&all).await.unwrap())
    })
    .await;
}

#[tokio::test]
async fn what_the_handler_returned_is_kept_with_the_job() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let mut finish = done(&hand("w").claim_one(&queue).await);
    finish.outcome.result = Some(json!({ "rows": 7 }));

    queue.finish(&[finish]).await.unwrap();

    let outcome = world.show(&id).await.outcome.unwrap();
    assert_eq!((outcome.ending, outcome.result), (Ending::Done, Some(json!({ "rows": 7 }))));
}

#[tokio::test]
async fn a_buried_job_keeps_its_payload_and_the_reason() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({ "n": 7 })).await;
    let job = hand("w").claim_one(&queue).await;

    queue.bury(&[dead(&job, "no table `ledger`")]).await.unwrap();

    let view = world.show(&id).await;
    assert_eq!((view.state, view.args), (State::Dead, json!({ "n": 7 })));
    assert_eq!(view.outcome.unwrap().reason.as_deref(), Some("no table `ledger`"));
}

/// Enqueues, claims and settles this many jobs, a second apart; returns their ids, oldest first.
async fn settle_one_by_one(world: &World, queue: &Queue, count: usize, is_done: bool) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        world.advance(Duration::from_secs(1));
        let id = world.enqueue("sql.run", json!({})).await;
        let job = hand("w").claim_one(queue).await;
        let answers = if is_done {
            queue.finish(&[done(&job)]).await.unwrap()
        } else {
            queue.bury(&[dead(&job, "why")]).await.unwrap()
        };
        assert_eq!(answers, [Settled::Accepted]);
        ids.push(id);
    }
    ids
}

/// The ids of the queue `default` in this state, oldest first.
async fn in_state(world: &World, state: State) -> Vec<String> {
    let views = world.queue("default").list(state, 1_000).await.unwrap();
    views.into_iter().rev().map(|view| view.id).collect()
}

const LONG: u64 = 3_600_000;

#[tokio::test]
async fn the_latest_done_jobs_are_kept_by_count() {
    let world = World::with_manual_clock();
    let keep = Keep { count: 3, age_ms: LONG, bytes: 0 };
    let queue = world.queue("default").keeping(keep, keep);

    let ids = settle_one_by_one(&world, &queue, 5, true).await;

    assert_eq!(in_state(&world, State::Done).await, ids[2..]);
}

#[tokio::test]
async fn done_jobs_are_kept_by_age() {
    let world = World::with_manual_clock();
    let keep = Keep { count: 1_000, age_ms: 60_000, bytes: 0 };
    let queue = world.queue("default").keeping(keep, keep);
    settle_one_by_one(&world, &queue, 3, true).await;
    world.advance(MINUTE);

    let ids = settle_one_by_one(&world, &queue, 1, true).await;

    assert_eq!(in_state(&world, State::Done).await, ids);
}

#[tokio::test]
async fn a_queue_that_keeps_no_done_jobs_keeps_nothing_of_them() {
    let world = World::with_manual_clock();
    let none = Keep { count: 0, age_ms: LONG, bytes: 0 };
    let queue = world.queue("default").keeping(none, none);

    let ids = settle_one_by_one(&world, &queue, 1, true).await;

    assert_eq!(world.state(&ids[0]).await, None);
    let mut again = world.job("sql.run", &json!({}));
    again.id.clone_from(&ids[0]);
    assert_eq!(queue.enqueue(&again).await.unwrap(), Enqueued::New);
}

#[tokio::test]
async fn a_job_may_ask_for_its_outcome_to_be_kept_longer() {
    let world = World::with_manual_clock();
    let keep = Keep { count: 1_000, age_ms: 1_000, bytes: 0 };
    let queue = world.queue("default").keeping(keep, keep);
    let id = world.enqueue("sql.run", json!({})).await;
    let mut finish = done(&hand("w").claim_one(&queue).await);
    finish.keep_ms = Some(LONG);
    queue.finish(&[finish]).await.unwrap();

    world.advance(MINUTE);
    settle_one_by_one(&world, &queue, 1, true).await;

    assert_eq!(world.state(&id).await, Some(State::Done));
}

#[tokio::test]
async fn the_latest_dead_jobs_are_kept_by_count_and_what_is_dropped_is_counted() {
    let world = World::with_manual_clock();
    let keep = Keep { count: 3, age_ms: LONG, bytes: 0 };
    let queue = world.queue("default").keeping(keep, keep);

    let ids = settle_one_by_one(&world, &queue, 5, false).await;

    assert_eq!(in_state(&world, State::Dead).await, ids[2..]);
    assert_eq!(world.counts().await.totals["dead_dropped"], 2);
}

#[tokio::test]
async fn dead_jobs_are_kept_by_age() {
    let world = World::with_manual_clock();
    let keep = Keep { count: 1_000, age_ms: 60_000, bytes: 0 };
    let queue = world.queue("default").keeping(keep, keep);
    settle_one_by_one(&world, &queue, 3, false).await;
    world.advance(MINUTE);

    let ids = settle_one_by_one(&world, &queue, 1, false).await;

    assert_eq!(in_state(&world, State::Dead).await, ids);
}
