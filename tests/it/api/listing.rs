//! What is listed: jobs, queues, schedules, workers.

use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, eventually};
use serde_json::json;

use super::{OPERATOR, VIEWER, scene};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_by_queue_kind_and_state_and_no_more_than_is_asked_for() {
    let scene = scene().await;
    for n in 0..3 {
        let _job = scene.world.enqueue("sql.run", json!({ "name": "tick", "n": n })).await;
        let _job = scene.world.enqueue("test.echo", json!({})).await;
    }
    let mut later = scene.world.job("sql.run", &json!({ "name": "tick" }));
    later.due = Some(scene.world.clock.now().as_millisecond() + 3_600_000);
    scene.world.queue("default").enqueue(&later).await.unwrap();

    for (asked, number) in [
        ("", 7),
        ("?limit=2", 2),
        ("?kind=sql.run", 4),
        ("?kind=sql.run&limit=1", 1),
        ("?state=waiting", 6),
        ("?state=delayed&kind=sql.run&queue=default", 1),
        ("?queue=small", 0),
        ("?state=done", 0),
    ] {
        let listed = scene.get(OPERATOR, &format!("/api/v1/jobs{asked}")).await.with(200).body;
        assert_eq!(listed["jobs"].as_array().unwrap().len(), number, "{asked}: {listed}");
    }
    for (asked, status) in [
        ("?limit=0", 400),
        ("?limit=201", 400),
        ("?limit=-1", 400),
        ("?state=gone", 400),
        ("?what=else", 400),
        ("?limit=1&limit=2", 400),
        ("?queue=absent", 404),
        ("?since=yesterday", 400),
        ("?after=default", 400),
        ("?after=default/gone/1", 400),
        ("?after=default/waiting/100000", 400),
    ] {
        let _refused = scene.get(OPERATOR, &format!("/api/v1/jobs{asked}")).await.with(status);
    }
    let _refused = scene.get(OPERATOR, "/api/v1/jobs/default/%ff").await.with(400).problem();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_where_to_go_on_until_every_job_was_on_one_page() {
    let scene = scene().await;
    for n in 0..5 {
        let _job = scene.world.enqueue("sql.run", json!({ "name": "tick", "n": n })).await;
    }
    let mut later = scene.world.job("sql.run", &json!({ "name": "tick" }));
    later.due = Some(scene.world.clock.now().as_millisecond() + 3_600_000);
    later.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    scene.world.queue("small").enqueue(&later).await.unwrap();

    let (mut after, mut seen) = (String::new(), Vec::new());
    for _ in 0..3 {
        let listed = scene.get(OPERATOR, &format!("/api/v1/jobs?limit=2{after}")).await.with(200).body;
        seen.extend(listed["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()));
        after = listed["next"].as_str().map(|next| format!("&after={next}")).unwrap_or_default();
    }
    assert_eq!((seen.len(), seen[5].as_str(), after.as_str()), (6, Some(later.id.as_str()), ""));
    seen.dedup();
    assert_eq!(seen.len(), 6);

    for (asked, number) in
        [("since=1h", 6), ("until=1h", 0), ("since=1h&until=0s", 5), ("text=TICK&limit=3", 3)]
    {
        let listed = scene.get(OPERATOR, &format!("/api/v1/jobs?{asked}")).await.with(200).body;
        assert_eq!(listed["jobs"].as_array().unwrap().len(), number, "{asked}: {listed}");
    }
    // Arguments are nothing that a viewer could guess word by word.
    let listed = scene.get(VIEWER, "/api/v1/jobs?text=tick").await.with(200).body;
    assert_eq!((&listed["jobs"], &listed["looked_at"]), (&json!([]), &json!(6)));
    let shown = scene.get(VIEWER, &format!("/api/v1/jobs/small/{}", later.id)).await.with(200).body;
    assert_eq!(shown["trace"].as_str(), later.trace.as_deref());
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_schedules_and_workers_are_listed() {
    let scene = scene().await;
    let _job = scene.world.enqueue("sql.run", json!({ "name": "tick" })).await;
    let _worker = Worker::start(scene.world.settings(kinds(), ""));
    let listed = scene.get(VIEWER, "/api/v1/queues").await.with(200).body;
    let queues = listed["queues"].as_array().unwrap();
    let default = queues.iter().find(|queue| queue["name"] == "default").unwrap();
    assert_eq!((&default["waiting"], &default["paused"]), (&json!(1), &json!(null)), "{default}");
    assert_eq!(default["waiting_by_class"], json!({ "sql.run": 1 }));
    assert!(queues.iter().any(|queue| queue["name"] == "small"));

    let listed = scene.get(VIEWER, "/api/v1/schedules").await.with(200).body;
    let nightly = &listed["schedules"][0];
    assert_eq!(
        (&nightly["name"], &nightly["when"], &nightly["zone"]),
        (&json!("nightly"), &json!("0 3 * * *"), &json!("UTC"))
    );
    assert_eq!(nightly["next_ms"].as_array().unwrap().len(), 3);

    eventually("the worker is listed", async || {
        let listed = scene.get(VIEWER, "/api/v1/workers").await.with(200).body;
        listed["workers"][0]["classes"].as_array().is_some_and(|all| all.contains(&json!("test.echo")))
    })
    .await;
}
