//! What people see of the outbox, and what they can do about it.

use brasa_shared::queue::State;
use brasa_tests::eventually;
use brasa_tests::process::{Brasa, within};
use serde_json::json;
use std::time::Duration;

use super::{BUSY, Scene, count, enqueue};

/// A row that no caller of `brasa.enqueue` can make.
async fn put_a_bad_row(scene: &Scene, id: &str) {
    let sql = "insert into brasa.outbox (id, kind, kv, args, queue, priority)
               values ($1, 'test.echo', 0, '{}', 'default', 5)";
    sqlx::query(sql).bind(id).execute(scene.pool()).await.unwrap();
}

#[tokio::test]
async fn a_row_that_can_be_no_job_is_put_aside_with_the_reason_and_the_others_go_on() {
    let scene = Scene::new().await;
    put_a_bad_row(&scene, "bad-1").await;
    put_a_bad_row(&scene, "bad-2").await;
    let good = enqueue(scene.pool(), "test.echo", &json!({})).await;
    let worker = scene.worker(BUSY);
    scene.world.is(&good, State::Done).await;
    eventually("only the bad ones are left", async || scene.rows().await == 2).await;

    let brasa = Brasa::in_world(&scene.world);
    let status = brasa.run(["outbox", "status", "--json"]).await.json();
    assert_eq!((&status["waiting"], &status["open"], &status["refused"]), (&json!(0), &json!(0), &json!(2)));
    let reason = status["refused_rows"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("count from 1"), "{reason}");
    let shown = brasa.run(["outbox", "status"]).await.with_code(0).stdout;
    assert!(shown.contains("2 row(s) were refused") && shown.contains("bad-1"), "{shown}");

    sqlx::query("update brasa.outbox set kv = 1 where id = 'bad-1'").execute(scene.pool()).await.unwrap();
    let retried = brasa.run(["outbox", "retry", "bad-1", "--json"]).await.json();
    assert_eq!(retried, json!({ "retry": ["bad-1"], "unchanged": [] }));
    scene.world.is("bad-1", State::Done).await;
    let refused = brasa.run(["outbox", "delete", "bad-2"]).await.with_code(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let deleted = brasa.run(["outbox", "delete", "bad-2", "bad-1", "--yes"]).await.with_code(1);
    assert!(deleted.stdout.contains("1 row(s) deleted"), "{deleted:?}");
    assert!(deleted.stdout.contains("bad-1 was left as it is"), "{deleted:?}");
    scene.is_empty().await;
    worker.drain().await;
}

#[tokio::test]
async fn rows_that_wait_are_counted_by_queue_with_the_age_of_the_oldest() {
    let scene = Scene::new().await;
    let put = "select count(brasa.enqueue('test.echo', queue => 'low')) from generate_series(1, 3)";
    count(scene.pool(), put).await;
    enqueue(scene.pool(), "test.echo", &json!({})).await;
    let older = "update brasa.outbox set enqueued_at = enqueued_at - interval '1 hour'";
    sqlx::query(older).execute(scene.pool()).await.unwrap();

    let brasa = Brasa::in_world(&scene.world);
    let status = brasa.run(["outbox", "status", "--json"]).await.json();

    assert_eq!(status["waiting_by_queue"], json!({ "default": 1, "low": 3 }));
    assert!(status["oldest_waiting_ms"].as_i64().unwrap() >= 3_600_000, "{status}");
    let shown = brasa.run(["outbox", "status"]).await.with_code(0).stdout;
    assert!(shown.contains("4 row(s) wait to be pushed into Redis, the oldest for 60 min"), "{shown}");
}

#[tokio::test]
async fn a_worker_that_drains_runs_what_was_committed_before_it_began() {
    let scene = Scene::new().await;
    let sql = "[sql.nothing]\nsql = \"select 1\"\n";
    let args = json!({ "name": "nothing" });
    for _ in 0..3 {
        enqueue(scene.pool(), "sql.run", &args).await;
    }

    let drained = Brasa::configured(&scene.world, sql).run(["worker", "--drain", "--json"]).await.json();

    assert_eq!(drained, json!({ "done": 3, "failed": 0 }));
    assert_eq!(scene.rows().await, 0);
}

#[tokio::test]
async fn a_database_without_the_table_is_told_once_and_harms_nobody() {
    let world = brasa_tests::World::new().await;
    let brasa = Brasa::configured(&world, "[sql.nothing]\nsql = \"select 1\"\n");
    let mut worker = brasa.start(["worker"]);
    let told = async || worker.log().matches("run `brasa migrate`").count();
    within(Duration::from_secs(20), "it is told", async || (told().await > 0).then_some(())).await;

    let id = world.enqueue("sql.run", json!({ "name": "nothing" })).await;
    world.is(&id, State::Done).await;

    assert_eq!(told().await, 1, "{}", worker.log());
    assert!(worker.is_running());
    let status = brasa.run(["outbox", "status"]).await.with_code(1);
    assert!(status.stderr.contains("run `brasa migrate`"), "{status:?}");
}

#[tokio::test]
async fn a_worker_whose_outbox_is_switched_off_relays_nothing_and_says_nothing() {
    let scene = Scene::new().await;
    let row = enqueue(scene.pool(), "sql.run", &json!({ "name": "nothing" })).await;
    let config = "[outbox]\nenabled = false\n[sql.nothing]\nsql = \"select 1\"\n";

    let drained = Brasa::configured(&scene.world, config).run(["worker", "--drain", "--json"]).await;

    assert!(!drained.stderr.contains("outbox"), "{drained:?}");
    assert_eq!(drained.json(), json!({ "done": 0, "failed": 0 }));
    assert_eq!((scene.world.state(&row).await, scene.rows().await), (None, 1));
}
