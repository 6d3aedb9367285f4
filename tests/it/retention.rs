//! What is kept, for how long, and what people can do to it.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{Cancelled, Enqueued, Fleet, Keep, Queue, Settled, State, WorkerInfo};
use brasa_tests::World;
use brasa_tests::hand::{Hand, back, dead, done, done_freeing};
use redis::cmd;
use serde_json::json;

fn hand() -> Hand {
    Hand::new("w", &["sql.run"])
}

/// Ten jobs, half of them done and half dead.
async fn ten_ended(world: &World, queue: &Queue) {
    for _ in 0..10 {
        world.enqueue("sql.run", json!({})).await;
    }
    let jobs = hand().claim(queue, 10).await;
    queue.finish(&jobs[..5].iter().map(done).collect::<Vec<_>>()).await.unwrap();
    queue.bury(&jobs[5..].iter().map(|job| dead(job, "why")).collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn what_has_had_its_time_goes_although_nothing_ends_any_more() {
    let world = World::with_manual_clock();
    let minute = Keep { count: 100, age_ms: 60_000, bytes: 0 };
    let queue = world.queue("default").keeping(minute, minute);
    ten_ended(&world, &queue).await;
    world.advance(Duration::from_secs(59));
    assert_eq!(queue.sweep().await.unwrap(), 0);

    world.advance(Duration::from_secs(2));
    assert_eq!(queue.sweep().await.unwrap(), 10);

    let counts = world.counts().await;
    assert_eq!((counts.done, counts.dead, counts.totals["dead_dropped"]), (0, 0, 5));
    let left: u64 = world.redis(cmd("EXISTS").arg(&queue.keys().jobs).arg(&queue.keys().outcomes)).await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_there_is_no_more_room_for_goes_oldest_first() {
    let world = World::of_queues();
    ten_ended(&world, &world.queue("default")).await;
    let few = Keep { count: 2, age_ms: 3_600_000, bytes: 0 };

    assert_eq!(world.queue("default").keeping(few, few).sweep().await.unwrap(), 6);

    assert_eq!((world.counts().await.done, world.counts().await.dead), (2, 2));
}

#[tokio::test]
async fn a_sweep_takes_a_bounded_number_of_jobs_at_a_time() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..200).map(|_| world.job("sql.run", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    for job in &jobs {
        queue.cancel(&job.id, "ana", "").await.unwrap();
    }
    let none = Keep { count: 0, age_ms: 3_600_000, bytes: 0 };
    let queue = queue.keeping(none, none);

    assert_eq!(queue.sweep().await.unwrap(), 128);
    assert_eq!(queue.sweep().await.unwrap(), 72);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_cancelled_where_it_waits() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let _: u64 = world.redis(cmd("HSET").arg(&queue.keys().jobs).arg(&id).arg("not a job")).await;

    assert_eq!(queue.cancel(&id, "ana", "").await.unwrap(), Cancelled::Cancelled);

    assert!(hand().claim(&queue, 1).await.is_empty());
    assert_eq!(world.counts().await.done, 1);
}

#[tokio::test]
async fn a_job_is_cancelled_whatever_lane_it_stands_in() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    // The envelope says another class than the one that it waits in.
    let other = world.job("cache.warm", &json!({})).to_record().unwrap();
    let _: u64 = world.redis(cmd("HSET").arg(&queue.keys().jobs).arg(&id).arg(other)).await;

    assert_eq!(queue.cancel(&id, "ana", "").await.unwrap(), Cancelled::Cancelled);

    assert_eq!((world.counts().await.waiting, world.counts().await.done), (0, 1));
    assert!(hand().claim(&queue, 1).await.is_empty());
}

#[tokio::test]
async fn a_job_that_was_asked_to_stop_is_not_handed_back() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let job = hand().claim_one(&queue).await;
    queue.cancel(&id, "ana", "").await.unwrap();

    assert_eq!(queue.hand_back(&[back(&job, "sql.run")]).await.unwrap(), [Settled::CancelFirst]);

    assert_eq!(world.state(&id).await, Some(State::Running));
    assert_eq!(queue.finish(&[done(&job)]).await.unwrap(), [Settled::Accepted]);
}

#[tokio::test]
async fn a_waiting_job_that_is_cancelled_leaves_no_request_to_stop_behind() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({})).await;
    let _: u64 = world.redis(cmd("HSET").arg(&queue.keys().cancels).arg(&id).arg("long ago")).await;

    queue.cancel(&id, "ana", "").await.unwrap();

    assert_eq!(queue.cancel_reason(&id).await.unwrap(), None);
}

/// A dead job that had the unique key `key`.
async fn dead_with_key(world: &World, queue: &Queue) -> String {
    let mut job = world.job("sql.run", &json!({}));
    job.unique = Some("key".to_owned());
    queue.enqueue(&job).await.unwrap();
    let mut burial = dead(&hand().claim_one(queue).await, "why");
    burial.unique = Some("key".to_owned());
    queue.bury(&[burial]).await.unwrap();
    job.id
}

#[tokio::test]
async fn a_revived_job_has_its_unique_key_again() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = dead_with_key(&world, &queue).await;

    assert_eq!(queue.revive(std::slice::from_ref(&id)).await.unwrap(), [true]);

    let mut job = world.job("sql.run", &json!({}));
    job.unique = Some("key".to_owned());
    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Held { by: id });
}

#[tokio::test]
async fn a_dead_job_stays_dead_while_another_has_its_unique_key() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = dead_with_key(&world, &queue).await;
    let mut job = world.job("sql.run", &json!({}));
    job.unique = Some("key".to_owned());
    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::New);

    assert_eq!(queue.revive(std::slice::from_ref(&id)).await.unwrap(), [false]);
    assert_eq!(world.state(&id).await, Some(State::Dead));

    let holder = hand().claim_one(&queue).await;
    queue.finish(&[done_freeing(&holder, "key")]).await.unwrap();
    assert_eq!(queue.revive(&[id]).await.unwrap(), [true]);
}

#[tokio::test]
async fn of_two_dead_jobs_with_one_unique_key_one_is_revived() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let ids = [dead_with_key(&world, &queue).await, dead_with_key(&world, &queue).await];

    assert_eq!(queue.revive(&ids).await.unwrap(), [true, false]);
}

#[tokio::test]
async fn a_delayed_job_that_is_made_ready_goes_before_later_ones() {
    let world = World::with_manual_clock();
    let (queue, mut early) = (world.queue("default"), world.job("sql.run", &json!({})));
    early.due = Some((world.clock.now() + Duration::from_hours(1)).as_millisecond());
    queue.enqueue(&early).await.unwrap();
    queue.promote_now(std::slice::from_ref(&early)).await.unwrap();
    world.advance(Duration::from_secs(1));
    world.enqueue("sql.run", json!({})).await;

    assert_eq!(hand().claim_one(&queue).await.id, early.id);
}

#[tokio::test]
async fn a_queue_can_be_paused_when_redis_is_full() {
    let options = RedisOptions { append_only: false, ..RedisOptions::default() };
    let redis = RedisServer::start(options).unwrap();
    let world = World::on_redis(redis.url());
    world.redis::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg("500kb")).await;

    let paused = world.queue("default").pause("ana", "it is full").await.unwrap();

    assert_eq!(world.queue("default").paused().await.unwrap(), Some(paused));
}

fn worker(name: &str) -> WorkerInfo {
    WorkerInfo {
        worker: name.to_owned(),
        host: String::new(),
        pid: 1,
        version: String::new(),
        since: 0,
        queues: Vec::new(),
        classes: Vec::new(),
        concurrency: 1,
        keys: Vec::new(),
    }
}

async fn known(fleet: &Fleet) -> Vec<String> {
    let mut names: Vec<_> = fleet.workers().await.unwrap().into_iter().map(|info| info.worker).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_worker_is_gone_when_it_has_been_silent_for_a_minute() {
    let world = World::with_manual_clock();
    let fleet = world.fleet();
    fleet.report(&worker("a")).await.unwrap();

    world.advance(Duration::from_secs(59));
    fleet.report(&worker("b")).await.unwrap();
    assert_eq!(known(&fleet).await, ["a", "b"]);

    world.advance(Duration::from_secs(2));
    fleet.report(&worker("b")).await.unwrap();
    assert_eq!(known(&fleet).await, ["b"]);
}

#[tokio::test]
async fn workers_are_seen_by_the_clock_of_redis() {
    let world = World::of_queues();
    world.fleet().report(&worker("a")).await.unwrap();

    let key = brasa_shared::queue::FleetKeys::new(&world.prefix).workers;
    let seen: f64 = world.redis(cmd("ZSCORE").arg(key).arg("a")).await;
    let (seconds, _): (u64, u64) = world.redis(&cmd("TIME")).await;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970")]
    let behind = seconds as f64 * 1_000.0 - seen;
    assert!((-1_000.0..60_000.0).contains(&behind), "{behind}");
}
