//! Somebody who can write into Redis, and has no key.

use brasa_shared::queue::{Envelope, State};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use serde_json::json;

use super::{overwrite, queue_with, record, ring, worker_with};

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_whose_sealed_arguments_were_swapped_do_not_run_and_do_when_they_are_swapped_back() {
    let world = World::of_queues();
    let queue = queue_with(&world, ring(&[1]));
    let jobs = [1, 2].map(|n| world.job("test.echo", &json!({ "n": n })));
    queue.enqueue_all(&jobs).await.unwrap();
    let [one, other] = [record(&world, &jobs[0].id).await, record(&world, &jobs[1].id).await];
    overwrite(&world, &jobs[0].id, &other).await;
    overwrite(&world, &jobs[1].id, &one).await;
    let _worker = worker_with(&world, ring(&[1]));

    for job in &jobs {
        let why = world.buried(&job.id).await;
        assert!(why.starts_with("not run: its arguments are sealed with key `k1` and do not open"), "{why}");
        assert!(why.contains("somebody wrote into Redis"), "{why}");
    }
    overwrite(&world, &jobs[0].id, &one).await;
    overwrite(&world, &jobs[1].id, &other).await;
    let ids = jobs.clone().map(|job| job.id);
    assert_eq!(queue.revive(&ids).await.unwrap(), [true, true]);
    for (n, job) in (1..).zip(&jobs) {
        world.is(&job.id, State::Done).await;
        let view = queue.show(&job.id).await.unwrap().unwrap();
        assert_eq!(view.outcome.unwrap().result.unwrap()["args"], json!({ "n": n }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_runs_of_which_a_bit_was_flipped() {
    let world = World::of_queues();
    let queue = queue_with(&world, ring(&[1, 2]));
    let jobs: Vec<Envelope> = (0..64).map(|n| world.job("test.echo", &json!({ "n": n }))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    for job in &jobs {
        let mut record = record(&world, &job.id).await;
        // Behind the kind: what is no job of a kind that somebody knows waits for one who does.
        let bit = rand::random_range(8 * job.kind.len()..8 * record.len());
        record[bit / 8] ^= 1 << (bit % 8);
        overwrite(&world, &job.id, &record).await;
    }
    let worker = worker_with(&world, ring(&[1, 2]));

    eventually("all of them are dead", async || world.counts().await.dead == 64).await;
    let tally = worker.drain().await;
    assert_eq!(world.counts().await.done, 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_job_is_refused_where_a_seal_is_required_by_whichever_door_it_comes() {
    let world = World::of_queues();
    let forger = world.queue("default");
    let plain = world.job("test.echo", &json!({ "n": 1 }));
    forger.enqueue(&plain).await.unwrap();
    let sealed = world.job("test.echo", &json!({ "n": 2 }));
    queue_with(&world, ring(&[1])).enqueue(&sealed).await.unwrap();
    let pushed = json!({ "id": "pushed", "kind": "test.echo", "args": { "n": 3 } }).to_string();
    let beside =
        json!({ "id": "beside", "kind": "test.echo", "args": { "n": 4 }, "sealed": "AWsx" }).to_string();
    let _: u64 = world.redis(redis::cmd("RPUSH").arg(&forger.keys().inbox).arg(&[pushed, beside])).await;
    let worker = worker_with(&world, ring(&[1]).required(true));

    let why = world.buried(&plain.id).await;
    assert!(why.contains("not sealed, and [encryption] says required = true"), "{why}");
    world.is(&sealed.id, State::Done).await;
    eventually("the entries of the inbox are parked", async || world.counts().await.dead == 3).await;

    // Asking for them again changes nothing, and neither does sealing everything anew.
    let keeper = queue_with(&world, ring(&[1, 2]).required(true));
    assert_eq!(keeper.reseal().await.unwrap().plain, 2);
    let dead = keeper.list(State::Dead, 10).await.unwrap();
    let ids: Vec<String> = dead.iter().map(|view| view.id.clone()).collect();
    keeper.revive(&ids).await.unwrap();
    eventually("they are dead again", async || world.counts().await.dead == 3).await;
    worker.drain().await;
    assert_eq!(world.counts().await.done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_for_one_queue_or_kind_is_of_no_use_in_another() {
    let world = World::of_queues();
    let queue = queue_with(&world, ring(&[1]));
    let job = world.job("test.echo", &json!({ "n": 1 }));
    let low = world.queue("low").sealing(std::sync::Arc::new(ring(&[1])));
    low.enqueue(&job).await.unwrap();
    let taken: Vec<u8> = world.redis(redis::cmd("HGET").arg(&low.keys().jobs).arg(&job.id)).await;
    queue.enqueue(&job).await.unwrap();
    overwrite(&world, &job.id, &taken).await;
    let other = world.job("test.fail", &json!({ "how": "bury" }));
    queue.enqueue(&other).await.unwrap();
    let mut forged = Envelope::from_record(&other.id, &record(&world, &other.id).await).unwrap();
    forged.kind = "test.echo".to_owned();
    overwrite(&world, &other.id, &forged.to_record().unwrap()).await;
    let _worker = worker_with(&world, ring(&[1]));

    for id in [&job.id, &other.id] {
        assert!(world.buried(id).await.contains("do not open"), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_keys_runs_nothing_that_is_sealed() {
    let world = World::of_queues();
    let job = world.job("test.echo", &json!({ "n": 1 }));
    queue_with(&world, ring(&[1])).enqueue(&job).await.unwrap();
    let worker = Worker::start(world.settings(kinds(), ""));

    let why = world.buried(&job.id).await;
    assert!(why.contains("sealed with key `k1`, which this process does not have"), "{why}");
    assert!(why.contains("[encryption.keys.k1]"), "{why}");
    worker.drain().await;
}
