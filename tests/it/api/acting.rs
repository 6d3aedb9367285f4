//! What people do through the API: it is written down before it takes effect, and not done where it cannot be.

use brasa_jobs::catalog;
use brasa_shared::queue::State;
use brasa_tests::kinds::kinds;
use brasa_tests::process::Brasa;
use brasa_tests::{Worker, eventually};
use redis::cmd;
use serde_json::{Value, json};

use super::{ADMIN, NARROW, OPERATOR, Scene, VIEWER, scene, whole_scene};

/// What the record of acts says was done, and to what; the latest first.
async fn acts(scene: &Scene) -> Vec<(String, String)> {
    let told = scene.get(VIEWER, "/api/v1/audit").await.with(200).body;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    told["records"].as_array().unwrap().iter().map(|row| (text(row, "action"), text(row, "target"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_stopped_and_started_again_and_it_is_written_down_who_did() {
    let scene = whole_scene().await;
    let world = &scene.world;
    let of = |id: &str, verb: &str| format!("/api/v1/jobs/default/{id}/{verb}");
    let id = world.enqueue("sql.run", json!({ "name": "tick" })).await;
    let said = scene.post(OPERATOR, &of(&id, "cancel"), &json!({ "reason": "a slip" })).await.with(200);
    assert_eq!(said.body, json!({ "id": id, "queue": "default", "outcome": "cancelled" }));
    let seen = scene.get(OPERATOR, &format!("/api/v1/jobs/default/{id}")).await.with(200).body;
    assert_eq!((&seen["ending"], &seen["reason"]), (&json!("cancelled"), &json!("by operator: a slip")));
    assert!(scene.act(OPERATOR, &of(&id, "cancel")).await.with(409).problem().contains("ended already"));
    assert!(scene.act(OPERATOR, &of(&id, "retry")).await.with(409).problem().contains("it is cancelled"));
    let _absent = scene.act(OPERATOR, &of("absent", "cancel")).await.with(404);

    let mut later = world.job("sql.run", &json!({ "name": "tick" }));
    later.due = Some(world.clock.now().as_millisecond() + 3_600_000);
    world.queue("default").enqueue(&later).await.unwrap();
    let begun = scene.act(OPERATOR, &of(&later.id, "retry")).await.with(200);
    assert_eq!(
        (&begun.body["state"], world.state(&later.id).await),
        (&json!("waiting"), Some(State::Waiting))
    );

    let told = scene.get(VIEWER, "/api/v1/audit?limit=1").await.with(200).body;
    let row = &told["records"][0];
    assert_eq!(
        (&row["actor"], &row["role"], &row["action"]),
        (&json!("operator"), &json!("operator"), &json!("job.retry"))
    );
    assert_eq!(begun.header("x-request-id").as_deref(), row["request"].as_str());
    let before = format!("/api/v1/audit?before={}", row["seq"]);
    assert_eq!(scene.get(VIEWER, &before).await.with(200).body["records"][0]["action"], "job.retry");
    assert_eq!(acts(&scene).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_stopped_and_let_go_on() {
    let scene = whole_scene().await;
    let of = |verb: &str| format!("/api/v1/queues/default/{verb}");
    let paused = scene.post(OPERATOR, &of("pause"), &json!({ "reason": "calm" })).await.with(200).body;
    assert_eq!((&paused["paused"]["by"], &paused["paused"]["reason"]), (&json!("operator"), &json!("calm")));
    assert!(scene.world.queue("default").paused().await.unwrap().is_some());
    assert_eq!(scene.act(OPERATOR, &of("resume")).await.with(200).body["paused"], json!(null));
    let closed = scene.act(OPERATOR, &of("close")).await.with(200).body;
    assert_eq!((&closed["closed"]["by"], &closed["closed"]["reason"]), (&json!("operator"), &json!("")));
    assert_eq!(scene.act(OPERATOR, &of("open")).await.with(200).body["closed"], json!(null));
    let said = scene.act(OPERATOR, "/api/v1/queues/absent/pause").await.with(404).problem();
    assert!(said.contains("there is no queue `absent`"), "{said}");
    let names: Vec<String> = acts(&scene).await.into_iter().map(|(action, _)| action).collect();
    assert_eq!(names, ["queue.open", "queue.close", "queue.resume", "queue.pause"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_that_cannot_be_written_down() {
    // It has no database.
    let scene = scene().await;
    let said = scene.act(OPERATOR, "/api/v1/queues/default/pause").await.with(503);
    assert!(said.problem().contains("could not be written down, so it was not done"), "{said:?}");
    assert!(scene.world.queue("default").paused().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_are_listed_by_group_started_again_and_deleted() {
    let scene = whole_scene().await;
    let world = &scene.world;
    let worker = Worker::start(world.settings(kinds(), ""));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.enqueue("test.fail", json!({ "how": "bury" })).await);
    }
    for id in &ids {
        world.is(id, State::Dead).await;
    }
    let _done = worker.drain().await;
    let listed = scene.get(VIEWER, "/api/v1/dead").await.with(200).body;
    let group = listed["groups"][0]["group"].as_str().unwrap();
    assert_eq!(
        (&listed["groups"][0]["kind"], &listed["groups"][0]["count"]),
        (&json!("test.fail"), &json!(3))
    );

    let path = format!("/api/v1/dead/{group}/retry");
    let begun = scene.act(OPERATOR, &path).await.with(200).body;
    assert_eq!(begun, json!({ "group": group, "jobs": 3 }));
    let _gone = scene.act(OPERATOR, &path).await.with(404);
    let worker = Worker::start(world.settings(kinds(), ""));
    for id in &ids {
        world.is(id, State::Dead).await;
    }
    let _done = worker.drain().await;
    let path = format!("/api/v1/dead/{group}/delete");
    assert_eq!(scene.act(ADMIN, &path).await.with(200).body["jobs"], 3);
    eventually("nothing is listed", async || {
        scene.get(VIEWER, "/api/v1/dead").await.with(200).body["groups"] == json!([])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_now() {
    let scene = whole_scene().await;
    let made = scene.act(OPERATOR, "/api/v1/schedules/nightly/run").await.with(201).body;
    let view = scene.world.show(made["id"].as_str().unwrap()).await;
    assert_eq!(view.schedule.as_deref(), Some("nightly"));
    let said = scene.act(OPERATOR, "/api/v1/schedules/absent/run").await.with(404).problem();
    assert!(said.contains("there is no schedule `absent`"), "{said}");
    assert_eq!(acts(&scene).await, [("schedule.run".to_owned(), "nightly".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_paused_and_let_go_on() {
    let scene = whole_scene().await;
    let of = |verb: &str| format!("/api/v1/schedules/nightly/{verb}");
    let nightly =
        async || scene.get(VIEWER, "/api/v1/schedules").await.with(200).body["schedules"][0].clone();
    let _who = scene.act(VIEWER, &of("pause")).await.with(403);
    let paused = scene.post(OPERATOR, &of("pause"), &json!({ "reason": "calm" })).await.with(200).body;
    assert_eq!((&paused["pause"]["by"], &paused["pause"]["reason"]), (&json!("operator"), &json!("calm")));
    let told = nightly().await;
    assert_eq!(
        (&told["pause"], &told["next_ms"], &told["paused"]),
        (&paused["pause"], &json!([]), &json!(false))
    );
    // What is paused can be run all the same.
    let _job = scene.act(OPERATOR, &of("run")).await.with(201);

    let _who = scene.act(VIEWER, &of("resume")).await.with(403);
    assert_eq!(scene.act(OPERATOR, &of("resume")).await.with(200).body["pause"], json!(null));
    assert_eq!(nightly().await["pause"], json!(null));

    let bounded = scene.post(OPERATOR, &of("pause"), &json!({ "for": "36h" })).await.with(200).body;
    let ends = bounded["pause"]["until_ms"].as_i64().unwrap();
    let lasting_ms = ends - bounded["pause"]["at_ms"].as_i64().unwrap();
    assert!((lasting_ms - 36 * 3_600_000).abs() <= 5_000 && ends % 1_000 == 0, "{lasting_ms}");
    assert!(nightly().await["next_ms"][0].as_i64().unwrap() >= ends);
    let until = json!({ "until": "2100-01-01T00:00:00Z" });
    let told = scene.post(OPERATOR, &of("pause"), &until).await.with(200).body;
    assert_eq!(told["pause"]["until_ms"], json!(4_102_444_800_000_i64));
    for wrong in [
        json!({ "for": "0s" }),
        json!({ "for": "soon" }),
        json!({ "until": "2020-01-01T00:00:00Z" }),
        json!({ "for": "1h", "until": "2100-01-01T00:00:00Z" }),
        json!({ "why": "calm" }),
    ] {
        let _refused = scene.post(OPERATOR, &of("pause"), &wrong).await.with(400);
    }
    for verb in ["pause", "resume"] {
        let _absent = scene.act(OPERATOR, &format!("/api/v1/schedules/absent/{verb}")).await.with(404);
    }
    let names: Vec<String> = acts(&scene).await.into_iter().map(|(action, _)| action).collect();
    let (pause, resume) = ("schedule.pause", "schedule.resume");
    assert_eq!(names, [pause, pause, resume, "schedule.run", pause]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_name_that_no_configuration_has_is_told_and_forgotten() {
    let scene = whole_scene().await;
    let _paused = scene.world.fleet().pause_schedule("renamed", "ana", "", None).await.unwrap();
    let forgotten = async || scene.get(VIEWER, "/api/v1/schedules").await.with(200).body["forgotten"].clone();
    assert_eq!(forgotten().await[0]["name"], json!("renamed"));
    let _gone = scene.act(OPERATOR, "/api/v1/schedules/renamed/resume").await.with(200);
    assert_eq!(forgotten().await, json!([]));
    let _gone = scene.act(OPERATOR, "/api/v1/schedules/renamed/resume").await.with(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_cache_are_loaded_and_made_invalid() {
    let scene = whole_scene().await;
    let world = &scene.world;
    world.execute("insert into things select n from generate_series(1, 5) n").await;
    let brasa = Brasa::configured(world, &super::CONFIG.replace("KEY", &world.prefix));
    let worker = brasa.start(["worker"]);
    let narrow = scene.post(NARROW, "/api/v1/cache/warm", &json!({ "warmer": "thing" })).await.with(403);
    assert!(narrow.problem().contains("may not enqueue the kind `cache.warm`"), "{narrow:?}");
    let made = scene.post(OPERATOR, "/api/v1/cache/warm", &json!({ "warmer": "thing" })).await.with(201).body;
    let path =
        format!("/api/v1/jobs/{}/{}/wait", made["queue"].as_str().unwrap(), made["id"].as_str().unwrap());
    let ended = scene.get(OPERATOR, &path).await.with(200).body;
    assert_eq!((&ended["ending"], &ended["result"]["keys"]), (&json!("done"), &json!(5)), "{ended}");
    drop(worker);

    let key = format!("{}:thing:3", world.prefix);
    let there = async || world.redis::<bool>(cmd("EXISTS").arg(&key)).await;
    assert!(there().await);
    let said = scene.post(OPERATOR, "/api/v1/cache/invalidate", &json!({ "key": key })).await.with(200).body;
    assert_eq!((said, there().await), (json!({ "gone": 1 }), false));
    let both = json!({ "tag": "things", "warmer": "thing" });
    let _done = scene.post(OPERATOR, "/api/v1/cache/invalidate", &both).await.with(200);
    for (path, body, status) in [
        ("invalidate", json!({}), 400),
        ("invalidate", json!({ "key": "" }), 400),
        ("invalidate", json!({ "warmer": "absent" }), 404),
        ("warm", json!({ "warmer": "absent" }), 404),
        ("warm", json!({ "warmer": "thing", "only": { "size": "1" } }), 400),
    ] {
        let _refused = scene.post(OPERATOR, &format!("/api/v1/cache/{path}"), &body).await.with(status);
    }
    let names: Vec<String> = acts(&scene).await.into_iter().map(|(action, _)| action).collect();
    assert_eq!(names, ["cache.invalidate", "cache.invalidate", "cache.warm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn recommendations_are_dismissed_with_a_reason_and_reopened() {
    let scene = whole_scene().await;
    scene.world.execute("create table no_key (n int)").await;
    let review = scene.world.job("db.review", &json!({}));
    scene.world.queue("default").enqueue(&review).await.unwrap();
    let worker = Worker::start(scene.world.settings(catalog(), ""));
    eventually("the review has ended", async || scene.world.state(&review.id).await == Some(State::Done))
        .await;
    let _done = worker.drain().await;
    let list = async |asked: &str| {
        let told = scene.get(VIEWER, &format!("/api/v1/recommendations{asked}")).await.with(200).body;
        told["recommendations"].as_array().unwrap().clone()
    };
    let no_key = list("").await.into_iter().find(|one| one["object"].to_string().contains("no_key")).unwrap();
    let print = no_key["fingerprint"].as_str().unwrap().to_owned();
    let of = |verb: &str| format!("/api/v1/recommendations/{print}/{verb}");
    let _who = scene.act(OPERATOR, &of("dismiss")).await.with(403);
    let said = scene.act(ADMIN, &of("dismiss")).await.with(400).problem();
    assert!(said.contains("a reason is needed"), "{said}");
    let _done = scene.post(ADMIN, &of("dismiss"), &json!({ "reason": "a log" })).await.with(200);
    assert!(!list("").await.iter().any(|one| one["fingerprint"] == print));
    let all = list("?all=true").await;
    let dismissed = all.iter().find(|one| one["fingerprint"] == print).unwrap();
    assert_eq!(dismissed["dismissed"]["why"], "a log");
    assert_eq!(dismissed["dismissed"]["by"], "admin");
    let _done = scene.act(ADMIN, &of("reopen")).await.with(200);
    assert!(list("").await.iter().any(|one| one["fingerprint"] == print));
    let _absent = scene.act(ADMIN, "/api/v1/recommendations/absent/reopen").await.with(404);
}
