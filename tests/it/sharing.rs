//! Jobs with share keys are handed out in turn by key: one customer's flood is not the others' wait.

use std::collections::BTreeMap;

use brasa_shared::queue::{Envelope, Queue};
use brasa_tests::World;
use brasa_tests::hand::{Hand, back, done};
use redis::cmd;
use serde_json::json;

const KIND: &str = "mail.send";

fn hand() -> Hand {
    Hand::new("w", &[KIND, "sql.run"])
}

fn shared(world: &World, kind: &str, share: &str) -> Envelope {
    let mut job = world.job(kind, &json!({}));
    job.id = format!("{share}.{}", job.id);
    job.share = Some(share.to_owned());
    job
}

async fn flood(world: &World, queue: &Queue, share: &str, count: usize) {
    let jobs: Vec<_> = (0..count).map(|_| shared(world, KIND, share)).collect();
    queue.enqueue_all(&jobs).await.unwrap();
}

/// Claims this many jobs one by one and finishes them; returns their keys.
async fn take(queue: &Queue, most: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..most {
        let Some(job) = hand().claim(queue, 1).await.pop() else { break };
        queue.finish(&[done(&job)]).await.unwrap();
        keys.push(job.id.split('.').next().unwrap().to_owned());
    }
    keys
}

fn counted(keys: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key.as_str()).or_default() += 1;
    }
    counts
}

/// How many entries the memory of turns has.
async fn turns_remembered(world: &World, queue: &Queue) -> u64 {
    let kind: String = world.redis(cmd("TYPE").arg(&queue.keys().shares)).await;
    let count = if kind == "hash" { "HLEN" } else { "ZCARD" };
    world.redis(cmd(count).arg(&queue.keys().shares)).await
}

#[tokio::test]
async fn ten_jobs_behind_a_flood_of_ten_thousand_are_handed_out_among_the_first_twenty() {
    let world = World::of_queues();
    let queue = world.queue("default");
    flood(&world, &queue, "acme", 10_000).await;
    flood(&world, &queue, "birch", 10).await;

    assert_eq!(counted(&take(&queue, 20).await), BTreeMap::from([("acme", 10), ("birch", 10)]));
}

#[tokio::test]
async fn a_claim_of_many_is_as_fair_as_claims_of_one() {
    let world = World::of_queues();
    let queue = world.queue("default");
    flood(&world, &queue, "acme", 1_000).await;
    flood(&world, &queue, "birch", 1_000).await;
    flood(&world, &queue, "cedar", 10).await;

    let claimed: Vec<_> = hand().claim(&queue, 100).await.into_iter().map(|job| job.id).collect();

    let keys: Vec<_> = claimed.iter().map(|id| id.split('.').next().unwrap().to_owned()).collect();
    assert_eq!(counted(&keys), BTreeMap::from([("acme", 45), ("birch", 45), ("cedar", 10)]));
}

#[tokio::test]
async fn keys_have_equal_turns_however_much_each_has() {
    let world = World::of_queues();
    let queue = world.queue("default");
    for (share, count) in [("acme", 300), ("birch", 60), ("cedar", 30)] {
        flood(&world, &queue, share, count).await;
    }

    let keys = take(&queue, 90).await;

    for turn in keys.chunks(3) {
        assert_eq!(counted(turn).len(), 3, "{turn:?}");
    }
}

#[tokio::test]
async fn a_key_that_comes_later_neither_jumps_the_line_nor_waits_for_the_backlog() {
    let world = World::of_queues();
    let queue = world.queue("default");
    flood(&world, &queue, "acme", 100).await;
    flood(&world, &queue, "birch", 100).await;
    take(&queue, 40).await;

    flood(&world, &queue, "cedar", 100).await;

    // What was served before it came is not made up for.
    assert_eq!(
        counted(&take(&queue, 30).await),
        BTreeMap::from([("acme", 10), ("birch", 10), ("cedar", 10)])
    );
}

#[tokio::test]
async fn ever_new_keys_do_not_starve_one_that_waits() {
    let world = World::of_queues();
    let queue = world.queue("default");
    flood(&world, &queue, "acme", 20).await;
    let mut served = 0;
    for n in 0..40 {
        flood(&world, &queue, &format!("new-{n}"), 1).await;
        served += counted(&take(&queue, 1).await).get("acme").copied().unwrap_or(0);
    }

    // One key among forty that all want a turn at the same time.
    assert!(served >= 5, "{served} of 20");
}

#[tokio::test]
async fn jobs_of_one_key_stay_in_their_order() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..50).map(|_| shared(&world, KIND, "acme")).collect();
    queue.enqueue_all(&jobs).await.unwrap();

    let claimed: Vec<_> = hand().claim(&queue, 50).await.into_iter().map(|job| job.id).collect();

    assert_eq!(claimed, jobs.into_iter().map(|job| job.id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_job_that_is_handed_back_is_the_next_one_again() {
    let world = World::of_queues();
    let queue = world.queue("default");
    // Of one moment, so that nothing but the place tells them apart.
    let jobs: Vec<_> = ["acme", "birch"].iter().map(|share| shared(&world, KIND, share)).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    let job = hand().claim_one(&queue).await;

    let mut said = back(&job, &format!("{KIND}~"));
    said.share = job.id.split('.').next().map(str::to_owned);
    queue.hand_back(&[said]).await.unwrap();

    assert_eq!(hand().claim_one(&queue).await.id, job.id);
}

#[tokio::test]
async fn a_job_that_is_handed_back_again_and_again_keeps_its_place() {
    let world = World::of_queues();
    let queue = world.queue("default");
    flood(&world, &queue, "acme", 1).await;
    for _ in 0..3 {
        let job = hand().claim_one(&queue).await;
        let mut said = back(&job, &format!("{KIND}~"));
        said.share = Some("acme".to_owned());
        queue.hand_back(&[said]).await.unwrap();
        assert_eq!(world.counts().await.oldest_ms.map(|oldest| oldest > 0), Some(true));
    }

    assert_eq!(hand().claim(&queue, 5).await.len(), 1);
}

/// Keys have turns in each lane by itself: what a key has waiting in one says nothing about another.
#[tokio::test]
async fn an_urgent_job_of_a_flooding_key_does_not_send_newcomers_behind_its_flood() {
    let world = World::of_queues();
    let queue = world.queue("default");
    flood(&world, &queue, "acme", 500).await;
    let mut urgent = shared(&world, KIND, "acme");
    urgent.priority = 9;
    queue.enqueue(&urgent).await.unwrap();
    assert_eq!(hand().claim_one(&queue).await.id, urgent.id);

    flood(&world, &queue, "birch", 10).await;

    assert_eq!(counted(&take(&queue, 20).await)["birch"], 10);
}

#[tokio::test]
async fn a_key_with_jobs_of_two_kinds_does_not_send_newcomers_behind_its_flood() {
    let world = World::of_queues();
    let queue = world.queue("default");
    flood(&world, &queue, "acme", 500).await;
    queue.enqueue(&shared(&world, "sql.run", "acme")).await.unwrap();
    // A worker that knows the other kind alone.
    Hand::new("other", &["sql.run"]).claim_one(&queue).await;

    flood(&world, &queue, "birch", 10).await;

    assert_eq!(counted(&take(&queue, 20).await)["birch"], 10);
}

#[tokio::test]
async fn what_is_remembered_of_turns_does_not_grow_with_the_number_of_keys() {
    let world = World::of_queues();
    let queue = world.queue("default");
    for round in 0..4 {
        let jobs: Vec<_> = (0..250).map(|n| shared(&world, KIND, &format!("key-{round}-{n}"))).collect();
        queue.enqueue_all(&jobs).await.unwrap();
        while !hand().claim(&queue, 100).await.is_empty() {}
    }

    assert_eq!(turns_remembered(&world, &queue).await, 0);
}

#[tokio::test]
async fn cancelled_jobs_leave_no_turn_behind() {
    let world = World::of_queues();
    let queue = world.queue("default");
    for share in ["acme", "birch"] {
        let jobs: Vec<_> = (0..20).map(|_| shared(&world, KIND, share)).collect();
        queue.enqueue_all(&jobs).await.unwrap();
        for job in &jobs[5..] {
            queue.cancel(&job.id, "ana", "").await.unwrap();
        }
    }

    assert_eq!(counted(&take(&queue, 100).await), BTreeMap::from([("acme", 5), ("birch", 5)]));
    assert_eq!(world.counts().await.waiting, 0);
    assert_eq!(turns_remembered(&world, &queue).await, 0);
}
