//! How much a queue may hold: what is beyond it is refused at the door, and what is counted is exact.

use std::time::Duration;

use brasa_shared::queue::{Budget, Enqueued, Envelope, Keep, Queue, QueueError, State, Tick, Verdict};
use brasa_tests::World;
use brasa_tests::hand::{Hand, LEASE_OVER, again, back, dead, done, reclaim};
use brasa_tests::recount::{assert_exact, said};
use redis::cmd;
use serde_json::json;

const KIND: &str = "sql.run";

fn hand() -> Hand {
    Hand::new("w", &[KIND])
}

fn within(world: &World, jobs: u64, bytes: u64) -> Queue {
    world.queue("default").within(Budget { jobs, bytes })
}

fn jobs(world: &World, count: usize) -> Vec<Envelope> {
    (0..count).map(|n| world.job(KIND, &json!({ "n": n }))).collect()
}

/// A job of about this many bytes. Its text is random, so that no compression makes it small.
fn large(world: &World, bytes: usize) -> Envelope {
    let text: String = (0..bytes).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
    world.job(KIND, &json!({ "text": text }))
}

fn refused(answer: Result<Enqueued, QueueError>) -> String {
    let error = answer.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_queue_takes_as_many_jobs_as_it_may_hold_and_says_so() {
    let world = World::of_queues();
    let queue = within(&world, 3, 0);
    for job in jobs(&world, 3) {
        queue.enqueue(&job).await.unwrap();
    }

    let said = refused(queue.enqueue(&jobs(&world, 1)[0]).await);

    assert!(said.contains("holds 3 open jobs") && said.contains("may hold 3 jobs"), "{said}");
    assert_eq!(world.counts().await.waiting, 3);
}

#[tokio::test]
async fn delayed_running_and_blocked_jobs_count_and_ended_ones_do_not() {
    let world = World::with_manual_clock();
    let queue = within(&world, 3, 0);
    let mut three = jobs(&world, 3);
    three[1].due = Some(world.clock.now().as_millisecond() + 60_000);
    three[2].parents = 1;
    queue.enqueue_all(&three).await.unwrap();
    let job = hand().claim_one(&queue).await;
    refused(queue.enqueue(&jobs(&world, 1)[0]).await);

    queue.finish(&[done(&job)]).await.unwrap();

    assert_eq!(queue.enqueue(&jobs(&world, 1)[0]).await.unwrap(), Enqueued::New);
    refused(queue.enqueue(&jobs(&world, 1)[0]).await);
}

#[tokio::test]
async fn a_queue_takes_as_many_bytes_as_it_may_hold() {
    let world = World::of_queues();
    let queue = within(&world, 0, 5_000);
    let mut taken = 0;
    loop {
        match queue.enqueue(&large(&world, 500)).await {
            Ok(_) => taken += 1,
            answer => break drop(refused(answer)),
        }
    }

    // Each is its text and a few bytes around it.
    assert_eq!(taken, 9);
    assert!(said(&queue).await.bytes <= 5_000);
    assert_exact(&queue, "full").await;
}

#[tokio::test]
async fn a_job_that_is_known_is_known_also_when_the_queue_is_full() {
    let world = World::of_queues();
    let queue = within(&world, 1, 0);
    let job = jobs(&world, 1).remove(0);
    queue.enqueue(&job).await.unwrap();

    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Known);
}

/// How many of these are known to the queue, and whether they are the first ones.
async fn known(queue: &Queue, jobs: &[Envelope]) -> (usize, bool) {
    let ids: Vec<_> = jobs.iter().map(|job| job.id.clone()).collect();
    let known: Vec<_> = queue.views(&ids).await.unwrap().iter().map(Option::is_some).collect();
    let count = known.iter().filter(|known| **known).count();
    (count, known.iter().take(count).all(|known| *known))
}

#[tokio::test]
async fn a_bulk_that_does_not_fit_says_how_many_were_taken_and_those_are_the_first() {
    for (budget_jobs, budget_bytes) in [(700, 0), (0, 15_000)] {
        let world = World::of_queues();
        let queue = within(&world, budget_jobs, budget_bytes);
        let jobs = jobs(&world, 1_500);

        let QueueError::Full { taken, .. } = queue.enqueue_all(&jobs).await.unwrap_err() else {
            panic!("it is full")
        };

        assert_eq!(known(&queue, &jobs).await, (taken, true));
        assert!(taken > 600, "{taken}");
    }
}

#[tokio::test]
async fn of_a_bulk_nothing_is_taken_behind_a_job_that_did_not_fit() {
    let world = World::of_queues();
    let queue = within(&world, 0, 3_000);
    let small = || world.job(KIND, &json!({}));
    let jobs = [small(), large(&world, 4_000), small(), small()];

    let QueueError::Full { taken, .. } = queue.enqueue_all(&jobs).await.unwrap_err() else {
        panic!("it is full")
    };

    assert_eq!((taken, known(&queue, &jobs).await), (1, (1, true)));
}

#[tokio::test]
async fn one_caller_whose_job_is_too_large_is_not_the_others_loss() {
    let world = World::of_queues();
    let queue = within(&world, 0, 8_000);
    let (large, small) = (large(&world, 20_000), world.job(KIND, &json!({})));

    let (refusal, taken) = tokio::join!(queue.enqueue(&large), queue.enqueue(&small));

    refused(refusal);
    assert_eq!(taken.unwrap(), Enqueued::New);
}

#[tokio::test]
async fn what_is_pushed_to_the_inbox_of_a_full_queue_waits_there_and_is_admitted_later() {
    let world = World::of_queues();
    let queue = within(&world, 2, 0);
    let pushed = jobs(&world, 5);
    for job in &pushed {
        let wire = job.to_wire().unwrap();
        let _: u64 = world.redis(cmd("RPUSH").arg(&queue.keys().inbox).arg(wire)).await;
    }
    assert_eq!(queue.drain_inbox().await.unwrap(), 2);
    assert_eq!(queue.drain_inbox().await.unwrap(), 0);
    assert_eq!(world.counts().await.waiting, 5);

    let claimed = hand().claim(&queue, 2).await;
    queue.finish(&claimed.iter().map(done).collect::<Vec<_>>()).await.unwrap();

    assert_eq!(queue.drain_inbox().await.unwrap(), 2);
    assert_eq!(
        hand().claim(&queue, 5).await.iter().map(|job| &job.id).collect::<Vec<_>>(),
        [&pushed[2].id, &pushed[3].id]
    );
    assert_exact(&queue, "with an inbox").await;
}

#[tokio::test]
async fn a_tick_that_finds_the_queue_full_is_late_and_not_lost() {
    let world = World::with_manual_clock();
    let queue = within(&world, 1, 0);
    world.enqueue(KIND, json!({})).await;
    let (job, instant) = (world.job(KIND, &json!({})), world.clock.now());
    let tick = Tick { schedule: "s", instant, overlap: "queue", withheld: None, why: "", job: &job };
    assert!(queue.tick(&tick).await.unwrap_err().is_refusal());
    assert!(queue.tick_log(5).await.unwrap().is_empty());

    let first = hand().claim_one(&queue).await;
    queue.finish(&[done(&first)]).await.unwrap();

    assert_eq!(queue.tick(&tick).await.unwrap(), Verdict::Fired);
    assert_eq!(hand().claim_one(&queue).await.id, job.id);
}

#[tokio::test]
async fn a_full_queue_still_retries_reclaims_and_revives_what_it_has() {
    let world = World::with_manual_clock();
    let queue = within(&world, 1, 0);
    world.enqueue(KIND, json!({})).await;
    let job = hand().claim_one(&queue).await;
    queue.retry(&[again(&job, Duration::ZERO, "")]).await.unwrap();
    queue.promote_due().await.unwrap();
    hand().claim_one(&queue).await;
    world.advance(LEASE_OVER);
    reclaim(&queue).await;
    let job = hand().claim_one(&queue).await;
    queue.bury(&[dead(&job, "why")]).await.unwrap();
    world.enqueue(KIND, json!({})).await;

    assert_eq!(queue.revive(std::slice::from_ref(&job.id)).await.unwrap(), [true]);

    assert_eq!(world.counts().await.waiting, 2);
    assert_exact(&queue, "revived").await;
}

/// Everything that can become of a job, one after the other.
#[tokio::test]
async fn what_is_said_to_be_held_is_what_is_held_along_every_way() {
    let world = World::with_manual_clock();
    let few = Keep { count: 3, age_ms: 60_000, bytes: 0 };
    let queue = world.queue("default").keeping(few, few);
    let mut ways = 0;
    for n in 0..120_usize {
        let mut job = large(&world, 20 + n * 53 % 300);
        job.keep_ms = (n % 5 == 0).then_some(30_000);
        queue.enqueue(&job).await.unwrap();
        if n % 10 == 9 {
            queue.cancel(&job.id, "ana", &"because ".repeat(n % 7)).await.unwrap();
        } else if n % 3 == 2 {
            let jobs = hand().claim(&queue, 3).await;
            end(&world, &queue, &jobs, n).await;
            ways += 1;
        }
        if n % 11 == 0 {
            world.advance(Duration::from_secs(7));
            queue.promote_due().await.unwrap();
            queue.sweep().await.unwrap();
        }
        assert_exact(&queue, &format!("step {n}")).await;
    }
    assert!(ways > 30);
    world.advance(Duration::from_mins(5));
    queue.sweep().await.unwrap();
    assert_exact(&queue, "in the end").await;
}

async fn end(world: &World, queue: &Queue, jobs: &[brasa_shared::queue::ClaimedJob], n: usize) {
    match n % 6 {
        0 => drop(queue.bury(&jobs.iter().map(|job| dead(job, "why")).collect::<Vec<_>>()).await.unwrap()),
        1 => {
            let late: Vec<_> = jobs.iter().map(|job| again(job, Duration::ZERO, "later")).collect();
            queue.retry(&late).await.unwrap();
        }
        2 => {
            drop(queue.hand_back(&jobs.iter().map(|job| back(job, KIND)).collect::<Vec<_>>()).await.unwrap());
        }
        3 => {
            world.advance(LEASE_OVER);
            queue.reclaim_lost(1).await.unwrap();
            let dead: Vec<_> =
                queue.list(State::Dead, 2).await.unwrap().into_iter().map(|view| view.id).collect();
            queue.revive(&dead[..1]).await.unwrap();
            queue.forget(&dead[1..]).await.unwrap();
        }
        _ => {
            let mut words: Vec<_> = jobs.iter().map(done).collect();
            words.iter_mut().zip(0..).for_each(|(word, nth)| {
                word.outcome.result = Some(json!("x".repeat(nth * 40)));
                word.keep_ms = (nth == 1).then_some(20_000);
            });
            queue.finish(&words).await.unwrap();
        }
    }
}
