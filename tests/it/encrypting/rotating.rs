//! Keys are changed while jobs wait, run and lie dead.

use std::time::Duration;

use brasa_shared::queue::{Envelope, State};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use serde_json::json;

use super::{queue_with, record, ring, worker_with};

/// How many jobs there are.
const JOBS: usize = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_under_two_workers_that_run_and_every_job_runs_with_its_own_arguments() {
    let world = World::of_queues();
    let (old, new) = (queue_with(&world, ring(&[1])), queue_with(&world, ring(&[1, 2])));
    let jobs: Vec<Envelope> = (0..JOBS)
        .map(|n| {
            let mut job = world.job("test.echo", &json!({ "n": n, "more": "x".repeat(n % 6_000) }));
            job.keep_ms = Some(3_600_000);
            job.priority = u8::try_from(n % 3).unwrap();
            job
        })
        .collect();
    old.enqueue_all(&jobs).await.unwrap();
    let workers = [worker_with(&world, ring(&[1, 2])), worker_with(&world, ring(&[1, 2]))];
    let mut anew = 0;
    eventually("all have ended and are sealed with the new key", async || {
        anew += new.reseal().await.unwrap().anew;
        world.counts().await.open() == 0
    })
    .await;
    for worker in workers {
        worker.drain().await;
    }
    assert!(anew > 0, "no job was sealed anew while it waited");

    let counts = world.counts().await;
    assert_eq!((counts.done, counts.dead), (JOBS as u64, 0));
    assert!(!counts.totals.contains_key("retried"), "{:?}", counts.totals);
    for (n, chunk) in jobs.chunks(100).enumerate() {
        let ids: Vec<String> = chunk.iter().map(|job| job.id.clone()).collect();
        for (place, view) in new.views(&ids).await.unwrap().into_iter().enumerate() {
            let result = view.unwrap().outcome.unwrap().result.unwrap();
            assert_eq!(result["args"]["n"], n * 100 + place);
        }
    }
    assert_bytes_are_counted(&world).await;
}

/// The bytes that a queue says it holds are those that it holds.
async fn assert_bytes_are_counted(world: &World) {
    let keys = world.queue("default").keys().clone();
    let mut bytes = 0;
    for hash in [&keys.jobs, &keys.outcomes] {
        let values: Vec<Vec<u8>> = world.redis(redis::cmd("HVALS").arg(hash)).await;
        bytes += values.iter().map(|value| value.len() as u64).sum::<u64>();
    }
    assert_eq!(world.counts().await.bytes, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_waits_is_delayed_blocked_or_dead_is_sealed_anew_and_the_old_key_may_go() {
    let world = World::of_queues();
    let (old, new) = (queue_with(&world, ring(&[1])), queue_with(&world, ring(&[1, 2])));
    let job = |n: u32| world.job("test.echo", &json!({ "n": n }));
    let dead = world.job("test.fail", &json!({ "how": "bury", "times": 1 }));
    old.enqueue_all(&[dead.clone(), job(0)]).await.unwrap();
    let worker = worker_with(&world, ring(&[1]));
    world.is(&dead.id, State::Dead).await;
    worker.drain_when_idle(&world).await;
    let later = Envelope { due: Some(world.clock.now().as_millisecond() + 3_600_000), ..job(1) };
    let blocked = Envelope { parents: 1, ..job(2) };
    let waiting = job(3);
    old.enqueue_all(&[later.clone(), blocked.clone(), waiting.clone()]).await.unwrap();
    // From before there were keys.
    let plain = job(4);
    world.queue("default").enqueue(&plain).await.unwrap();
    let census = new.census().await.unwrap();
    assert_eq!((census.jobs["k1"], census.plain, census.results["k1"]), (5, 1, 1));

    let sealed = new.reseal().await.unwrap();
    assert!(sealed.is_whole() && sealed.anew == 6, "{sealed:?}");
    let census = new.census().await.unwrap();
    assert_eq!((census.jobs.get("k1"), census.jobs["k2"], census.plain), (None, 6, 0));
    assert_eq!((census.results.get("k1"), census.results["k2"]), (None, 1));
    assert_eq!(new.reseal().await.unwrap().anew, 0);
    assert_bytes_are_counted(&world).await;

    let _worker = worker_with(&world, ring(&[2]));
    assert_eq!(new.revive(std::slice::from_ref(&dead.id)).await.unwrap(), [true]);
    new.promote_now(&[later.clone(), blocked.clone()]).await.unwrap();
    for job in [&dead, &later, &blocked, &waiting, &plain] {
        world.is(&job.id, State::Done).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_key_was_taken_away_too_early_waits_in_the_dead_letter_until_it_is_given_back() {
    let world = World::of_queues();
    let old = queue_with(&world, ring(&[1]));
    let job = world.job("test.echo", &json!({ "n": 1 }));
    old.enqueue(&job).await.unwrap();
    let worker = worker_with(&world, ring(&[2]));
    let why = world.buried(&job.id).await;
    assert!(why.contains("sealed with key `k1`, which this process does not have"), "{why}");
    worker.drain().await;
    let only_new = queue_with(&world, ring(&[2]));
    assert_eq!(only_new.reseal().await.unwrap().unopened, 1);
    let seen = only_new.show(&job.id).await.unwrap().unwrap();
    assert_eq!(seen.args, json!("sealed with key `k1`, which this process does not have"));
    assert_eq!((seen.sealed.as_deref(), seen.kind.as_str()), (Some("k1"), "test.echo"));

    let _worker = worker_with(&world, ring(&[1, 2]));
    assert_eq!(only_new.revive(std::slice::from_ref(&job.id)).await.unwrap(), [true]);
    world.is(&job.id, State::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_is_left_to_whoever_runs_it() {
    let world = World::of_queues();
    let (old, new) = (queue_with(&world, ring(&[1])), queue_with(&world, ring(&[1, 2])));
    let job = world.job("test.gate", &brasa_tests::kinds::at_the_gate(&world));
    old.enqueue(&job).await.unwrap();
    let before = record(&world, &job.id).await;
    let worker = Worker::start({
        let mut settings = world.settings(kinds(), "");
        settings.queues[0].0 = settings.queues[0].0.clone().sealing(std::sync::Arc::new(ring(&[1, 2])));
        settings.shutdown_grace = Duration::from_secs(20);
        settings
    });
    world.is(&job.id, State::Running).await;

    assert_eq!(new.reseal().await.unwrap().running, 1);
    assert_eq!(record(&world, &job.id).await, before);
    brasa_tests::kinds::open_the_gate(&world).await;
    world.is(&job.id, State::Done).await;
    worker.drain().await;
    assert_eq!(new.reseal().await.unwrap().anew, 1);
    assert_bytes_are_counted(&world).await;
}
