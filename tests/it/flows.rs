//! Jobs that wait for others: chains, and groups with a callback.

use std::time::Duration;

use brasa_shared::queue::{
    Burial, Cancelled, ClaimedJob, Ending, Enqueued, Envelope, Finish, Flow, Queue, State,
};
use brasa_tests::hand::{Hand, LEASE_OVER, dead, done, reclaim};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use redis::cmd;
use serde_json::json;

const KIND: &str = "sql.run";

fn hand() -> Hand {
    Hand::new("w", &[KIND, "test.echo"])
}

fn jobs(world: &World, count: usize) -> Vec<Envelope> {
    (0..count).map(|n| world.job(KIND, &json!({ "n": n }))).collect()
}

fn group(world: &World, members: usize, always: bool) -> Flow {
    Flow::group("g", jobs(world, members), world.job(KIND, &json!({})), always).unwrap()
}

async fn next_of(queue: &Queue, job: &ClaimedJob) -> Vec<brasa_shared::queue::Link> {
    queue.envelope(&job.id).await.unwrap().unwrap().unwrap().next
}

/// "It is done", as a worker says it.
async fn finish_of(queue: &Queue, job: &ClaimedJob) -> Finish {
    Finish { next: next_of(queue, job).await, ..done(job) }
}

async fn finish(queue: &Queue, job: &ClaimedJob) {
    let said = finish_of(queue, job).await;
    queue.finish(&[said]).await.unwrap();
}

async fn bury(queue: &Queue, job: &ClaimedJob) {
    let said = Burial { next: next_of(queue, job).await, ..dead(job, "why") };
    queue.bury(&[said]).await.unwrap();
}

#[tokio::test]
async fn each_step_of_a_chain_starts_when_the_one_before_it_is_done() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.enqueue_flow(&Flow::chain("c", jobs(&world, 4)).unwrap()).await.unwrap();
    assert_eq!((world.counts().await.waiting, world.counts().await.blocked), (1, 3));

    for step in 1..=4 {
        let job = hand().claim_one(&queue).await;
        assert_eq!(job.id, format!("c.{step}"));
        assert!(hand().claim(&queue, 5).await.is_empty());
        if step < 4 {
            let view = world.show(&format!("c.{}", step + 1)).await;
            assert_eq!((view.state, view.waits_for), (State::Blocked, 1));
        }
        finish(&queue, &job).await;
    }

    assert_eq!((world.counts().await.done, world.counts().await.blocked), (4, 0));
    assert_eq!(world.redis::<u64>(cmd("EXISTS").arg(&queue.keys().links)).await, 0);
}

#[tokio::test]
async fn a_callback_runs_once_when_three_hundred_members_are_done() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 300, false)).await.unwrap();
    let mut ran = 0;
    while ran < 300 {
        assert_eq!(world.state("g.then").await, Some(State::Blocked));
        let claimed = hand().claim(&queue, 128).await;
        ran += claimed.len();
        let mut words = Vec::new();
        for job in &claimed {
            words.push(finish_of(&queue, job).await);
        }
        queue.finish(&words).await.unwrap();
    }

    let last: Vec<_> = hand().claim(&queue, 5).await.into_iter().map(|job| job.id).collect();
    assert_eq!(last, ["g.then"]);
}

#[tokio::test]
async fn members_and_callback_run_in_their_lanes_with_priority_and_share() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut callback = world.job("test.echo", &json!({}));
    (callback.priority, callback.share) = (9, Some("acme".to_owned()));
    let flow = Flow::group("g", jobs(&world, 1), callback, false).unwrap();
    queue.enqueue_flow(&flow).await.unwrap();
    let job = hand().claim_one(&queue).await;
    world.enqueue(KIND, json!({})).await;
    world.advance(Duration::from_secs(1));

    finish(&queue, &job).await;

    assert_eq!(world.counts().await.waiting_by_class["test.echo"], 1);
    assert_eq!(hand().claim_one(&queue).await.id, "g.then");
}

#[tokio::test]
async fn a_dead_member_holds_the_callback_until_it_is_revived_and_done() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 2, false)).await.unwrap();
    let members = hand().claim(&queue, 2).await;
    finish(&queue, &members[0]).await;
    bury(&queue, &members[1]).await;
    assert_eq!(world.state("g.then").await, Some(State::Blocked));

    queue.revive(&[members[1].id.clone()]).await.unwrap();
    finish(&queue, &hand().claim_one(&queue).await).await;

    assert_eq!(hand().claim_one(&queue).await.id, "g.then");
}

#[tokio::test]
async fn a_callback_that_runs_always_waits_for_the_dead_and_the_cancelled_too() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 4, true)).await.unwrap();
    let members = hand().claim(&queue, 3).await;
    finish(&queue, &members[0]).await;
    bury(&queue, &members[1]).await;
    let mut stopped = finish_of(&queue, &members[2]).await;
    stopped.outcome.ending = Ending::Cancelled;
    queue.finish(&[stopped]).await.unwrap();
    assert_eq!(world.show("g.then").await.waits_for, 1);
    assert_eq!(queue.cancel("g.4", "ana", "").await.unwrap(), Cancelled::Cancelled);

    assert_eq!(hand().claim_one(&queue).await.id, "g.then");

    // One that died and is revived does not count again.
    queue.revive(&[members[1].id.clone()]).await.unwrap();
    finish(&queue, &hand().claim_one(&queue).await).await;
    assert!(hand().claim(&queue, 5).await.is_empty());
}

#[tokio::test]
async fn a_callback_that_runs_always_is_not_held_by_a_member_that_takes_workers_down() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 1, true)).await.unwrap();
    hand().claim_one(&queue).await;
    world.advance(LEASE_OVER);
    queue.reclaim_lost(1).await.unwrap();

    assert_eq!(world.state("g.1").await, Some(State::Dead));
    assert_eq!(hand().claim_one(&queue).await.id, "g.then");
}

#[tokio::test]
async fn a_cancelled_member_holds_a_callback_that_wants_all_of_them_done() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 2, false)).await.unwrap();
    queue.cancel("g.1", "ana", "").await.unwrap();
    finish(&queue, &hand().claim_one(&queue).await).await;

    assert_eq!(world.state("g.then").await, Some(State::Blocked));

    // Somebody decides.
    let callback = queue.envelope("g.then").await.unwrap().unwrap().unwrap();
    assert_eq!(queue.promote_now(&[callback]).await.unwrap(), 1);
    assert_eq!(hand().claim_one(&queue).await.id, "g.then");
}

#[tokio::test]
async fn a_cancelled_callback_does_not_start_when_its_members_are_done() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 1, false)).await.unwrap();
    queue.cancel("g.then", "ana", "").await.unwrap();
    assert_eq!(world.counts().await.blocked, 0);

    finish(&queue, &hand().claim_one(&queue).await).await;

    assert!(hand().claim(&queue, 5).await.is_empty());
    assert_eq!((world.counts().await.waiting, world.counts().await.blocked), (0, 0));
}

/// Started by hand it runs once, and not again for each of those that it waited for.
#[tokio::test]
async fn a_blocked_job_that_was_started_by_hand_is_not_started_again_by_those_it_waited_for() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 2, false)).await.unwrap();
    let members = hand().claim(&queue, 2).await;
    let callback = queue.envelope("g.then").await.unwrap().unwrap().unwrap();
    assert_eq!(queue.promote_now(&[callback]).await.unwrap(), 1);

    finish(&queue, &members[0]).await;
    let started = hand().claim(&queue, 5).await;
    assert_eq!(started.len(), 1);
    finish(&queue, &members[1]).await;

    assert!(hand().claim(&queue, 5).await.is_empty());
    let counts = world.counts().await;
    assert_eq!((counts.waiting, counts.running, counts.blocked), (0, 1, 0));
}

#[tokio::test]
async fn a_word_that_is_said_twice_counts_once() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 3, false)).await.unwrap();
    let first = hand().claim_one(&queue).await;
    let said = finish_of(&queue, &first).await;

    queue.finish(&[said.clone(), said.clone()]).await.unwrap();
    queue.finish(&[said]).await.unwrap();

    assert_eq!(world.show("g.then").await.waits_for, 2);
}

#[tokio::test]
async fn a_member_that_was_lost_and_ran_again_counts_once() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    queue.enqueue_flow(&group(&world, 2, false)).await.unwrap();
    let late = hand().claim_one(&queue).await;
    let said = finish_of(&queue, &late).await;
    world.advance(LEASE_OVER);
    reclaim(&queue).await;
    let again = hand().claim_one(&queue).await;
    assert_eq!(again.id, late.id);
    finish(&queue, &again).await;

    queue.finish(&[said]).await.unwrap();

    assert_eq!(world.show("g.then").await.waits_for, 1);
}

#[tokio::test]
async fn a_flow_that_was_sent_half_is_completed_by_sending_it_again() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let flow = group(&world, 6, false);
    queue.enqueue_all(&flow.jobs()[..3]).await.unwrap();
    for job in hand().claim(&queue, 2).await {
        finish(&queue, &job).await;
    }

    let answers = queue.enqueue_flow(&flow).await.unwrap();

    assert_eq!(answers.iter().filter(|answer| **answer == Enqueued::New).count(), 4);
    assert_eq!(world.show("g.then").await.waits_for, 4);
    for job in hand().claim(&queue, 4).await {
        finish(&queue, &job).await;
    }
    assert_eq!(hand().claim_one(&queue).await.id, "g.then");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_follows_a_flow_through_lanes_that_it_has_never_seen() {
    let (world, worker) = Worker::in_a_world();
    let steps = (0..3)
        .map(|n| {
            let mut job = world.job("test.echo", &json!({ "n": n }));
            job.priority = n;
            job
        })
        .collect();
    let queue = world.queue("default");
    queue.enqueue_flow(&Flow::chain("c", steps).unwrap()).await.unwrap();

    assert_eq!(world.result("c.3").await["args"], json!({ "n": 2 }));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_goes_on_after_the_worker_of_a_step_died() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let steps = (0..2).map(|n| world.job("test.echo", &json!({ "n": n }))).collect();
    queue.enqueue_flow(&Flow::chain("c", steps).unwrap()).await.unwrap();
    let job = hand().claim_one(&queue).await;
    // It dies, and its lease ends now.
    queue.renew(&[brasa_tests::hand::held(&job)], Duration::ZERO).await.unwrap();

    let worker = Worker::start(world.settings(kinds(), ""));

    assert_eq!(world.result("c.2").await["attempt"], json!(1));
    eventually("all have ended", async || world.counts().await.done == 2).await;
    worker.drain().await;
}
