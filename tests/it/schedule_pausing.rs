//! Pausing schedules while everything runs: ticks stay out, say why, and are not made up for.

use std::time::Duration;

use brasa_scheduler::fire_now;
use brasa_shared::queue::{Fleet, State, TickVerdict};
use brasa_tests::process::{Brasa, http_get};
use brasa_tests::{World, eventually};
use jiff::Timestamp;
use serde_json::json;

use crate::scheduling::{Scheduler, instants, planned, seen, verdicts};

/// All that were missed are made up for, where they are made up for at all.
const MINUTELY: &str = "[schedules.minutely]\njob = \"test.echo\"\nevery = \"1m\"\nlate = \"run-all\"";

/// The verdicts so far are these.
async fn judged(world: &World, expected: &[&str]) {
    eventually(&format!("the verdicts are {expected:?}"), async || verdicts(world).await == expected).await;
}

/// A minute goes by, in which a tick is judged so.
async fn minute(world: &World, so_far: &mut Vec<&'static str>, verdict: &'static str) {
    world.advance(Duration::from_mins(1));
    so_far.push(verdict);
    judged(world, so_far).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_of_a_paused_schedule_say_who_paused_it_and_are_not_made_up_for() {
    let world = World::with_manual_clock();
    let scheduler = Scheduler::start(&world, MINUTELY);
    seen(&world, 1).await;
    let mut all = Vec::new();
    minute(&world, &mut all, "fired").await;

    let pause = world.fleet().pause_schedule("minutely", "ana", "the bank\nis down", None).await.unwrap();
    assert_eq!(world.fleet().paused_schedules().await.unwrap()["minutely"], pause);
    minute(&world, &mut all, "paused").await;
    minute(&world, &mut all, "paused").await;
    let log: Vec<TickVerdict> = world.queue("default").tick_log(2).await.unwrap();
    assert!(log.iter().all(|line| line.why == "by ana: the bank is down"), "{log:?}");
    assert_eq!(log[0].job, "minutely@2026-01-01T00:03:00Z");

    assert_eq!(world.fleet().resume_schedule("minutely", true).await.unwrap(), Some(pause));
    assert_eq!(world.fleet().resume_schedule("minutely", true).await.unwrap(), None);
    minute(&world, &mut all, "fired").await;
    assert_eq!(world.queue("default").tick_log(1).await.unwrap()[0].why, "");
    assert_eq!(scheduler.end().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_with_an_end_ends_by_itself_and_the_tick_at_its_end_fires() {
    let world = World::with_manual_clock();
    let scheduler = Scheduler::start(&world, MINUTELY);
    seen(&world, 1).await;
    let until = world.clock.now() + Duration::from_mins(2);
    let _pause = world.fleet().pause_schedule("minutely", "ana", "", Some(until)).await.unwrap();
    let mut all = Vec::new();
    minute(&world, &mut all, "paused").await;
    assert_eq!(world.fleet().paused_schedules().await.unwrap().len(), 1);
    minute(&world, &mut all, "fired").await;
    assert!(world.fleet().paused_schedules().await.unwrap().is_empty());
    minute(&world, &mut all, "fired").await;
    scheduler.end().await;
}

/// Whoever leads next finds the pause in Redis; one that ended while nobody led is known to have been.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_over_a_restart_and_what_fell_into_it_is_not_made_up_for_afterwards() {
    let world = World::with_manual_clock();
    let first = Scheduler::start(&world, MINUTELY);
    seen(&world, 1).await;
    let _pause = world.fleet().pause_schedule("minutely", "ana", "", None).await.unwrap();
    let mut all = Vec::new();
    minute(&world, &mut all, "paused").await;
    first.end().await;

    let second = Scheduler::start(&world, MINUTELY);
    minute(&world, &mut all, "paused").await;
    second.end().await;

    // Nobody schedules for five minutes. In the third of them it is resumed.
    world.advance(Duration::from_mins(2) + Duration::from_secs(30));
    assert!(world.fleet().resume_schedule("minutely", true).await.unwrap().is_some());
    world.advance(Duration::from_mins(2) + Duration::from_secs(30));
    let third = Scheduler::start(&world, MINUTELY);
    all.extend(["paused", "paused", "fired", "fired", "fired"]);
    judged(&world, &all).await;
    third.end().await;
    let first_fired: Timestamp = "2026-01-01T00:05:00Z".parse().unwrap();
    assert_eq!(instants(&world, "minutely").await[0], first_fired);
}

/// Each believes that it leads.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_schedulers_that_both_believe_to_lead_neither_fires_what_is_paused() {
    let world = World::of_queues();
    let config = "[schedules.each]\njob = \"test.echo\"\nevery = \"1s\"";
    // The other one is led by another lock, and finds pauses where all do.
    let elsewhere = Fleet::new(world.store.clone(), &format!("{}-other", world.prefix), world.clock.clone());
    for fleet in [world.fleet(), elsewhere.clone()] {
        let _pause = fleet.pause_schedule("each", "ana", "", None).await.unwrap();
    }
    let one = Scheduler::start(&world, config);
    let two = Scheduler::led_by(&world, config, elsewhere);
    eventually("three ticks are judged", async || verdicts(&world).await.len() >= 3).await;
    assert_eq!(one.end().await + two.end().await, 0);
    assert!(verdicts(&world).await.iter().all(|verdict| verdict == "paused"));
    assert_eq!(world.counts().await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_moves_to_another_queue_stays_paused_and_can_be_run_all_the_same() {
    let world = World::with_manual_clock();
    let _pause = world.fleet().pause_schedule("minutely", "ana", "", None).await.unwrap();
    let moved = format!("{MINUTELY}\nqueue = \"low\"\n[queues.low]\n");
    let scheduler = Scheduler::start(&world, &moved);
    let low = world.queue("low");
    eventually("it is seen", async || !low.ticks().await.unwrap().is_empty()).await;
    world.advance(Duration::from_mins(1));
    eventually("its tick is judged", async || low.tick_log(1).await.unwrap().len() == 1).await;
    assert_eq!((low.tick_log(1).await.unwrap()[0].verdict.as_str(), scheduler.end().await), ("paused", 0));

    let id = fire_now(&planned(&world, &moved).remove(0), &world.clock).await.unwrap();
    assert_eq!(low.show(&id).await.unwrap().unwrap().state, State::Waiting);
}

#[tokio::test]
async fn a_pause_that_somebody_wrote_by_hand_is_a_pause_too() {
    let world = World::of_queues();
    let key = format!("{}:schedule-pauses", world.prefix);
    world.redis::<()>(redis::cmd("HSET").arg(&key).arg("each").arg("ask ana")).await;
    let pause = world.fleet().paused_schedules().await.unwrap().remove("each").unwrap();
    assert_eq!((pause.reason.as_str(), pause.until), ("ask ana", None));
    assert!(world.fleet().resume_schedule("each", true).await.unwrap().is_some());
    assert!(world.fleet().paused_schedules().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_paused_shown_and_resumed_by_the_command_line() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, "[schedules.each]\njob = \"db.analyze\"\nevery = \"1s\"\n");
    let said = brasa.run(["schedules", "pause", "each", "--reason", "a holiday"]).await.with_code(0).stdout;
    assert!(said.contains("schedule each is paused; `brasa schedules resume each` ends it"), "{said}");
    let listed = brasa.run(["schedules", "list"]).await.with_code(0).stdout;
    assert!(listed.contains("STATE") && listed.contains("until it is resumed: a holiday"), "{listed}");
    let told = brasa.run(["schedules", "list", "--json"]).await.json();
    assert_eq!((&told[0]["pause"]["reason"], &told[0]["next"]), (&json!("a holiday"), &json!(null)));

    let scheduler = brasa.start(["scheduler", "--listen", "127.0.0.1:0"]);
    let address = scheduler.address().await;
    eventually("the metric tells it", async || {
        let (_, metrics) = http_get(address, "/metrics").await.unwrap();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("brasa_schedule_paused_seconds{schedule=\"each\"} "));
        line.is_some_and(|seconds| seconds.parse::<f64>().unwrap() > 0.0)
    })
    .await;
    eventually("the ticks tell it", async || {
        let shown = brasa.run(["schedules", "show", "each", "--json"]).await.json();
        shown["ticks"].as_array().is_some_and(|ticks| {
            let is_paused = |tick: &serde_json::Value| {
                tick["verdict"] == "paused"
                    && tick["why"].as_str().is_some_and(|why| why.ends_with(": a holiday"))
            };
            !ticks.is_empty() && ticks.iter().all(is_paused)
        })
    })
    .await;
    let ran = brasa.run(["schedules", "run", "each"]).await.with_code(0).stdout;
    assert!(ran.contains("enqueued each@now-") && ran.contains("its ticks stay out"), "{ran}");

    let said = brasa.run(["schedules", "resume", "each"]).await.with_code(0).stdout;
    assert!(said.contains("schedule each fires again"), "{said}");
    eventually("it fires", async || {
        let shown = brasa.run(["schedules", "show", "each"]).await.with_code(0).stdout;
        shown.contains("state  runs") && shown.contains("fired")
    })
    .await;
    let said = brasa.run(["schedules", "resume", "each", "--json"]).await.json();
    assert_eq!(said, json!({ "schedule": "each", "was_paused": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_of_a_pause_is_refused_and_a_forgotten_name_is_told() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, "[schedules.each]\njob = \"db.analyze\"\nevery = \"1h\"\n");
    let said = brasa.run(["schedules", "pause", "eahc"]).await.with_code(2).stderr;
    assert!(said.contains("there is no schedule `eahc`") && said.contains("did you mean `each`?"), "{said}");
    for wrong in [
        ["--for", "soon"].as_slice(),
        &["--for", "0s"],
        &["--until", "2020-01-01T00:00:00Z"],
        &["--until", "2100-01-01T00:00:00Z", "--for", "1h"],
    ] {
        let asked = ["schedules", "pause", "each"].iter().chain(wrong);
        let _refused = brasa.run(asked).await.with_code(2);
    }
    let told = brasa.run(["schedules", "pause", "each", "--for", "2h", "--json"]).await.json();
    let pause = &told["pause"];
    let lasting_ms = pause["until"].as_i64().unwrap() - pause["at"].as_i64().unwrap();
    assert!((lasting_ms - 7_200_000).abs() <= 5_000, "{told}");
    let listed = brasa.run(["schedules", "list"]).await.with_code(0).stdout;
    assert!(listed.contains("ends in 2 h") || listed.contains("ends in 119 min"), "{listed}");

    let _pause = world.fleet().pause_schedule("renamed", "ana", "\u{1b}[2J", None).await.unwrap();
    let listed = brasa.run(["schedules", "list"]).await.with_code(0).stdout;
    assert!(listed.contains("renamed") && listed.contains("in no configuration"), "{listed}");
    assert!(!listed.contains('\u{1b}'), "{listed}");
    let said = brasa.run(["schedules", "resume", "renamed"]).await.with_code(0).stdout;
    assert!(said.contains("schedule renamed is forgotten"), "{said}");
    let said = brasa.run(["schedules", "resume", "renamed"]).await.with_code(2).stderr;
    assert!(said.contains("there is no schedule `renamed`"), "{said}");
}
