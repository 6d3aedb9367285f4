//! A worker holds on to its jobs for as long as it may, and lets go in time.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{Held, State};
use brasa_shared::store::Store;
use brasa_tests::hand::Hand;
use brasa_tests::kinds::{at_the_gate, close_the_gate, kinds, open_the_gate};
use brasa_tests::{Proxy, Worker, World, eventually};
use brasa_worker::{Pulses, Shutdown, Tally};
use redis::cmd;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_worker_that_died_runs_again_elsewhere() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue("test.echo", json!({})).await;
    let job = Hand::new("died", &["test.echo"]).claim_one(&queue).await;
    let held = Held { id: job.id, nonce: job.nonce };
    // Its lease ends now.
    queue.renew(&[held], Duration::ZERO).await.unwrap();

    let worker = Worker::start(world.settings(kinds(), ""));

    assert_eq!(world.result(&id).await["attempt"], json!(2));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_a_job_stops_it_and_says_nothing_about_it() {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.lease = Duration::from_secs(2);
    let worker = Worker::start(settings);
    let told = format!("{}:told", world.prefix);
    let id = world.enqueue("test.sentinel", json!({ "tells": told })).await;
    world.is(&id, State::Running).await;

    // Somebody whose clock is ahead takes the job back.
    let ahead = world.queue_seen("default", Duration::from_mins(1));
    assert_eq!(ahead.reclaim_lost(3).await.unwrap().returned, 1);

    eventually("the handler is told", async || world.redis(cmd("EXISTS").arg(&told)).await).await;
    assert_eq!(world.state(&id).await, Some(State::Delayed));
    assert_eq!(worker.drain().await, Tally { done: 0, failed: 0 });
}

/// The worker's way to Redis is gone without a word, everybody else's is not: when the lease ends, another
/// worker may have the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_renew_stops_its_job_before_the_lease_ends() {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let far = Store::open(&proxy.url()).unwrap();
    let mut settings = world.settings(kinds(), "");
    settings.lease = Duration::from_secs(3);
    settings.queues = vec![(world.queue("default").over(far), 1)];
    settings.shutdown_grace = Duration::ZERO;
    let worker = Worker::start(settings);
    let told = format!("{}:told", world.prefix);
    let id = world.enqueue("test.sentinel", json!({ "tells": told })).await;
    world.is(&id, State::Running).await;

    proxy.freeze();
    eventually("the handler is told", async || world.redis(cmd("EXISTS").arg(&told)).await).await;

    let (seconds, _): (i64, i64) = world.redis(&cmd("TIME")).await;
    let leased_until_ms = world.show(&id).await.state_ms;
    assert!(seconds * 1_000 < leased_until_ms, "told {} ms late", seconds * 1_000 - leased_until_ms);
    proxy.thaw();
    worker.drain().await;
}

/// Every thread that could run a handler is blocked for longer than a lease lasts, and with them everything
/// else on that runtime. The leases are kept all the same.
#[tokio::test]
async fn a_job_that_blocks_its_whole_runtime_is_not_handed_out_again() {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.lease = Duration::from_secs(1);
    settings.until_empty = true;
    let jobs: Vec<_> = (0..4).map(|_| world.job("test.block", &json!({ "ms": 2_000 }))).collect();
    let queue = world.queue("default");
    queue.enqueue_all(&jobs).await.unwrap();

    let blocked = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(brasa_worker::run(settings, Pulses::default(), Shutdown::default())).unwrap()
    });
    eventually("all jobs are done", async || {
        let lost = queue.reclaim_lost(3).await.unwrap();
        assert_eq!((lost.returned, lost.quarantined), (0, 0));
        world.counts().await.done == 4
    })
    .await;

    for job in &jobs {
        assert_eq!(world.result(&job.id).await, json!({ "attempt": 1 }));
    }
    assert_eq!(blocked.join().unwrap(), Tally { done: 4, failed: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_outlives_the_loss_of_all_its_connections() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let world = World::on_redis(redis.url());
    let worker = Worker::start(world.settings(kinds(), ""));
    for _ in 0..5 {
        let running = world.enqueue("test.gate", at_the_gate(&world)).await;
        world.is(&running, State::Running).await;
        // All connections but the one that asks: claims, renewals, housekeeping, wake-ups, the cache.
        for kind in ["normal", "pubsub"] {
            let _: u64 = world.redis(cmd("CLIENT").arg("KILL").arg("TYPE").arg(kind)).await;
        }
        open_the_gate(&world).await;

        assert_eq!(world.result(&running).await, json!({ "attempt": 1 }));
        close_the_gate(&world).await;
    }

    assert!(worker.lives());
    assert_eq!(worker.drain().await, Tally { done: 5, failed: 0 });
}
