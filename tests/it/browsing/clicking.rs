//! What can be done by clicking, and what comes of it in Redis and Postgres.

use std::time::Duration;

use brasa_shared::minutes::Span;
use brasa_shared::queue::State;
use brasa_tests::{World, eventually};
use serde_json::{Value, json};

use super::{Scene, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_paused_resumed_drained_and_opened() {
    let Some(mut scene) = Scene::new().await else { return };
    let queue = scene.world.queue("mail");
    scene.browser.step(json!({ "step": "log_in", "token": TOKEN })).await;
    scene.browser.go("/queues").await;
    scene.browser.press("#queue-mail", "Pause", Some("a deploy")).await;
    let paused = queue.paused().await.unwrap().unwrap();
    assert_eq!((paused.by.as_str(), paused.reason.as_str()), ("ann", "a deploy"));
    scene.browser.press("#queue-mail", "Resume", None).await;
    assert_eq!(queue.paused().await.unwrap(), None);
    scene.browser.press("#queue-mail", "Drain", Some("it moves")).await;
    assert_eq!(queue.door().await.unwrap().unwrap().reason, "it moves");
    scene.browser.press("#queue-mail", "Open", None).await;
    assert_eq!(queue.door().await.unwrap(), None);

    let rows = scene.brasa.run(["audit", "list", "--json"]).await.json();
    let acts: Vec<&Value> = rows.as_array().unwrap().iter().rev().map(|row| &row["action"]).collect();
    assert_eq!(acts, ["queue.pause", "queue.resume", "queue.close", "queue.open"]);
}

/// A job every now and then.
async fn goes_on(world: &World) {
    loop {
        world.enqueue("sql.run", json!({ "name": "fine" })).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_draws_what_happened_lately() {
    let Some(mut scene) = Scene::new().await else { return };
    for _ in 0..5 {
        scene.world.enqueue("sql.run", json!({ "name": "fine" })).await;
    }
    let minutes = scene.world.fleet().minutes();
    eventually("all of it is told", async || {
        let (work, vitals) = (minutes.work(Span::Hour).await.unwrap(), minutes.vitals().await.unwrap());
        let done: u64 = work.iter().map(|step| step.done).sum();
        done == 5 && vitals.iter().flat_map(|(_, told)| told).any(|told| told.cpu.is_some())
    })
    .await;
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light")] {
        let step = json!({ "step": "log_in", "token": TOKEN, "width": width, "scheme": scheme });
        scene.browser.step(step).await;
        scene.browser.step(json!({ "step": "see", "text": "done in the last hour" })).await;
        scene.browser.step(json!({ "step": "see", "text": "Processors that are busy" })).await;
        let told = scene.browser.step(json!({ "step": "drawn", "what": "svg.drawing[role=img]" })).await;
        let widths: Vec<u64> = serde_json::from_value(told["found"].clone()).unwrap();
        assert!(widths.len() >= 7 && widths.iter().all(|wide| *wide > 150), "{told}");
        let told = scene.browser.step(json!({ "step": "drawn", "what": "#ran polyline" })).await;
        assert_eq!(told["found"].as_array().unwrap().len(), 3, "{told}");
    }
    // Whoever goes through it by the keyboard stays where he is as it is drawn again.
    let (world, browser) = (&scene.world, &mut scene.browser);
    let told = tokio::select! {
        told = browser.step(json!({ "step": "keeps", "what": "#ran-table > summary" })) => told,
        // It is drawn again as things change, and nothing else does here.
        () = goes_on(world) => unreachable!("it goes on for as long as somebody looks"),
    };
    assert_eq!(told["found"], json!("ran-table"));
    let told = scene.browser.go("/?span=day").await;
    assert!(told["look"]["text"].as_str().unwrap().contains("done in the last day"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_database_is_drawn_once_it_was_looked_at() {
    let Some(mut scene) = Scene::new().await else { return };
    let mut holder = scene.world.pool.begin().await.unwrap();
    let lock = "lock table brasa.care_actions in access exclusive mode";
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let told = scene.browser.step(json!({ "step": "get_in", "token": TOKEN })).await;
    assert_eq!(told["found"], json!(303));

    let told = scene.browser.go("/database").await;

    assert!(told["look"]["text"].as_str().unwrap().contains("is being looked at"), "{told}");
    scene.browser.step(json!({ "step": "see", "text": "Who is connected" })).await;
    let told =
        scene.browser.step(json!({ "step": "drawn", "what": "[data-live], .live:not([hidden])" })).await;
    assert_eq!(told["found"], json!([]), "it shows one moment from then on");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_paused_and_resumed() {
    let Some(mut scene) = Scene::new().await else { return };
    let fleet = scene.world.fleet();
    scene.browser.step(json!({ "step": "log_in", "token": TOKEN })).await;
    scene.browser.go("/schedules").await;
    let told = scene.browser.press("#schedule-nightly", "Pause", Some("the bank is closed")).await;
    assert!(told["look"]["text"].as_str().unwrap().contains("Paused by ann"), "{told}");
    let pause = fleet.paused_schedules().await.unwrap().remove("nightly").unwrap();
    assert_eq!((pause.by.as_str(), pause.reason.as_str(), pause.until), ("ann", "the bank is closed", None));
    scene.browser.press("#schedule-nightly", "Resume", None).await;
    assert!(fleet.paused_schedules().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_is_found_tried_and_deleted() {
    let Some(mut scene) = Scene::new().await else { return };
    for _ in 0..3 {
        scene.world.enqueue("sql.run", json!({ "name": "wrong" })).await;
    }
    eventually("they are dead", async || scene.world.counts().await.dead == 3).await;
    scene.browser.step(json!({ "step": "log_in", "token": TOKEN })).await;
    scene.browser.go("/dead").await;
    scene.browser.step(json!({ "step": "see", "text": "3 × sql.run" })).await;
    // The one that is tried dies again, and the others are left as they are.
    let told = scene.browser.press("section.card", "Try one, then the others", None).await;
    assert!(told["look"]["text"].as_str().unwrap().contains("division by zero"), "{told}");
    assert_eq!(scene.world.counts().await.dead, 3);

    scene.browser.go("/dead").await;
    scene.browser.step(json!({ "step": "see", "text": "3 × sql.run" })).await;
    scene.browser.press("section.card", "Delete all", None).await;
    assert_eq!(scene.world.counts().await.dead, 0);
    scene.browser.step(json!({ "step": "see", "text": "No job is dead." })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_started_and_cancelled_and_schedules_are_run() {
    let Some(mut scene) = Scene::new().await else { return };
    let mut later = scene.world.job("sql.run", &json!({ "name": "fine" }));
    later.due = Some(scene.world.clock.now().as_millisecond() + 3_600_000);
    let mut other = scene.world.job("sql.run", &json!({ "name": "fine" }));
    other.due = later.due;
    for job in [&later, &other] {
        scene.world.queue("default").enqueue(job).await.unwrap();
    }
    scene.browser.step(json!({ "step": "log_in", "token": TOKEN })).await;
    // Whoever writes an id is led to that job.
    let told = scene.browser.go(&format!("/jobs?q={}", later.id)).await;
    assert_eq!(told["path"], json!(format!("/jobs/default/{}", later.id)));
    scene.browser.press("#main", "Start it now", None).await;
    scene.world.is(&later.id, State::Done).await;
    // The page has seen it, too.
    scene.browser.step(json!({ "step": "see", "text": "Ended" })).await;

    scene.browser.go(&format!("/jobs/default/{}", other.id)).await;
    scene.browser.press("#main", "Cancel", Some("not needed")).await;
    scene.world.is(&other.id, State::Done).await;
    let reason = scene.world.show(&other.id).await.outcome.unwrap().reason.unwrap();
    assert!(reason.contains("not needed") && reason.contains("ann"), "{reason}");

    scene.browser.go("/schedules").await;
    scene.browser.press("#schedule-nightly", "Run it now", None).await;
    let done = async || {
        let views = scene.world.queue("default").list(State::Done, 10).await.unwrap();
        views.iter().any(|view| view.schedule.as_deref() == Some("nightly"))
    };
    eventually("the schedule's job is done", done).await;
}
