//! How pages look: none is empty, and each is fine in both themes, on a desk and on a phone.

use brasa_shared::minutes::Span;
use brasa_tests::eventually;
use serde_json::{Value, json};

use super::{Scene, TOKEN};

/// How wide a window is, and which theme is wished for.
const LOOKS: [(u32, &str); 4] = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_fine_in_both_themes_and_on_a_phone() {
    let Some(mut scene) = Scene::full().await else { return };
    has_worked(&scene).await;
    scene.log_in().await;
    // Something was done, and the page of acts is not empty.
    scene.browser.go("/queues").await;
    scene.browser.press("#queue-mail", "Pause", Some("a deploy")).await;
    let jobs = paths_of_jobs(&scene).await;
    for (width, scheme) in LOOKS {
        scene
            .browser
            .step(json!({ "step": "log_in", "token": TOKEN, "width": width, "scheme": scheme }))
            .await;
        let links = scene.browser.step(json!({ "step": "links" })).await["found"].clone();
        let mut links: Vec<String> = serde_json::from_value(links).unwrap();
        assert!(links.len() >= 13, "{links:?}");
        links.extend(["/jobs?state=dead", "/jobs?state=done", "/jobs?state=history"].map(str::to_owned));
        links.extend(jobs.iter().cloned());
        for link in &links {
            let told = scene.browser.go_to_all_of(link).await;
            assert!(told["look"]["title"].as_str().unwrap().ends_with(" · Brasa"), "{told}");
            assert_eq!(told["path"], json!(link.split('?').next()));
            let empty = scene.browser.step(json!({ "step": "drawn", "what": ".nothing" })).await;
            assert_eq!(empty["found"], json!([]), "{link} is empty: {empty}");
        }
    }
    // The first thing that the keyboard reaches leads past the menu.
    scene.browser.go("/queues").await;
    assert_eq!(scene.browser.step(json!({ "step": "keyboard" })).await["found"], json!("A skip"));
}

/// Waits until it is told what was done, and it is written down.
async fn has_worked(scene: &Scene) {
    let minutes = scene.world.fleet().minutes();
    eventually("all of it is told", async || {
        let (work, vitals) = (minutes.work(Span::Hour).await.unwrap(), minutes.vitals().await.unwrap());
        work.iter().any(|step| step.done > 0) && !vitals.is_empty()
    })
    .await;
    eventually("the history has jobs", async || {
        scene.world.rows("select id from brasa.history").await != json!([])
    })
    .await;
}

/// The pages of a job that is dead, of one that is done and of one that waits.
async fn paths_of_jobs(scene: &Scene) -> Vec<String> {
    let mut paths = Vec::new();
    for state in ["dead", "done", "delayed"] {
        let jobs = scene.brasa.run(["jobs", "list", "--state", state, "--json"]).await.json();
        let job: &Value = &jobs[0];
        paths.push(format!(
            "/jobs/default/{}",
            job["id"].as_str().unwrap_or_else(|| panic!("{state}: {jobs}"))
        ));
    }
    paths
}
