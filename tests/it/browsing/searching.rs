//! Whoever looks for a job types what is known of it.

use brasa_tests::eventually;
use redis::cmd;
use serde_json::{Value, json};

use super::Scene;

/// Which of these jobs a page shows.
fn shown(told: &Value, jobs: &[String]) -> Vec<usize> {
    let text = told["look"]["text"].as_str().unwrap();
    (0..jobs.len()).filter(|place| text.contains(&jobs[*place])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_by_what_is_typed_and_chosen() {
    let Some(mut scene) = Scene::new().await else { return };
    let world = &scene.world;
    let mut jobs = Vec::new();
    for name in ["wrong", "wrong", "nobody-knows-it"] {
        jobs.push(world.enqueue("sql.run", json!({ "name": name })).await);
    }
    let mut later = world.job("db.review", &json!({}));
    later.due = Some(world.clock.now().as_millisecond() + 3_600_000);
    world.queue("default").enqueue(&later).await.unwrap();
    jobs.push(later.id);
    eventually("they are dead", async || world.counts().await.dead == 3).await;
    // The second one died three hours ago.
    let then_ms = world.clock.now().as_millisecond() - 3 * 3_600_000;
    let dead = world.queue("default").keys().dead.clone();
    world.redis::<u64>(cmd("ZADD").arg(dead).arg("XX").arg("CH").arg(then_ms).arg(&jobs[1])).await;
    scene.log_in().await;
    scene.browser.go("/jobs").await;

    for (fields, found) in [
        (json!({ "q": "DIVISION by zero", "kind": "sql.run", "state": "dead", "since": "1h" }), vec![0]),
        (json!({ "q": "division by zero", "kind": "sql.run", "state": "dead", "since": "" }), vec![0, 1]),
        (json!({ "q": "nobody-knows", "kind": "", "state": "", "since": "" }), vec![2]),
        (json!({ "q": "", "kind": "", "state": "dead", "since": "", "until": "2h" }), vec![1]),
        (json!({ "q": "", "kind": "db.review", "state": "delayed", "since": "", "until": "" }), vec![3]),
        (json!({ "q": "division by zero", "kind": "db.review", "state": "" }), vec![]),
    ] {
        let told = scene.browser.send("#main", "Search", fields.clone()).await;
        assert_eq!(told["path"], json!("/jobs"));
        assert_eq!(shown(&told, &jobs), found, "{fields}: {told}");
    }
    // Whoever types an id is led to that job.
    let id = json!({ "q": jobs[1], "kind": "", "state": "" });
    let told = scene.browser.send("#main", "Search", id).await;
    assert_eq!(told["path"], json!(format!("/jobs/default/{}", jobs[1])));
}
