//! Redis at its memory limit: no new work is taken, and everything that is there goes on.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{Queue, QueueError, Renewal, Settled, State, Tick};
use brasa_shared::store::Fault;
use brasa_tests::hand::{Hand, LEASE, again, back, dead, done, held};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use redis::cmd;
use serde_json::json;

/// A private Redis that evicts nothing, and a world on it.
fn world() -> (RedisServer, World) {
    let options = RedisOptions { append_only: false, ..RedisOptions::default() };
    let redis = RedisServer::start(options).unwrap();
    let world = World::on_redis(redis.url());
    (redis, world)
}

/// From now on Redis is at its limit.
async fn fill(world: &World) {
    // Less than an empty server uses, and so less than any server can get back to.
    world.redis::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg("500kb")).await;
    let refused = world.store.run::<()>("write", cmd("SET").arg("any").arg("thing")).await;
    assert_eq!(refused.unwrap_err().fault, Fault::OutOfMemory);
}

async fn six_claimed(world: &World) -> (Queue, Vec<brasa_shared::queue::ClaimedJob>) {
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..6).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    let claimed = Hand::new("w", &["sql.run"]).claim(&queue, 6).await;
    (queue, claimed)
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, QueueError>) -> String {
    let error = answer.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::OutOfMemory));
    error.to_string()
}

#[tokio::test]
async fn a_full_redis_takes_no_new_work_and_says_why() {
    let (_redis, world) = world();
    fill(&world).await;
    let queue = world.queue("default");

    let said = refusal(queue.enqueue(&world.job("sql.run", &json!({}))).await);

    assert!(said.contains("Redis is at maxmemory; give it more"), "{said}");
}

#[tokio::test]
async fn a_full_redis_fires_no_tick_and_does_not_forget_it() {
    let (_redis, world) = world();
    let queue = world.queue("default");
    let job = world.job("sql.run", &json!({}));
    let instant = world.clock.now();
    let tick = Tick { schedule: "report", instant, overlap: "queue", job: &job, withheld: None, why: "" };
    fill(&world).await;
    refusal(queue.tick(&tick).await);

    world.redis::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(0)).await;

    assert_eq!(queue.tick(&tick).await.unwrap(), brasa_shared::queue::Verdict::Fired);
}

#[tokio::test]
async fn a_full_redis_still_hands_jobs_out() {
    let (_redis, world) = world();
    world.enqueue("sql.run", json!({})).await;
    fill(&world).await;

    Hand::new("w", &["sql.run"]).claim_one(&world.queue("default")).await;

    assert_eq!(world.counts().await.running, 1);
}

#[tokio::test]
async fn a_full_redis_still_takes_every_word_about_a_job() {
    let (_redis, world) = world();
    let (queue, jobs) = six_claimed(&world).await;
    fill(&world).await;

    assert_eq!(queue.renew(&[held(&jobs[0])], LEASE).await.unwrap(), [Renewal::Renewed]);
    assert_eq!(queue.finish(&[done(&jobs[0])]).await.unwrap(), [Settled::Accepted]);
    assert_eq!(queue.retry(&[again(&jobs[1], LEASE, "failed")]).await.unwrap(), [Settled::Accepted]);
    assert_eq!(queue.bury(&[dead(&jobs[2], "why")]).await.unwrap(), [Settled::Accepted]);
    assert_eq!(queue.hand_back(&[back(&jobs[3], "sql.run")]).await.unwrap(), [Settled::Accepted]);
    queue.cancel(&jobs[4].id, "ana", "").await.unwrap();

    let counts = world.counts().await;
    assert_eq!((counts.done, counts.delayed, counts.dead, counts.waiting, counts.running), (1, 1, 1, 1, 2));
}

#[tokio::test]
async fn a_full_redis_still_gives_lost_jobs_back() {
    let (_redis, world) = world();
    let (_, jobs) = six_claimed(&world).await;
    fill(&world).await;

    let later = world.queue_seen("default", Duration::from_mins(1));
    assert_eq!(later.reclaim_lost(3).await.unwrap().returned, 6);
    assert_eq!(later.promote_due().await.unwrap(), 0);
    let later = world.queue_seen("default", Duration::from_mins(2));
    assert_eq!(later.promote_due().await.unwrap(), 6);

    assert_eq!(Hand::new("next", &["sql.run"]).claim(&later, 10).await.len(), jobs.len());
}

#[tokio::test]
async fn what_was_pushed_to_the_inbox_of_a_full_redis_stays_there() {
    let (_redis, world) = world();
    let queue = world.queue("default");
    let entry = json!({ "id": "a", "kind": "sql.run" }).to_string();
    let _: u64 = world.redis(cmd("RPUSH").arg(&queue.keys().inbox).arg(entry)).await;
    fill(&world).await;

    refusal(queue.drain_inbox().await);

    assert_eq!(world.counts().await.waiting, 1);
    world.redis::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(0)).await;
    assert_eq!(queue.drain_inbox().await.unwrap(), 1);
}

/// The inbox cannot be admitted, and that must not keep the worker from anything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_drains_a_full_redis_whatever_lies_in_the_inbox() {
    let (_redis, world) = world();
    let queue = world.queue("default");
    let lost = world.enqueue("test.echo", json!({})).await;
    let job = Hand::new("died", &["test.echo"]).claim_one(&queue).await;
    queue.renew(&[held(&job)], Duration::ZERO).await.unwrap();
    let waiting = world.enqueue("test.echo", json!({})).await;
    let mut due = world.job("test.echo", &json!({}));
    due.due = Some((world.clock.now() + Duration::from_millis(300)).as_millisecond());
    queue.enqueue(&due).await.unwrap();
    let entry = json!({ "id": "pushed", "kind": "test.echo" }).to_string();
    let _: u64 = world.redis(cmd("RPUSH").arg(&queue.keys().inbox).arg(entry)).await;
    fill(&world).await;

    let worker = Worker::start(world.settings(kinds(), ""));

    for id in [&waiting, &due.id, &lost] {
        eventually("the job is done", async || world.state(id).await == Some(State::Done)).await;
    }
    assert_eq!(world.state("pushed").await, None);
    world.redis::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(0)).await;
    eventually("the pushed job is done", async || world.state("pushed").await == Some(State::Done)).await;
    worker.drain().await;
}
