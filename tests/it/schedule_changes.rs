//! Schedules that change while others remember what they were, and jobs that a tick replaces.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use brasa_scheduler::{Settings, plans, run};
use brasa_shared::queue::{Ending, Renewal, State, Tick, Verdict};
use brasa_shared::telemetry::server::Progress;
use brasa_tests::hand::{Hand, LEASE, held};
use brasa_tests::kinds::kinds;
use brasa_tests::{World, eventually};
use jiff::Timestamp;
use redis::cmd;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// The instant `n` minutes into the year.
fn minute(n: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + 60 * n).unwrap()
}

/// Offers one instant of the schedule `report`, whose job is of the kind `kind`; returns the job's id.
async fn replace(world: &World, instant: Timestamp, kind: &str) -> String {
    let mut job = world.job(kind, &json!({}));
    job.id = format!("report@{instant}");
    let tick = Tick { schedule: "report", instant, overlap: "replace", job: &job, withheld: None, why: "" };
    assert_eq!(world.queue("default").tick(&tick).await.unwrap(), Verdict::Fired);
    job.id
}

#[tokio::test]
async fn a_schedule_that_is_the_same_goes_on_where_it_was() {
    let queue = World::of_queues().queue("default");

    assert_eq!(queue.follow("report", "daily", minute(3)).await.unwrap(), minute(3));
    assert_eq!(queue.follow("report", "daily", minute(9)).await.unwrap(), minute(3));
}

#[tokio::test]
async fn a_schedule_that_was_changed_begins_afresh() {
    let queue = World::of_queues().queue("default");
    queue.follow("report", "daily", minute(3)).await.unwrap();

    assert_eq!(queue.follow("report", "hourly", minute(9)).await.unwrap(), minute(9));

    assert_eq!(queue.follow("report", "hourly", minute(12)).await.unwrap(), minute(9));
    assert_eq!(queue.ticks().await.unwrap(), [("report".to_owned(), minute(9))]);
}

#[tokio::test]
async fn a_tick_leaves_the_identity_of_its_schedule_alone() {
    let world = World::of_queues();
    let queue = world.queue("default");
    queue.follow("report", "daily", minute(3)).await.unwrap();

    replace(&world, minute(5), "sql.run").await;

    assert_eq!(queue.follow("report", "daily", minute(9)).await.unwrap(), minute(5));
    assert_eq!(queue.follow("report", "hourly", minute(9)).await.unwrap(), minute(9));
}

#[tokio::test]
async fn what_an_older_version_remembers_is_taken_up() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let last = minute(3).as_millisecond();
    let _: u64 = world.redis(cmd("HSET").arg(&queue.keys().ticks).arg("report").arg(last)).await;

    assert_eq!(queue.follow("report", "daily", minute(9)).await.unwrap(), minute(3));
    assert_eq!(queue.follow("report", "hourly", minute(10)).await.unwrap(), minute(10));
}

#[tokio::test]
async fn an_instant_that_fired_a_moment_early_does_not_come_again_after_a_change() {
    let queue = World::of_queues().queue("default");
    queue.follow("report", "daily", minute(3)).await.unwrap();
    let a_little_before = minute(3) - Duration::from_millis(200);

    assert_eq!(queue.follow("report", "hourly", a_little_before).await.unwrap(), minute(3));
}

/// Runs a scheduler on the schedule `report` until `until` holds.
async fn scheduler(world: &World, when: &str, until: impl AsyncFnMut() -> bool) {
    let text = format!("[schedules.report]\njob = \"test.echo\"\nlate = \"run-all\"\n{when}");
    let queues = [("default".to_owned(), world.queue("default"))].into();
    let settings = Settings {
        plans: plans(&world.config(&text), &kinds(), &queues).unwrap(),
        fleet: world.fleet(),
        clock: world.clock.clone(),
        pulse: Progress::default().part("scheduler"),
        fired: Arc::new(AtomicU64::new(0)),
        leading: Arc::default(),
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(settings, stop.clone()));
    eventually("the scheduler does what it should", until).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_schedule_that_is_written_anew_fires_nothing_that_was_never_due() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let last = async || queue.ticks().await.unwrap().first().map(|(_, last)| *last);
    scheduler(&world, "cron = \"0 0 1 1 *\"", async || last().await == Some(minute(0))).await;
    world.advance(Duration::from_hours(5));

    scheduler(&world, "cron = \"0 * * * *\"", async || last().await == Some(minute(300))).await;
    assert_eq!(world.counts().await.waiting, 0);

    world.advance(Duration::from_hours(2));
    scheduler(&world, "cron = \"0 * * * *\"", async || last().await == Some(minute(420))).await;
    assert_eq!(world.counts().await.waiting, 2);
}

#[tokio::test]
async fn a_running_job_that_is_replaced_is_asked_to_stop() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let old = replace(&world, minute(1), "sql.run").await;
    let job = Hand::new("w", &["sql.run"]).claim_one(&queue).await;

    let new = replace(&world, minute(2), "sql.run").await;

    assert_eq!(queue.renew(&[held(&job)], LEASE).await.unwrap(), [Renewal::StopAsked]);
    assert_eq!(
        world.show(&old).await.stop_asked.as_deref(),
        Some("replaced by the next tick of its schedule")
    );
    assert_eq!(world.state(&new).await, Some(State::Waiting));
}

#[tokio::test]
async fn a_waiting_job_of_another_kind_is_replaced_too_and_never_handed_out() {
    let world = World::of_queues();
    let old = replace(&world, minute(1), "sql.run").await;

    let new = replace(&world, minute(2), "cache.warm").await;

    assert_eq!(world.state(&old).await, Some(State::Done));
    let claimed = Hand::new("w", &["sql.run", "cache.warm"]).claim(&world.queue("default"), 9).await;
    assert_eq!(claimed.into_iter().map(|job| job.id).collect::<Vec<_>>(), [new]);
}

#[tokio::test]
async fn a_replaced_job_is_kept_as_long_as_the_queue_keeps_what_is_done() {
    let world = World::with_manual_clock();
    let keep = brasa_shared::queue::Keep { count: 10, age_ms: 60_000, bytes: 0 };
    let queue = world.queue("default").keeping(keep, keep);
    let mut ids = Vec::new();
    for n in 1..=2 {
        let mut job = world.job("sql.run", &json!({}));
        job.id = format!("report@{}", minute(n));
        let tick = Tick {
            schedule: "report",
            instant: minute(n),
            overlap: "replace",
            job: &job,
            withheld: None,
            why: "",
        };
        queue.tick(&tick).await.unwrap();
        ids.push(job.id);
    }
    let view = world.show(&ids[0]).await;
    assert_eq!(view.outcome.unwrap().ending, Ending::Cancelled);

    world.advance(Duration::from_millis(59_999));
    queue.sweep().await.unwrap();
    assert!(queue.show(&ids[0]).await.unwrap().is_some());
    world.advance(Duration::from_millis(1));
    queue.sweep().await.unwrap();
    assert!(queue.show(&ids[0]).await.unwrap().is_none());
}
