//! Jobs that are followed: looked at and waited for, by those who may see what they are about.

use std::time::{Duration, Instant};

use brasa_jobs::history::Book;
use brasa_shared::queue::{Ended, Ending, State};
use brasa_tests::Worker;
use brasa_tests::kinds::{at_the_gate, kinds, open_the_gate};
use serde_json::json;

use super::{CLERK, OPERATOR, VIEWER, scene, whole_scene};

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_job_is_waited_for_and_told_at_once() {
    let scene = scene().await;
    let world = &scene.world;
    let _worker = Worker::start(world.settings(kinds(), ""));
    let id = world.enqueue("test.gate", at_the_gate(world)).await;
    world.is(&id, State::Running).await;
    let path = format!("/api/v1/jobs/default/{id}/wait");

    let begun = Instant::now();
    let running = scene.get(OPERATOR, &format!("{path}?timeout=300ms")).await.with(200);
    assert_eq!((&running.body["state"], &running.body["ending"]), (&json!("running"), &json!(null)));
    assert!(begun.elapsed() >= Duration::from_millis(300));

    let (path, begun) = (format!("{path}?timeout=60s"), Instant::now());
    let (ended, ()) = tokio::join!(scene.get(OPERATOR, &path), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        open_the_gate(world).await;
    });
    let ended = ended.with(200);
    assert_eq!((&ended.body["state"], &ended.body["ending"]), (&json!("done"), &json!("done")));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());

    for (timeout, why) in [("61s", "too long"), ("soon", "is not a duration")] {
        let path = format!("/api/v1/jobs/default/{id}/wait?timeout={timeout}");
        assert!(scene.get(OPERATOR, &path).await.with(400).problem().contains(why));
    }
    let said = scene.get(OPERATOR, "/api/v1/jobs/default/absent/wait").await.with(404).problem();
    assert!(said.contains("no queue knows the job `absent`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_is_about_is_seen_by_operators_and_by_whoever_may_enqueue_it() {
    let scene = scene().await;
    let world = &scene.world;
    let _worker = Worker::start(world.settings(kinds(), ""));
    let echo = world.enqueue("test.echo", json!({ "card": 4_711 })).await;
    world.is(&echo, State::Done).await;
    let other = world.enqueue("sql.run", json!({ "name": "tick", "card": 4_711 })).await;
    let of = |id: &str| format!("/api/v1/jobs/default/{id}");

    for token in [OPERATOR, CLERK] {
        let seen = scene.get(token, &of(&echo)).await.with(200).body;
        assert_eq!(seen["args"], json!({ "card": 4_711 }));
        assert!(seen["result"].to_string().contains("4711"), "{seen}");
        assert!(seen["log"].is_array());
    }
    for path in [
        of(&echo),
        of(&other),
        format!("{}/wait?timeout=0s", of(&echo)),
        "/api/v1/jobs?state=done".to_owned(),
    ] {
        let seen = scene.get(VIEWER, &path).await.with(200).body.to_string();
        assert!(!seen.contains("4711") && !seen.contains("\"args\""), "{seen}");
    }
    // For whoever may not enqueue it, it is as if there were none.
    for path in [of(&other), format!("{}/wait", of(&other))] {
        let said = scene.get(CLERK, &path).await.with(404).problem();
        assert!(said.contains("no queue knows the job"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_its_queue_forgot_is_told_of_as_the_history_has_it() {
    let scene = whole_scene().await;
    let now = scene.world.clock.now();
    let at_ms = now.as_millisecond() - 3_600_000;
    let ended = Ended {
        id: "gone-1".to_owned(),
        kind: "sql.run".to_owned(),
        ending: Ending::Dead,
        enqueued_ms: at_ms - 20,
        started_ms: at_ms - 10,
        ended_ms: at_ms,
        took_ms: 10,
        attempt: 2,
        worker: "me".to_owned(),
        schedule: None,
        share: None,
        reason: Some("it is gone".to_owned()),
        result: None,
        args: Some(r#"{"card":4711}"#.to_owned()),
        trace: None,
    };
    let mut connection = scene.world.pool.acquire().await.unwrap();
    let mut book = Book::keeping(Duration::from_hours(30 * 24));
    assert_eq!(book.write(&mut connection, "default", &[ended], now).await.unwrap().rows, 1);

    for path in ["/api/v1/jobs/default/gone-1", "/api/v1/jobs/default/gone-1/wait"] {
        let told = scene.get(OPERATOR, path).await.with(200).body;
        assert_eq!((&told["state"], &told["ending"]), (&json!("dead"), &json!("dead")), "{told}");
        assert_eq!((&told["reason"], &told["args"]), (&json!("it is gone"), &json!({ "card": 4_711 })));
        // Whoever only looks is told less, and whoever may not enqueue it nothing.
        assert_eq!(scene.get(VIEWER, path).await.with(200).body["args"], json!(null));
        let _absent = scene.get(CLERK, path).await.with(404);
    }
    let _absent = scene.get(OPERATOR, "/api/v1/jobs/small/gone-1").await.with(404);
}
