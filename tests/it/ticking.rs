//! Ticks as the queue judges them: one verdict per instant, whoever asks and however often.

use std::time::Duration;

use brasa_shared::queue::{Ending, Envelope, State, Tick, Verdict};
use brasa_tests::World;
use brasa_tests::hand::{Hand, done};
use jiff::Timestamp;
use serde_json::json;

/// The instant `n` minutes into the year.
fn minute(n: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + 60 * n).unwrap()
}

/// The job of a tick, under the tick's id.
fn job_of(world: &World, instant: Timestamp) -> Envelope {
    let mut job = world.job("sql.run", &json!({}));
    job.id = format!("report@{instant}");
    job.schedule = Some("report".to_owned());
    job
}

/// Offers one instant of the schedule `report`; returns the verdict and the id that its job has or would have.
async fn offer(world: &World, instant: Timestamp, overlap: &'static str) -> (Verdict, String) {
    let job = job_of(world, instant);
    let tick = Tick { schedule: "report", instant, overlap, job: &job, withheld: None, why: "" };
    (world.queue("default").tick(&tick).await.unwrap(), job.id.clone())
}

fn hand() -> Hand {
    Hand::new("w", &["sql.run"])
}

#[tokio::test]
async fn a_tick_enqueues_its_job_under_its_own_id() {
    let world = World::of_queues();

    let (verdict, id) = offer(&world, minute(1), "queue").await;

    assert_eq!(verdict, Verdict::Fired);
    assert_eq!(id, "report@2026-01-01T00:01:00Z");
    let view = world.show(&id).await;
    assert_eq!((view.state, view.schedule.as_deref()), (State::Waiting, Some("report")));
}

#[tokio::test]
async fn an_instant_that_is_offered_twice_fires_once() {
    let world = World::of_queues();
    offer(&world, minute(1), "queue").await;

    assert_eq!(offer(&world, minute(1), "queue").await.0, Verdict::Already);

    assert_eq!(world.counts().await.totals["enqueued"], 1);
}

#[tokio::test]
async fn of_many_who_offer_an_instant_at_once_one_fires() {
    let world = World::of_queues();
    let job = job_of(&world, minute(1));
    let offers = (0..10).map(|_| {
        let (queue, job) = (world.queue("default"), job.clone());
        tokio::spawn(async move {
            let tick = Tick {
                schedule: "report",
                instant: minute(1),
                overlap: "queue",
                job: &job,
                withheld: None,
                why: "",
            };
            queue.tick(&tick).await.unwrap()
        })
    });
    let mut fired = 0;
    for offer in offers.collect::<Vec<_>>() {
        fired += usize::from(offer.await.unwrap() == Verdict::Fired);
    }

    assert_eq!((fired, world.counts().await.waiting), (1, 1));
}

#[tokio::test]
async fn an_instant_before_the_last_one_has_had_its_verdict() {
    let world = World::of_queues();
    offer(&world, minute(5), "queue").await;

    let (verdict, id) = offer(&world, minute(3), "queue").await;

    assert_eq!(verdict, Verdict::Already);
    assert_eq!(world.state(&id).await, None);
}

#[tokio::test]
async fn an_instant_does_not_fire_again_when_its_job_is_long_forgotten() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let (_, id) = offer(&world, minute(1), "queue").await;
    let mut finish = done(&hand().claim_one(&queue).await);
    finish.keep_ms = Some(0);
    queue.finish(&[finish]).await.unwrap();
    assert_eq!(world.state(&id).await, None);

    assert_eq!(offer(&world, minute(1), "queue").await.0, Verdict::Already);
}

#[tokio::test]
async fn schedules_do_not_know_of_one_another() {
    let world = World::of_queues();
    offer(&world, minute(5), "queue").await;
    let mut job = job_of(&world, minute(1));
    job.id = "other@2026-01-01T00:01:00Z".to_owned();
    let tick =
        Tick { schedule: "other", instant: minute(1), overlap: "queue", job: &job, withheld: None, why: "" };

    assert_eq!(world.queue("default").tick(&tick).await.unwrap(), Verdict::Fired);
}

#[tokio::test]
async fn overlap_queue_enqueues_beside_an_unfinished_job() {
    let world = World::of_queues();
    offer(&world, minute(1), "queue").await;

    assert_eq!(offer(&world, minute(2), "queue").await.0, Verdict::Fired);

    assert_eq!(world.counts().await.waiting, 2);
}

#[tokio::test]
async fn overlap_skip_leaves_a_tick_out_while_the_last_job_waits_or_runs() {
    let world = World::of_queues();
    let queue = world.queue("default");
    offer(&world, minute(1), "skip").await;
    assert_eq!(offer(&world, minute(2), "skip").await.0, Verdict::Overlap);

    let job = hand().claim_one(&queue).await;
    assert_eq!(offer(&world, minute(3), "skip").await.0, Verdict::Overlap);

    queue.finish(&[done(&job)]).await.unwrap();
    assert_eq!(offer(&world, minute(4), "skip").await.0, Verdict::Fired);
}

#[tokio::test]
async fn overlap_skip_does_not_wait_for_the_dead() {
    let world = World::of_queues();
    let queue = world.queue("default");
    offer(&world, minute(1), "skip").await;
    let job = hand().claim_one(&queue).await;
    queue.bury(&[brasa_tests::hand::dead(&job, "why")]).await.unwrap();

    assert_eq!(offer(&world, minute(2), "skip").await.0, Verdict::Fired);
}

#[tokio::test]
async fn overlap_replace_cancels_a_job_that_has_not_begun() {
    let world = World::of_queues();
    let (_, old) = offer(&world, minute(1), "replace").await;

    let (verdict, new) = offer(&world, minute(2), "replace").await;

    assert_eq!(verdict, Verdict::Fired);
    let outcome = world.show(&old).await.outcome.unwrap();
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert!(outcome.reason.unwrap().contains("replaced by the next tick"));
    assert_eq!(hand().claim(&world.queue("default"), 5).await.len(), 1);
    assert_eq!(world.state(&new).await, Some(State::Running));
}

#[tokio::test]
async fn overlap_replace_lets_a_job_that_runs_run() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let (_, old) = offer(&world, minute(1), "replace").await;
    hand().claim_one(&queue).await;

    assert_eq!(offer(&world, minute(2), "replace").await.0, Verdict::Fired);

    assert_eq!(world.state(&old).await, Some(State::Running));
}

#[tokio::test]
async fn a_withheld_tick_has_a_verdict_and_no_job() {
    let world = World::of_queues();
    let job = job_of(&world, minute(1));
    let tick = Tick {
        schedule: "report",
        instant: minute(1),
        overlap: "queue",
        job: &job,
        withheld: Some("paused"),
        why: "",
    };

    let verdict = world.queue("default").tick(&tick).await.unwrap();

    assert_eq!(verdict, Verdict::Withheld("paused".to_owned()));
    assert_eq!(world.counts().await.waiting, 0);
    assert_eq!(offer(&world, minute(1), "queue").await.0, Verdict::Already);
}

#[tokio::test]
async fn every_verdict_is_recorded_newest_first() {
    let world = World::with_manual_clock();
    offer(&world, minute(1), "skip").await;
    world.advance(Duration::from_secs(90));
    let (_, second) = offer(&world, minute(2), "skip").await;

    let log = world.queue("default").tick_log(10).await.unwrap();

    let told: Vec<_> = log.iter().map(|line| (line.verdict.as_str(), line.instant)).collect();
    assert_eq!(told, [("overlap", minute(2)), ("fired", minute(1))]);
    assert_eq!(
        (log[0].schedule.as_str(), &log[0].job, log[0].judged),
        ("report", &second, world.clock.now())
    );
}

#[tokio::test]
async fn a_tick_may_start_a_little_later_than_its_instant() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut job = job_of(&world, minute(0));
    job.due = Some((world.clock.now() + Duration::from_secs(10)).as_millisecond());
    let tick =
        Tick { schedule: "report", instant: minute(0), overlap: "queue", job: &job, withheld: None, why: "" };
    queue.tick(&tick).await.unwrap();

    assert_eq!(world.state(&job.id).await, Some(State::Delayed));
}

#[tokio::test]
async fn a_schedules_life_begins_when_it_is_first_seen() {
    let world = World::of_queues();
    let queue = world.queue("default");

    assert_eq!(queue.last_tick("report", minute(3)).await.unwrap(), minute(3));
    assert_eq!(queue.last_tick("report", minute(9)).await.unwrap(), minute(3));

    assert_eq!(offer(&world, minute(2), "queue").await.0, Verdict::Already);
    assert_eq!(offer(&world, minute(4), "queue").await.0, Verdict::Fired);
    assert_eq!(queue.ticks().await.unwrap(), [("report".to_owned(), minute(4))]);
}

#[tokio::test]
async fn the_record_of_ticks_is_bounded() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let job = job_of(&world, minute(0));
    for n in 0..1_050 {
        let instant = minute(n);
        let tick = Tick {
            schedule: "report",
            instant,
            overlap: "queue",
            job: &job,
            withheld: Some("late"),
            why: "",
        };
        queue.tick(&tick).await.unwrap();
    }

    let log = queue.tick_log(10_000).await.unwrap();

    assert_eq!((log.len(), log[0].instant), (1_000, minute(1_049)));
}
