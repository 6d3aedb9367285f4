//! Jobs that take the place of one that waits under the same key, or put it off.

use std::time::Duration;

use brasa_shared::queue::{Enqueued, Envelope, OnConflict, Queue, State, Tick, Verdict};
use brasa_tests::World;
use brasa_tests::hand::{Hand, LEASE_OVER, again, done, reclaim};
use redis::cmd;
use serde_json::{Value, json};

const KIND: &str = "sql.run";
const OTHER: &str = "cache.warm";

fn hand() -> Hand {
    Hand::new("w", &[KIND, OTHER])
}

fn job(world: &World, conflict: OnConflict, args: &Value) -> Envelope {
    let mut job = world.job(KIND, args);
    (job.unique, job.on_conflict) = (Some("k".to_owned()), conflict);
    job
}

fn due_in(world: &World, mut job: Envelope, ms: i64) -> Envelope {
    job.due = Some(world.clock.now().as_millisecond() + ms);
    job
}

async fn put(queue: &Queue, job: &Envelope) -> Enqueued {
    queue.enqueue(job).await.unwrap()
}

fn into(job: &Envelope) -> Enqueued {
    Enqueued::Merged { into: job.id.clone() }
}

/// Time passes until what was replaced stands in line again.
async fn settle(world: &World, queue: &Queue) {
    world.advance(Duration::from_millis(5));
    queue.promote_due().await.unwrap();
}

/// Entries of lanes that stand for nothing any more.
async fn stale(world: &World, queue: &Queue) -> u64 {
    world.redis(cmd("HLEN").arg(&queue.keys().gone)).await
}

#[tokio::test]
async fn a_waiting_job_is_replaced_and_keeps_its_id() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = job(&world, OnConflict::Keep, &json!({ "n": 1 }));
    put(&queue, &first).await;

    assert_eq!(put(&queue, &job(&world, OnConflict::Replace, &json!({ "n": 2 }))).await, into(&first));
    settle(&world, &queue).await;

    let claimed = hand().claim(&queue, 5).await;
    assert_eq!(claimed.iter().map(|job| &job.id).collect::<Vec<_>>(), [&first.id]);
    assert_eq!(world.show(&first.id).await.args, json!({ "n": 2 }));
    assert_eq!((world.counts().await.waiting, world.counts().await.running), (0, 1));
}

#[tokio::test]
async fn a_delayed_job_is_replaced_with_its_time() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = due_in(&world, job(&world, OnConflict::Keep, &json!({})), 60_000);
    put(&queue, &first).await;

    let second = due_in(&world, job(&world, OnConflict::Replace, &json!({ "n": 2 })), 10_000);
    assert_eq!(put(&queue, &second).await, into(&first));

    let view = world.show(&first.id).await;
    assert_eq!((view.state, Some(view.state_ms)), (State::Delayed, second.due));
    assert_eq!(view.args, json!({ "n": 2 }));
}

#[tokio::test]
async fn a_running_job_is_neither_replaced_nor_put_off() {
    for conflict in [OnConflict::Replace, OnConflict::Extend] {
        let world = World::with_manual_clock();
        let queue = world.queue("default");
        let first = job(&world, OnConflict::Keep, &json!({ "n": 1 }));
        put(&queue, &first).await;
        hand().claim_one(&queue).await;

        let answer = put(&queue, &due_in(&world, job(&world, conflict, &json!({ "n": 2 })), 1_000)).await;

        assert_eq!(answer, Enqueued::Held { by: first.id.clone() });
        let view = world.show(&first.id).await;
        assert_eq!((view.state, view.args), (State::Running, json!({ "n": 1 })));
    }
}

#[tokio::test]
async fn a_job_is_put_off_with_its_own_arguments() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = job(&world, OnConflict::Extend, &json!({ "n": 1 }));
    put(&queue, &first).await;

    let second = due_in(&world, job(&world, OnConflict::Extend, &json!({ "n": 2 })), 5_000);
    assert_eq!(put(&queue, &second).await, into(&first));

    assert!(hand().claim(&queue, 1).await.is_empty());
    let view = world.show(&first.id).await;
    assert_eq!((view.state, Some(view.state_ms), view.args), (State::Delayed, second.due, json!({ "n": 1 })));
}

#[tokio::test]
async fn a_burst_becomes_one_job_that_starts_after_the_last_or_at_the_latest() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut first = String::new();
    let mut started_after = None;
    for n in 0..60 {
        let mut next = due_in(&world, job(&world, OnConflict::Replace, &json!({ "n": n })), 2_000);
        next.latest_ms = Some(10_000);
        match put(&queue, &next).await {
            Enqueued::New => first = next.id,
            Enqueued::Merged { into } => assert_eq!(into, first),
            other => panic!("{other:?}"),
        }
        world.advance(Duration::from_millis(500));
        queue.promote_due().await.unwrap();
        if let Some(job) = hand().claim(&queue, 1).await.pop() {
            assert_eq!(job.id, first);
            started_after = Some((n + 1) * 500);
            break;
        }
    }

    assert_eq!(started_after, Some(10_000));
    assert_eq!(world.show(&first).await.args, json!({ "n": 19 }));
}

#[tokio::test]
async fn a_job_that_waits_for_its_retry_is_replaced_too() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = job(&world, OnConflict::Keep, &json!({ "n": 1 }));
    put(&queue, &first).await;
    let claimed = hand().claim_one(&queue).await;
    queue.retry(&[again(&claimed, Duration::from_mins(5), "")]).await.unwrap();

    assert_eq!(put(&queue, &job(&world, OnConflict::Replace, &json!({ "n": 2 }))).await, into(&first));
    settle(&world, &queue).await;

    let claimed = hand().claim_one(&queue).await;
    assert_eq!((claimed.id, claimed.attempt), (first.id, 2));
}

/// The entry of the job that was replaced is still where it was; whichever of the two comes first, the one of
/// the job as it is now counts.
#[tokio::test]
async fn a_job_that_is_replaced_by_one_of_another_kind_stands_in_the_lane_of_that_kind() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = job(&world, OnConflict::Keep, &json!({}));
    put(&queue, &first).await;
    let second = Envelope { kind: OTHER.to_owned(), ..job(&world, OnConflict::Replace, &json!({})) };
    put(&queue, &second).await;
    settle(&world, &queue).await;

    assert_eq!(Hand::new("new", &[OTHER]).claim_one(&queue).await.id, first.id);

    assert!(Hand::new("old", &[KIND]).claim(&queue, 5).await.is_empty());
    assert_eq!(world.counts().await.waiting, 0);
    assert_eq!(stale(&world, &queue).await, 0);
}

#[tokio::test]
async fn the_old_entry_of_a_replaced_job_hands_out_nothing() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    put(&queue, &job(&world, OnConflict::Keep, &json!({}))).await;
    let second = Envelope { kind: OTHER.to_owned(), ..job(&world, OnConflict::Replace, &json!({})) };
    put(&queue, &second).await;
    settle(&world, &queue).await;

    assert!(Hand::new("old", &[KIND]).claim(&queue, 5).await.is_empty());
    assert_eq!(stale(&world, &queue).await, 0);

    assert_eq!(Hand::new("new", &[OTHER]).claim(&queue, 5).await.len(), 1);
}

#[tokio::test]
async fn a_job_that_is_replaced_by_a_more_urgent_one_does_not_wait_at_its_old_place() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    for _ in 0..20 {
        world.enqueue(KIND, json!({})).await;
    }
    let first = job(&world, OnConflict::Keep, &json!({}));
    put(&queue, &first).await;
    put(&queue, &Envelope { priority: 9, ..job(&world, OnConflict::Replace, &json!({})) }).await;
    settle(&world, &queue).await;

    assert_eq!(hand().claim_one(&queue).await.id, first.id);

    assert_eq!(hand().claim(&queue, 50).await.len(), 20);
    assert_eq!(stale(&world, &queue).await, 0);
}

#[tokio::test]
async fn a_job_that_is_replaced_again_and_again_is_handed_out_once() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    put(&queue, &job(&world, OnConflict::Keep, &json!({}))).await;
    for n in 0..12_u8 {
        let kind = [KIND, OTHER][usize::from(n) % 2].to_owned();
        let next = Envelope { kind, priority: n % 3, ..job(&world, OnConflict::Replace, &json!({})) };
        put(&queue, &next).await;
        settle(&world, &queue).await;
        assert_eq!(world.counts().await.waiting, 1, "{n}");
    }

    let claimed = hand().claim(&queue, 50).await;
    assert_eq!(claimed.len(), 1);
    queue.finish(&[done(&claimed[0])]).await.unwrap();
    assert!(hand().claim(&queue, 50).await.is_empty());
    assert_eq!(stale(&world, &queue).await, 0);
}

/// Time is measured in milliseconds, and much happens in one.
#[tokio::test]
async fn a_job_that_is_replaced_twice_in_an_instant_stands_in_its_last_lane() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = job(&world, OnConflict::Keep, &json!({}));
    put(&queue, &first).await;
    for kind in [OTHER, KIND, OTHER] {
        put(&queue, &Envelope { kind: kind.to_owned(), ..job(&world, OnConflict::Replace, &json!({})) })
            .await;
        queue.promote_due().await.unwrap();
    }
    settle(&world, &queue).await;

    assert!(Hand::new("old", &[KIND]).claim(&queue, 5).await.is_empty());
    assert_eq!(Hand::new("new", &[OTHER]).claim_one(&queue).await.id, first.id);
}

#[tokio::test]
async fn a_replaced_job_that_runs_and_comes_back_is_not_taken_for_its_old_entry() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let first = job(&world, OnConflict::Keep, &json!({}));
    put(&queue, &first).await;
    put(&queue, &Envelope { kind: OTHER.to_owned(), ..job(&world, OnConflict::Replace, &json!({})) }).await;
    settle(&world, &queue).await;
    let new = Hand::new("new", &[OTHER]);
    for attempt in 1..=3 {
        let claimed = new.claim_one(&queue).await;
        assert_eq!((&claimed.id, claimed.attempt), (&first.id, attempt));
        if attempt == 1 {
            queue.retry(&[again(&claimed, Duration::ZERO, "")]).await.unwrap();
            queue.promote_due().await.unwrap();
        } else {
            world.advance(LEASE_OVER);
            reclaim(&queue).await;
        }
    }

    assert!(Hand::new("old", &[KIND]).claim(&queue, 5).await.is_empty());
}

#[tokio::test]
async fn a_job_whose_key_waits_is_replaced_where_it_is_parked() {
    use brasa_shared::queue::{Limit, LimitScope};

    let world = World::with_manual_clock();
    let limit = Limit { scope: LimitScope::Share, at_once: 1, rate: None };
    let queue = world.queue("default").limited(vec![limit]);
    let mut running = world.job(KIND, &json!({}));
    running.share = Some("acme".to_owned());
    put(&queue, &running).await;
    let shared = |conflict, share: &str| Envelope {
        share: Some(share.to_owned()),
        ..job(&world, conflict, &json!({}))
    };
    let first = shared(OnConflict::Keep, "acme");
    put(&queue, &first).await;
    let busy = hand().claim(&queue, 5).await.remove(0);
    assert_eq!(world.counts().await.parked, 1);

    put(&queue, &shared(OnConflict::Replace, "birch")).await;
    settle(&world, &queue).await;

    assert_eq!(hand().claim_one(&queue).await.id, first.id);
    queue.finish(&[done(&busy)]).await.unwrap();
    assert!(hand().claim(&queue, 5).await.is_empty());
    assert_eq!((world.counts().await.parked, stale(&world, &queue).await), (0, 0));
}

#[tokio::test]
async fn a_job_is_listed_once_although_it_was_replaced() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    put(&queue, &job(&world, OnConflict::Keep, &json!({}))).await;
    put(&queue, &Envelope { kind: OTHER.to_owned(), ..job(&world, OnConflict::Replace, &json!({})) }).await;
    world.enqueue(KIND, json!({})).await;
    settle(&world, &queue).await;

    assert_eq!(queue.list(State::Waiting, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_tick_that_replaces_a_job_leaves_no_lock_behind() {
    use brasa_shared::queue::UniqueUntil;

    let world = World::with_manual_clock();
    let queue = world.queue("default");
    for n in 0..5 {
        let mut job = job(&world, OnConflict::Keep, &json!({ "n": n }));
        job.unique_until = UniqueUntil::Started;
        let instant = world.clock.now();
        let tick = Tick { schedule: "s", instant, overlap: "replace", withheld: None, why: "", job: &job };
        assert_eq!(queue.tick(&tick).await.unwrap(), Verdict::Fired);
        world.advance(Duration::from_mins(1));
    }

    assert_eq!(hand().claim(&queue, 10).await.len(), 1);
    assert_eq!(world.redis::<u64>(cmd("HLEN").arg(&queue.keys().locks)).await, 0);
}
