//! A worker, from a job that is claimed to one that is judged.

use std::time::{Duration, Instant};

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{Ending, Held, State};
use brasa_shared::store::Store;
use brasa_tests::hand::Hand;
use brasa_tests::kinds::kinds;
use brasa_tests::{Proxy, Worker, World, eventually};
use brasa_worker::{Pulses, Shutdown, Tally};
use redis::cmd;
use serde_json::{Value, json};

/// A world, and a worker in it with the kinds for tests.
fn started() -> (World, Worker) {
    let world = World::of_queues();
    let worker = Worker::start(world.settings(kinds(), ""));
    (world, worker)
}

/// Waits until a job is in this state.
async fn is(world: &World, id: &str, state: State) {
    let what = format!("the job is {state:?}");
    eventually(&what, async || world.state(id).await == Some(state)).await;
}

/// Why a job is in the dead letter, once it is.
async fn buried(world: &World, id: &str) -> String {
    is(world, id, State::Dead).await;
    world.show(id).await.outcome.unwrap().reason.unwrap()
}

/// What a job's handler returned, once it did.
async fn result(world: &World, id: &str) -> Value {
    is(world, id, State::Done).await;
    world.show(id).await.outcome.unwrap().result.unwrap_or_default()
}

fn gate(world: &World) -> String {
    format!("{}:gate", world.prefix)
}

async fn open(world: &World) {
    world.redis::<()>(cmd("SET").arg(gate(world)).arg("open")).await;
}

/// How many jobs are inside the gate.
async fn inside(world: &World) -> i64 {
    world.redis::<Option<i64>>(cmd("GET").arg(format!("{}:inside", gate(world)))).await.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_a_job_and_keeps_what_it_returned() {
    let (world, worker) = started();

    let id = world.enqueue("test.echo", json!({ "n": 7 })).await;

    let returned = result(&world, &id).await;
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
async fn a_worker_that_ends_when_all_is_done_waits_for_what_is_due_later() {
    let world = World::of_queues();
    let mut job = world.job("test.echo", &json!({}));
    job.due = Some((world.clock.now() + Duration::from_millis(500)).as_millisecond());
    world.queue("default").enqueue(&job).await.unwrap();
    let mut settings = world.settings(kinds(), "");
    settings.until_empty = true;

    assert_eq!(Worker::start(settings).ended().await.done, 1);

    assert_eq!(world.state(&job.id).await, Some(State::Done));
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
    let (world, worker) = started();

    let id = world.enqueue("test.parrot", json!({ "n": 7 })).await;

    assert_eq!(result(&world, &id).await["args"], json!({ "n": 7 }));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failed_attempt_and_the_siblings_live() {
    let (world, worker) = started();
    let sibling = world.enqueue("test.gate", json!({ "gate": gate(&world) })).await;
    is(&world, &sibling, State::Running).await;

    let id = world.enqueue("test.panic", json!({ "times": 1 })).await;

    assert_eq!(result(&world, &id).await, json!({ "attempt": 2 }));
    let trail = world.show(&id).await.trail;
    assert!(trail.len() == 1 && trail[0].contains("the handler panicked: the roof is on fire"), "{trail:?}");
    open(&world).await;
    assert_eq!(result(&world, &sibling).await, json!({ "attempt": 1 }));
    assert_eq!(worker.drain().await, Tally { done: 2, failed: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_every_time_ends_in_the_dead_letter() {
    let (world, worker) = started();

    let id = world.enqueue("test.panic", json!({ "times": 99 })).await;

    let reason = buried(&world, &id).await;
    assert_eq!(reason, "the handler panicked: the roof is on fire (no attempts left)");
    assert_eq!(world.show(&id).await.attempt, 3);
    assert_eq!(worker.drain().await, Tally { done: 0, failed: 3 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_too_long_is_stopped_and_has_failed() {
    let (world, worker) = started();
    let mut job = world.job("test.gate", &json!({ "gate": gate(&world) }));
    (job.timeout_ms, job.attempts) = (Some(100), Some(1));

    world.queue("default").enqueue(&job).await.unwrap();

    let reason = buried(&world, &job.id).await;
    assert!(reason.contains("took longer than 100ms and was stopped"), "{reason}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_tried_as_often_as_it_asks_for_itself() {
    let (world, worker) = started();
    let mut job = world.job("test.fail", &json!({ "how": "retry" }));
    job.attempts = Some(2);

    world.queue("default").enqueue(&job).await.unwrap();

    assert_eq!(buried(&world, &job.id).await, "it was told to retry in run 2 (no attempts left)");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_may_say_when_it_wants_to_be_tried_again() {
    let (world, worker) = started();
    let begun = Instant::now();

    let id = world.enqueue("test.fail", json!({ "how": "retry-in", "ms": 600, "times": 1 })).await;

    assert_eq!(result(&world, &id).await, json!({ "attempt": 2, "run": 2 }));
    assert!(begun.elapsed() >= Duration::from_millis(600));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_snoozes_comes_back_as_the_same_attempt() {
    let (world, worker) = started();

    // Three attempts are all that its kind has.
    let id = world.enqueue("test.fail", json!({ "how": "snooze", "ms": 10, "times": 5 })).await;

    assert_eq!(result(&world, &id).await, json!({ "attempt": 1, "run": 6 }));
    assert_eq!(worker.drain().await, Tally { done: 1, failed: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_no_longer_matters_is_discarded_with_a_note() {
    let (world, worker) = started();

    let id = world.enqueue("test.fail", json!({ "how": "discard" })).await;

    is(&world, &id, State::Done).await;
    let outcome = world.show(&id).await.outcome.unwrap();
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert_eq!(outcome.reason.as_deref(), Some("discarded: it was told to discard in run 1"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hopeless_job_is_buried_at_its_first_attempt() {
    let (world, worker) = started();

    let id = world.enqueue("test.fail", json!({ "how": "bury" })).await;

    assert_eq!(buried(&world, &id).await, "it was told to bury in run 1");
    assert_eq!(world.show(&id).await.attempt, 1);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_do_not_fit_are_buried_with_the_reason() {
    let (world, worker) = started();

    let id = world.enqueue("test.gate", json!({ "gait": "slow" })).await;

    let reason = buried(&world, &id).await;
    assert!(reason.starts_with("the arguments do not fit: unknown field `gait`"), "{reason}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_worker_does_not_know_is_left_waiting() {
    let (world, worker) = started();
    let stranger = world.enqueue("team.invent", json!({})).await;

    let known = world.enqueue("test.echo", json!({})).await;

    is(&world, &known, State::Done).await;
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
    (ids.sort(), expected.sort());
    assert_eq!(ids, expected);
    assert!(buried(&world, garbled).await.contains("the envelope is not one of ours"));
    assert!(buried(&world, gone).await.contains("no envelope"));
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

    assert_eq!(result(&world, &id).await["attempt"], json!(2));
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
    is(&world, &id, State::Running).await;

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
    is(&world, &id, State::Running).await;

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
    settings.lease = Duration::from_millis(1_200);
    settings.until_empty = true;
    let jobs: Vec<_> = (0..4).map(|_| world.job("test.block", &json!({ "ms": 3_000 }))).collect();
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
        assert_eq!(result(&world, &job.id).await, json!({ "attempt": 1 }));
    }
    assert_eq!(blocked.join().unwrap(), Tally { done: 4, failed: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_running_jobs_finish_and_begins_no_others() {
    let (world, worker) = started();
    let running = world.enqueue("test.gate", json!({ "gate": gate(&world) })).await;
    is(&world, &running, State::Running).await;

    worker.shutdown.drain.cancel();
    let later = world.enqueue("test.echo", json!({})).await;
    open(&world).await;

    assert_eq!(worker.ended().await, Tally { done: 1, failed: 0 });
    assert_eq!(world.state(&running).await, Some(State::Done));
    assert_eq!(world.state(&later).await, Some(State::Waiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_is_handed_back_without_using_an_attempt() {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.shutdown_grace = Duration::from_millis(100);
    let worker = Worker::start(settings);
    // One stops when it is told to, the other has to be stopped.
    let obedient = world.enqueue("test.gate", json!({ "gate": gate(&world), "obeys": true })).await;
    let stubborn = world.enqueue("test.gate", json!({ "gate": gate(&world) })).await;
    eventually("both jobs run", async || inside(&world).await == 2).await;

    assert_eq!(worker.drain().await, Tally { done: 0, failed: 0 });

    for id in [&obedient, &stubborn] {
        let view = world.show(id).await;
        assert_eq!((view.state, view.attempt), (State::Waiting, 0));
    }
    open(&world).await;
    let next = Worker::start(world.settings(kinds(), ""));
    for id in [&obedient, &stubborn] {
        assert_eq!(result(&world, id).await, json!({ "attempt": 1 }));
    }
    next.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_to_end_does_not_wait_for_the_grace() {
    let world = World::of_queues();
    let mut settings = world.settings(kinds(), "");
    settings.shutdown_grace = Duration::from_hours(1);
    let worker = Worker::start(settings);
    let id = world.enqueue("test.gate", json!({ "gate": gate(&world) })).await;
    is(&world, &id, State::Running).await;

    worker.shutdown.ask();
    worker.shutdown.ask();

    worker.ended().await;
    assert_eq!((world.state(&id).await, world.show(&id).await.attempt), (Some(State::Waiting), 0));
}

/// The claim is on its way when everything is told to stop, and is answered after that.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_claimed_while_everything_stopped_is_handed_back() {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let mut settings = world.settings(kinds(), "");
    settings.queues = vec![(world.queue("default").over(Store::open(&proxy.url()).unwrap()), 1)];
    let worker = Worker::start(settings);
    let first = world.enqueue("test.echo", json!({})).await;
    is(&world, &first, State::Done).await;
    proxy.freeze();
    let id = world.enqueue("test.gate", json!({ "gate": gate(&world) })).await;
    // Within a second it asks for jobs.
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    worker.shutdown.ask();
    worker.shutdown.ask();
    // The first thing that an end at once does is to tell everything to stop.
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.thaw();

    worker.ended().await;
    assert_eq!((world.state(&id).await, world.show(&id).await.attempt), (Some(State::Waiting), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_ends_at_once() {
    let (world, worker) = started();
    eventually("the worker reports", async || world.fleet().workers().await.unwrap().len() == 1).await;
    let begun = Instant::now();

    worker.drain().await;

    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_seen_by_the_fleet_until_it_has_drained() {
    let (world, worker) = started();
    eventually("the worker reports", async || world.fleet().workers().await.unwrap().len() == 1).await;
    let info = world.fleet().workers().await.unwrap().remove(0);
    assert_eq!(
        (info.queues, info.concurrency, info.pid),
        (vec!["default".to_owned()], 4, std::process::id())
    );

    worker.drain().await;

    assert!(world.fleet().workers().await.unwrap().is_empty());
}

/// A worker that slept would look once a second: twenty jobs, each enqueued when the one before was done,
/// would take it 20 seconds.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_woken_by_a_push() {
    let (world, worker) = started();
    let first = world.enqueue("test.echo", json!({})).await;
    is(&world, &first, State::Done).await;

    let begun = Instant::now();
    for _ in 0..20 {
        let id = world.enqueue("test.echo", json!({})).await;
        is(&world, &id, State::Done).await;
    }

    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_run_at_once_than_were_allowed() {
    let world = World::of_queues();
    let jobs: Vec<_> = (0..30).map(|_| world.job("test.gate", &json!({ "gate": gate(&world) }))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    let mut settings = world.settings(kinds(), "");
    (settings.concurrency, settings.until_empty) = (3, true);
    let worker = Worker::start(settings);
    eventually("three jobs run", async || inside(&world).await == 3).await;
    // Nor does it hold more than it runs: an idle worker beside it would have had them.
    let counts = world.counts().await;
    assert_eq!((counts.running, counts.waiting), (3, 27));

    open(&world).await;

    assert_eq!(worker.ended().await.done, 30);
    let most: i64 = world.redis(cmd("ZSCORE").arg(format!("{}:most", gate(&world))).arg("most")).await;
    assert_eq!(most, 3);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_outlives_the_loss_of_all_its_connections() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let world = World::on_redis(redis.url());
    let worker = Worker::start(world.settings(kinds(), ""));
    for _ in 0..5 {
        let running = world.enqueue("test.gate", json!({ "gate": gate(&world) })).await;
        is(&world, &running, State::Running).await;
        // All connections but the one that asks: claims, renewals, housekeeping, wake-ups, the cache.
        for kind in ["normal", "pubsub"] {
            let _: u64 = world.redis(cmd("CLIENT").arg("KILL").arg("TYPE").arg(kind)).await;
        }
        open(&world).await;

        assert_eq!(result(&world, &running).await, json!({ "attempt": 1 }));
        let _: u64 = world.redis(cmd("DEL").arg(gate(&world))).await;
    }

    assert!(worker.lives());
    assert_eq!(worker.drain().await, Tally { done: 5, failed: 0 });
}
