//! How many jobs may run at once in the whole fleet: by queue, by kind, by share key.

use std::time::Duration;

use brasa_shared::queue::{ClaimedJob, Limit, LimitScope, Queue, State, Wake, listen};
use brasa_tests::hand::{CRASHES_MAX, Hand, LEASE_OVER, again, back, dead, done, reclaim};
use brasa_tests::{World, eventually};
use redis::cmd;
use serde_json::json;

const KIND: &str = "mail.send";
const OTHER: &str = "sql.run";

pub(crate) fn at_once(scope: LimitScope, most: u32) -> Limit {
    Limit { scope, at_once: most, rate: None }
}

fn limited(world: &World, scope: LimitScope, most: u32) -> Queue {
    world.queue("default").limited(vec![at_once(scope, most)])
}

fn kind() -> LimitScope {
    LimitScope::Kind(KIND.to_owned())
}

async fn put(world: &World, kind: &str, share: &str, count: usize) -> Vec<String> {
    let mut jobs: Vec<_> = (0..count).map(|_| world.job(kind, &json!({}))).collect();
    for job in &mut jobs {
        job.share = (!share.is_empty()).then(|| share.to_owned());
    }
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

/// The same a millisecond apart: jobs of one instant have no order.
async fn put_in_turn(world: &World, share: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.extend(put(world, KIND, share, 1).await);
        world.advance(Duration::from_millis(1));
    }
    ids
}

/// Several workers ask in turn until nobody gets anything more.
async fn all_that_is_handed_out(queue: &Queue) -> Vec<ClaimedJob> {
    let mut all = Vec::new();
    for turn in 0.. {
        let claimed = Hand::new(&format!("w{}", turn % 3), &[KIND, OTHER]).claim(queue, 2).await;
        if claimed.is_empty() && turn >= 3 {
            break;
        }
        all.extend(claimed);
    }
    all
}

/// What is counted as running under limits.
async fn counters(world: &World) -> Vec<(String, i64)> {
    let queue = world.queue("default");
    let found: std::collections::BTreeMap<String, i64> =
        world.redis(cmd("HGETALL").arg(&queue.keys().running)).await;
    found.into_iter().collect()
}

#[tokio::test]
async fn no_more_of_a_queue_run_at_once_than_its_limit_whoever_asks() {
    let world = World::of_queues();
    let queue = limited(&world, LimitScope::Queue, 3);
    put(&world, KIND, "", 5).await;
    put(&world, OTHER, "acme", 5).await;

    assert_eq!(all_that_is_handed_out(&queue).await.len(), 3);

    assert_eq!(counters(&world).await, [("q".to_owned(), 3)]);
}

#[tokio::test]
async fn a_kind_at_its_limit_starves_no_other() {
    let world = World::of_queues();
    let queue = limited(&world, kind(), 2);
    put(&world, KIND, "", 50).await;
    put(&world, OTHER, "", 5).await;

    let handed_out = all_that_is_handed_out(&queue).await;

    assert_eq!(handed_out.len(), 7);
    assert_eq!(counters(&world).await, [(format!("k {KIND}"), 2)]);
    assert!(handed_out.iter().all(|job| job.attempt == 1));
}

#[tokio::test]
async fn a_share_key_at_its_limit_starves_no_other() {
    let world = World::of_queues();
    let queue = limited(&world, LimitScope::Share, 2);
    put(&world, KIND, "acme", 300).await;
    put(&world, KIND, "birch", 3).await;
    put(&world, OTHER, "", 3).await;

    let handed_out = all_that_is_handed_out(&queue).await;

    assert_eq!(handed_out.len(), 2 + 2 + 3);
    assert_eq!(counters(&world).await, [("g acme".to_owned(), 2), ("g birch".to_owned(), 2)]);
    assert_eq!((world.counts().await.running, world.counts().await.waiting), (7, 299));
}

#[tokio::test]
async fn many_who_ask_at_the_same_instant_are_not_handed_more_than_the_limit() {
    let world = World::of_queues();
    let queue = limited(&world, kind(), 5);
    put(&world, KIND, "", 100).await;

    let asking: Vec<_> = (0..20)
        .map(|n| {
            let queue = queue.clone();
            tokio::spawn(async move { Hand::new(&format!("w{n}"), &[KIND]).claim(&queue, 4).await.len() })
        })
        .collect();
    let mut handed_out = 0;
    for asked in asking {
        handed_out += asked.await.unwrap();
    }

    assert_eq!(handed_out, 5);
}

/// What a holder, or its death, can make of a job.
#[derive(Debug, Clone, Copy)]
enum End {
    Finish,
    Retry,
    Bury,
    HandBack,
    Lost,
}

const ENDS: [End; 5] = [End::Finish, End::Retry, End::Bury, End::HandBack, End::Lost];

async fn end(world: &World, queue: &Queue, job: &ClaimedJob, how: End) {
    match how {
        End::Finish => drop(queue.finish(&[done(job)]).await.unwrap()),
        End::Retry => drop(queue.retry(&[again(job, Duration::from_hours(1), "")]).await.unwrap()),
        End::Bury => drop(queue.bury(&[dead(job, "why")]).await.unwrap()),
        End::HandBack => {
            let share = world.show(&job.id).await.share;
            let lane = if share.is_some() { format!("{KIND}~") } else { KIND.to_owned() };
            drop(
                queue
                    .hand_back(&[brasa_shared::queue::HandBack { share, ..back(job, &lane) }])
                    .await
                    .unwrap(),
            );
        }
        End::Lost => {
            world.advance(LEASE_OVER);
            reclaim(queue).await;
        }
    }
}

#[tokio::test]
async fn a_slot_is_free_again_however_its_job_was_let_go() {
    for (scope, share) in [(LimitScope::Queue, ""), (kind(), ""), (LimitScope::Share, "acme")] {
        for how in ENDS {
            let world = World::with_manual_clock();
            let queue = limited(&world, scope.clone(), 1);
            put(&world, KIND, share, 3).await;
            let hand = Hand::new("w", &[KIND]);
            let job = hand.claim_one(&queue).await;
            assert!(hand.claim(&queue, 1).await.is_empty(), "{scope:?} {how:?}");

            end(&world, &queue, &job, how).await;

            assert_eq!(counters(&world).await, [], "{scope:?} {how:?}");
            assert_eq!(hand.claim(&queue, 2).await.len(), 1, "{scope:?} {how:?}");
        }
    }
}

#[tokio::test]
async fn a_sleeping_worker_is_told_when_a_slot_is_free_however_its_job_was_let_go() {
    for how in ENDS {
        let world = World::with_manual_clock();
        let queue = limited(&world, kind(), 1);
        put(&world, KIND, "", 3).await;
        let job = Hand::new("w", &[KIND]).claim_one(&queue).await;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let keys = vec![queue.keys().clone()];
        let listening =
            tokio::spawn(listen(world.store.apart(), keys, "w", move |wake| drop(tell.send(wake))));
        // Every subscription begins with a word of its own.
        assert!(matches!(told.recv().await, Some(Wake::Ready(..))));

        end(&world, &queue, &job, how).await;

        let told = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
        assert!(matches!(told, Ok(Some(Wake::Ready(..)))), "{how:?}: {told:?}");
        listening.abort();
    }
}

#[tokio::test]
async fn what_a_limit_keeps_back_burns_no_attempt_and_keeps_its_place() {
    let world = World::with_manual_clock();
    let queue = limited(&world, LimitScope::Share, 1);
    let ids = put_in_turn(&world, "acme", 10).await;
    let hand = Hand::new("w", &[KIND]);
    let mut order = Vec::new();
    for _ in 0..10 {
        let job = hand.claim_one(&queue).await;
        assert_eq!(job.attempt, 1);
        assert!(hand.claim(&queue, 5).await.is_empty());
        queue.finish(&[done(&job)]).await.unwrap();
        order.push(job.id);
    }

    assert_eq!(order, ids);
    let left: u64 = world.redis(cmd("EXISTS").arg(&queue.keys().parked).arg(&queue.keys().waits)).await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_job_that_waits_for_its_key_is_cancelled_like_any_other() {
    let world = World::with_manual_clock();
    let queue = limited(&world, LimitScope::Share, 1);
    let ids = put_in_turn(&world, "acme", 3).await;
    let hand = Hand::new("w", &[KIND]);
    let job = hand.claim(&queue, 3).await.remove(0);
    assert_eq!(world.counts().await.parked, 2);

    queue.cancel(&ids[1], "ana", "").await.unwrap();
    queue.finish(&[done(&job)]).await.unwrap();

    assert_eq!(hand.claim(&queue, 3).await[0].id, ids[2]);
    let counts = world.counts().await;
    assert_eq!((counts.waiting, counts.parked, counts.done), (0, 0, 2));
}

#[tokio::test]
async fn a_holder_that_died_long_ago_leaks_no_slot() {
    let world = World::with_manual_clock();
    let queue = limited(&world, LimitScope::Queue, 4);
    put(&world, KIND, "", 4).await;
    for n in 0..12 {
        let claimed = Hand::new(&format!("w{n}"), &[KIND]).claim(&queue, 4).await;
        assert!(!claimed.is_empty());
        world.advance(LEASE_OVER);
        queue.reclaim_lost(CRASHES_MAX).await.unwrap();
        world.advance(Duration::from_secs(2));
        queue.promote_due().await.unwrap();
        if world.counts().await.dead == 4 {
            break;
        }
    }

    assert_eq!(world.counts().await.dead, 4);
    assert_eq!(counters(&world).await, []);
}

#[tokio::test]
async fn a_late_word_of_a_lost_holder_frees_no_slot_of_the_next_one() {
    let world = World::with_manual_clock();
    let queue = limited(&world, kind(), 1);
    put(&world, KIND, "", 2).await;
    let hand = Hand::new("w", &[KIND]);
    let late = hand.claim_one(&queue).await;
    end(&world, &queue, &late, End::Lost).await;
    hand.claim_one(&queue).await;

    queue.finish(&[done(&late)]).await.unwrap();

    assert!(hand.claim(&queue, 1).await.is_empty());
    assert_eq!(counters(&world).await, [(format!("k {KIND}"), 1)]);
}

/// Parked jobs must not wait for a limit that nobody has any more.
#[tokio::test]
async fn jobs_that_waited_for_a_limit_go_on_when_the_limit_is_taken_away() {
    let world = World::with_manual_clock();
    let queue = limited(&world, LimitScope::Share, 1);
    put(&world, KIND, "acme", 3).await;
    let hand = Hand::new("w", &[KIND]);
    let job = hand.claim(&queue, 3).await.remove(0);
    assert_eq!(world.counts().await.parked, 2);

    let unlimited = world.queue("default");
    unlimited.finish(&[done(&job)]).await.unwrap();

    assert_eq!(hand.claim(&unlimited, 3).await.len(), 2);
    assert_eq!(world.counts().await.waiting, 0);
}

/// A key has jobs of two kinds, and nobody runs one of them; whoever asks in vain must not keep the others waiting.
#[tokio::test]
async fn jobs_of_a_key_are_found_by_those_who_run_their_kind_whoever_asks_first() {
    for first in [OTHER, KIND] {
        let world = World::with_manual_clock();
        let queue = limited(&world, LimitScope::Share, 1);
        put(&world, first, "acme", 100).await;
        world.advance(Duration::from_millis(1));
        let second = if first == KIND { OTHER } else { KIND };
        put(&world, second, "acme", 2).await;
        let all = Hand::new("all", &[KIND, OTHER]);
        let busy = all.claim(&queue, 128).await.remove(0);
        queue.finish(&[done(&busy)]).await.unwrap();

        for _ in 0..2 {
            assert!(Hand::new("neither", &["db.analyze"]).claim(&queue, 5).await.is_empty());
            let job = Hand::new("second", &[second]).claim_one(&queue).await;
            queue.finish(&[done(&job)]).await.unwrap();
            world.advance(Duration::from_millis(300));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_together_keep_to_a_limit_and_get_through_all() {
    use brasa_tests::Worker;
    use brasa_tests::kinds::{at_the_gate, at_the_gate_now, kinds, most_at_the_gate, open_the_gate};

    let world = World::of_queues();
    let limit = at_once(LimitScope::Kind("test.gate".to_owned()), 3);
    let workers = [(); 2].map(|()| {
        let mut settings = world.settings(kinds(), "");
        settings.queues[0].0 = settings.queues[0].0.clone().limited(vec![limit.clone()]);
        Worker::start(settings)
    });
    let jobs: Vec<_> = (0..20).map(|_| world.job("test.gate", &at_the_gate(&world))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    eventually("as many run as may", async || at_the_gate_now(&world).await == 3).await;

    open_the_gate(&world).await;
    eventually("all have run", async || world.counts().await.done == 20).await;

    assert_eq!(most_at_the_gate(&world).await, 3);
    assert_eq!(world.state(&jobs[0].id).await, Some(State::Done));
    assert_eq!(counters(&world).await, []);
    for worker in workers {
        worker.drain().await;
    }
}
