//! What others planted in jobs is text, on every page.

use brasa_shared::queue::State;
use brasa_tests::eventually;
use serde_json::json;

use super::sowing::segment;
use super::{Scene, TOKEN};

/// What runs somewhere if it is not text: each marks the page, or sets `planted`.
pub(super) fn plants() -> Vec<String> {
    const RUN: &str = "window.planted=1";
    let events = ["onerror", "onload", "onfocus", "onmouseover", "ontoggle", "onbegin", "onanimationstart"];
    let tags = [
        "img src=x",
        "svg",
        "body",
        "input autofocus",
        "details open",
        "video src=x",
        "iframe src=x",
        "a href=x",
    ];
    let mut plants: Vec<String> = Vec::new();
    for tag in tags {
        for event in events {
            plants.push(format!("<{tag} data-planted {event}=\"{RUN}\">"));
        }
    }
    for open in ["", "'", "\"", "`", "-->", "]]>", "</title>", "</textarea>", "</pre>", "</code>", "\u{0}"] {
        for more in [
            "<script data-planted>window.planted=1</script>",
            "<svg/onload=window.planted=1 data-planted>",
            "<a data-planted href=\"javascript:window.planted=1\">x</a>",
            "<math data-planted><mi xlink:href=\"data:x,<script>window.planted=1</script>\">",
            "<style data-planted>*{color:red}</style>",
            "<meta data-planted http-equiv=refresh content=\"0;url=javascript:window.planted=1\">",
            "<base data-planted href=//evil.example/>",
            "<form data-planted action=//evil.example><button>x",
        ] {
            plants.push(format!("{open}{more}"));
        }
    }
    plants.extend(
        [
            "{{7*7}}",
            "${window.planted=1}",
            "&lt;script&gt;",
            "%3Cscript%3E",
            "\\u003cscript\\u003e",
            "+ADw-script+AD4-",
        ]
        .map(ToOwned::to_owned),
    );
    assert!(plants.len() >= 150, "{}", plants.len());
    plants
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planted_in_jobs_is_text_on_every_page() {
    let Some(mut scene) = Scene::new().await else { return };
    let plants = plants();
    let queue = scene.world.queue("default");
    let mut ids = Vec::new();
    for (place, plant) in plants.iter().enumerate() {
        // As an argument, a share key, and in what is said of it when it fails.
        let mut job = scene.world.job("sql.run", &json!({ "name": plant, "more": { plant: plant } }));
        // A key has no spaces, and HTML takes a slash for one.
        let share: String =
            plant.replace(' ', "/").chars().filter(char::is_ascii_graphic).take(100).collect();
        job.share = Some(share);
        if place % 2 == 0 {
            job.due = Some(scene.world.clock.now().as_millisecond() + 3_600_000);
        }
        queue.enqueue(&job).await.unwrap();
        ids.push(job.id);
        // And as something that can be no job at all.
        let mut push = redis::cmd("RPUSH");
        push.arg(&queue.keys().inbox).arg(plant);
        let _length: u64 = scene.store().run("plant", &push).await.unwrap();
    }
    queue.pause(&plants[0], &plants[60]).await.unwrap();
    scene.world.queue("mail").close(&plants[1], &plants[70]).await.unwrap();
    queue.resume().await.unwrap();
    queue.pause(&plants[2], &plants[80]).await.unwrap();
    let dead = async || scene.world.counts().await.dead >= plants.len() as u64;
    eventually("what can be no job is in the dead letter", dead).await;

    scene.browser.step(json!({ "step": "log_in", "token": TOKEN })).await;
    let links = scene.browser.step(json!({ "step": "links" })).await["found"].clone();
    for link in serde_json::from_value::<Vec<String>>(links).unwrap() {
        scene.browser.go(&link).await;
    }
    for state in ["waiting", "delayed", "dead", "done", ""] {
        let told = scene.browser.go(&format!("/jobs?state={state}&limit=200")).await;
        if state == "delayed" {
            assert!(told["look"]["text"].as_str().unwrap().contains("data-planted"), "{told}");
        }
    }
    let mut jobs = ids.iter().step_by(9).cloned().collect::<Vec<_>>();
    jobs.extend(queue.list(State::Dead, 20).await.unwrap().into_iter().map(|view| view.id));
    for id in jobs {
        let told = scene.browser.go(&format!("/jobs?q={id}")).await;
        assert!(told["path"].as_str().unwrap().starts_with("/jobs/default/"), "{told}");
    }
    // What is looked for is planted by whoever made the link.
    for plant in plants.iter().step_by(10).filter(|plant| plant.len() < 200 && !plant.contains('\0')) {
        let encoded = segment(plant);
        scene.browser.go(&format!("/jobs?q={encoded}&kind={encoded}")).await;
    }
}
