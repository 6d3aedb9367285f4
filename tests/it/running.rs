//! A worker, from a job that is claimed to one that is judged.

use std::time::{Duration, Instant};

use brasa_shared::queue::{Ending, State};
use brasa_tests::kinds::{at_the_gate, at_the_gate_now, kinds, most_at_the_gate, open_the_gate};
use brasa_tests::{Worker, World, eventually};
use brasa_worker::Tally;
use redis::cmd;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_a_job_and_keeps_what_it_returned() {
    let (world, worker) = Worker::in_a_world();

    let id = world.enqueue("test.echo", json!({ "n": 7 })).await;

    let returned = world.result(&id).await;
    assert_eq!((&returned["args"], &returned["attempt"]), (&json!({ "n": 7 }), &json!(1)));
    assert!(returned["fence"].as_i64().unwrap() > 0);
    let tally = worker.drain().await;
    assert_eq!(tally, Tally { done: 1, failed: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_run_once_each_and_then_the_worker_ends() {
    let world = World::of_queues();
    let jobs: Vec<_> = (0..1_000).map(|n| world.job("test.echo", &json!({ "n": n }))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    let mut settings = world.settings(kinds(), "");
    (settings.concurrency, settings.until_empty) = (50, true);

    let tally = Worker::start(settings).ended().await;

    assert_eq!(tally, Tally { done: 1_000, failed: 0 });
    let counts = world.counts().await;
    assert_eq!((counts.open(), counts.totals["done"]), (0, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_serves_all_of_its_queues() {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.queues.push((world.queue("critical"), 6));
    settings.until_empty = true;
    for queue in ["default", "critical"] {
        world.queue(queue).enqueue(&world.job("test.echo", &json!({}))).await.unwrap();
    }

    assert_eq!(Worker::start(settings).ended().await.done, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_still_has_the_former_name_of_its_kind_runs() {
    let (world, worker) = Worker::in_a_world();

    let id = world.enqueue("test.parrot", json!({ "n": 7 })).await;

    assert_eq!(world.result(&id).await["args"], json!({ "n": 7 }));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failed_attempt_and_the_siblings_live() {
    let (world, worker) = Worker::in_a_world();
    let sibling = world.enqueue("test.gate", at_the_gate(&world)).await;
    world.is(&sibling, State::Running).await;

    let id = world.enqueue("test.panic", json!({ "times": 1 })).await;

    assert_eq!(world.result(&id).await, json!({ "attempt": 2 }));
    let trail = world.show(&id).await.trail;
    assert!(trail.len() == 1 && trail[0].contains("the handler panicked: the roof is on fire"), "{trail:?}");
    open_the_gate(&world).await;
    assert_eq!(world.result(&sibling).await, json!({ "attempt": 1 }));
    assert_eq!(worker.drain().await, Tally { done: 2, failed: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_every_time_ends_in_the_dead_letter() {
    let (world, worker) = Worker::in_a_world();

    let id = world.enqueue("test.panic", json!({ "times": 99 })).await;

    let reason = world.buried(&id).await;
    assert_eq!(reason, "the handler panicked: the roof is on fire (no attempts left)");
    assert_eq!(world.show(&id).await.attempt, 3);
    assert_eq!(worker.drain().await, Tally { done: 0, failed: 3 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_too_long_is_stopped_and_has_failed() {
    let (world, worker) = Worker::in_a_world();
    let mut job = world.job("test.gate", &at_the_gate(&world));
    (job.timeout_ms, job.attempts) = (Some(100), Some(1));

    world.queue("default").enqueue(&job).await.unwrap();

    let reason = world.buried(&job.id).await;
    assert!(reason.contains("took longer than 100ms and was stopped"), "{reason}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_tried_as_often_as_it_asks_for_itself() {
    let (world, worker) = Worker::in_a_world();
    let mut job = world.job("test.fail", &json!({ "how": "retry" }));
    job.attempts = Some(2);

    world.queue("default").enqueue(&job).await.unwrap();

    assert_eq!(world.buried(&job.id).await, "it was told to retry in run 2 (no attempts left)");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_may_say_when_it_wants_to_be_tried_again() {
    let (world, worker) = Worker::in_a_world();
    let begun = Instant::now();

    let id = world.enqueue("test.fail", json!({ "how": "retry-in", "ms": 600, "times": 1 })).await;

    assert_eq!(world.result(&id).await, json!({ "attempt": 2, "run": 2 }));
    assert!(begun.elapsed() >= Duration::from_millis(600));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_snoozes_comes_back_as_the_same_attempt() {
    let (world, worker) = Worker::in_a_world();

    // Three attempts are all that its kind has.
    let id = world.enqueue("test.fail", json!({ "how": "snooze", "ms": 10, "times": 5 })).await;

    assert_eq!(world.result(&id).await, json!({ "attempt": 1, "run": 6 }));
    assert_eq!(worker.drain().await, Tally { done: 1, failed: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_no_longer_matters_is_discarded_with_a_note() {
    let (world, worker) = Worker::in_a_world();

    let id = world.enqueue("test.fail", json!({ "how": "discard" })).await;

    world.is(&id, State::Done).await;
    let outcome = world.show(&id).await.outcome.unwrap();
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert_eq!(outcome.reason.as_deref(), Some("discarded: it was told to discard in run 1"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hopeless_job_is_buried_at_its_first_attempt() {
    let (world, worker) = Worker::in_a_world();

    let id = world.enqueue("test.fail", json!({ "how": "bury" })).await;

    assert_eq!(world.buried(&id).await, "it was told to bury in run 1");
    assert_eq!(world.show(&id).await.attempt, 1);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_do_not_fit_are_buried_with_the_reason() {
    let (world, worker) = Worker::in_a_world();

    let id = world.enqueue("test.gate", json!({ "gait": "slow" })).await;

    let reason = world.buried(&id).await;
    assert!(reason.starts_with("the arguments do not fit: unknown field `gait`"), "{reason}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_worker_does_not_know_is_left_waiting() {
    let (world, worker) = Worker::in_a_world();
    let stranger = world.enqueue("team.invent", json!({})).await;

    let known = world.enqueue("test.echo", json!({})).await;

    world.is(&known, State::Done).await;
    assert_eq!(world.state(&stranger).await, Some(State::Waiting));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_and_missing_envelopes_are_parked_alone() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..1_000).map(|_| world.job("test.echo", &json!({}))).collect();
    queue.enqueue_all(&jobs).await.unwrap();
    let (garbled, gone) = (&jobs[300].id, &jobs[600].id);
    let _: u8 = world.redis(cmd("HSET").arg(&queue.keys().jobs).arg(garbled).arg("{\"id\":")).await;
    let _: u8 = world.redis(cmd("HDEL").arg(&queue.keys().jobs).arg(gone)).await;
    let mut settings = world.settings(kinds(), "");
    (settings.concurrency, settings.until_empty) = (50, true);

    assert_eq!(Worker::start(settings).ended().await.done, 998);

    let dead = queue.list(State::Dead, 10).await.unwrap();
    let mut ids: Vec<_> = dead.iter().map(|view| &view.id).collect();
    let mut expected = [garbled, gone];
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
    assert!(world.buried(garbled).await.contains("the envelope is not one of ours"));
    assert!(world.buried(gone).await.contains("no envelope"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_to_the_inbox_runs_and_what_is_malformed_is_parked() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let mut entries: Vec<_> =
        (0..1_000).map(|n| json!({ "id": format!("job-{n}"), "kind": "test.echo" }).to_string()).collect();
    entries.insert(500, "not an envelope".to_owned());
    let _: u64 = world.redis(cmd("RPUSH").arg(&queue.keys().inbox).arg(entries)).await;
    let mut settings = world.settings(kinds(), "");
    (settings.concurrency, settings.until_empty) = (50, true);

    assert_eq!(Worker::start(settings).ended().await.done, 1_000);

    assert_eq!(world.counts().await.dead, 1);
}

/// A worker that slept would look once a second: twenty jobs, each enqueued when the one before was done,
/// would take it 20 seconds.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_woken_by_a_push() {
    let (world, worker) = Worker::in_a_world();
    let first = world.enqueue("test.echo", json!({})).await;
    world.is(&first, State::Done).await;

    let begun = Instant::now();
    for _ in 0..20 {
        let id = world.enqueue("test.echo", json!({})).await;
        world.is(&id, State::Done).await;
    }

    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_run_at_once_than_were_allowed() {
    let world = World::of_queues();
    let jobs: Vec<_> = (0..30).map(|_| world.job("test.gate", &at_the_gate(&world))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    let mut settings = world.settings(kinds(), "");
    (settings.concurrency, settings.until_empty) = (3, true);
    let worker = Worker::start(settings);
    eventually("three jobs run", async || at_the_gate_now(&world).await == 3).await;
    // Nor does it hold more than it runs: an idle worker beside it would have had them.
    let counts = world.counts().await;
    assert_eq!((counts.running, counts.waiting), (3, 27));

    open_the_gate(&world).await;

    assert_eq!(worker.ended().await.done, 30);
    assert_eq!(most_at_the_gate(&world).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_jobs_and_double_none() {
    let world = World::of_queues();
    let jobs: Vec<_> = (0..500).map(|n| world.job("test.echo", &json!({ "n": n }))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    let settings = || {
        let mut settings = world.settings(kinds(), "");
        settings.until_empty = true;
        settings
    };

    let (one, two) = (Worker::start(settings()), Worker::start(settings()));

    assert_eq!(one.ended().await.done + two.ended().await.done, 500);
    assert_eq!(world.counts().await.totals["done"], 500);
}
