//! What people do is written down before it takes effect.

use brasa_tests::process::Brasa;
use serde_json::json;

use super::{Scene, status};

fn post(scene: &Scene, role: &str, path: &str, body: &str) -> reqwest::RequestBuilder {
    let request =
        scene.as_role(role, "POST", path).header("content-type", "application/x-www-form-urlencoded");
    request.body(body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_is_one_row_with_how_it_stood_before() {
    let scene = Scene::new().await;
    assert_eq!(status(post(&scene, "operator", "/queues/default/pause", "reason=deploy")).await, 303);
    assert_eq!(status(post(&scene, "operator", "/queues/default/resume", "")).await, 303);
    // What was not allowed, and what there is not, leaves none.
    assert_eq!(status(post(&scene, "viewer", "/queues/default/pause", "reason=")).await, 403);
    assert_eq!(status(post(&scene, "operator", "/queues/nowhere/pause", "reason=")).await, 404);

    let brasa = Brasa::configured(&scene.world, "");
    let rows = brasa.run(["audit", "list", "--json"]).await.with_code(0).json();
    let told: Vec<_> = rows.as_array().unwrap().iter().rev().collect();
    assert_eq!(told.len(), 2, "{rows}");
    assert_eq!((&told[0]["action"], &told[0]["actor"]), (&json!("queue.pause"), &json!("operator")));
    assert!(told[0]["detail"].as_str().unwrap().contains("\"reason\": \"deploy\""), "{rows}");
    assert!(told[1]["detail"].as_str().unwrap().contains("\"by\": \"operator\""), "{rows}");
    assert_eq!(brasa.run(["audit", "verify", "--json"]).await.with_code(0).json()["broken"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_down_is_not_done() {
    let scene = Scene::new().await;
    scene.world.execute("alter table brasa.audit rename to away").await;
    let answer = post(&scene, "operator", "/queues/default/pause", "reason=").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    assert!(answer.text().await.unwrap().contains("so it was not done"));
    assert!(scene.world.queue("default").paused().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_or_taken_out_is_found() {
    let scene = Scene::new().await;
    for verb in ["pause", "resume", "pause", "resume", "close", "open"] {
        assert_eq!(
            status(post(&scene, "operator", &format!("/queues/default/{verb}"), "reason=")).await,
            303
        );
    }
    let brasa = Brasa::configured(&scene.world, "");
    let broken = async || brasa.run(["audit", "verify", "--json"]).await.json_anyway()["broken"].clone();
    assert_eq!(broken().await, json!(null));
    scene.world.execute("update brasa.audit set actor = 'somebody' where seq = 3").await;
    assert_eq!(broken().await, json!(3));
    scene.world.execute("update brasa.audit set actor = 'operator' where seq = 3").await;
    assert_eq!(broken().await, json!(null));
    scene.world.execute("delete from brasa.audit where seq = 4").await;
    assert_eq!(broken().await, json!(5));
    drop(brasa.run(["audit", "verify"]).await.with_code(1));
}
