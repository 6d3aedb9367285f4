//! `brasa aggregates`, as a person or a script uses it, and the kinds of job.

use brasa_tests::eventually;
use brasa_tests::process::{Brasa, http_get};
use serde_json::json;

use super::{CONFIG, NAMES, scene, settled, start};

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_is_planned_installed_built_compared_shown_and_removed() {
    let world = scene().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let plan = brasa.run(["aggregates", "plan", "peaks"]).await.with_code(0).stdout;
    assert!(plan.contains("not installed") && plan.contains("for buyers, least, p90, top"), "{plan}");
    assert!(plan.contains("create trigger") && plan.contains("set local lock_timeout"), "{plan}");

    let status = brasa.run(["aggregates", "status"]).await.with_code(0).stdout;
    assert!(status.contains("not installed"), "{status}");
    let early = brasa.run(["aggregates", "show", "daily"]).await.with_code(1).stderr;
    assert!(early.contains("run `brasa aggregates install daily`"), "{early}");

    let installed = brasa.run(["aggregates", "install"]).await.with_code(0).stdout;
    assert!(installed.contains("Read it as brasa.\"agg_daily\""), "{installed}");
    let again = brasa.run(["aggregates", "install", "daily", "--json"]).await.with_code(0).json();
    assert_eq!(again["aggregates"][0]["was"], "installed");
    for name in NAMES {
        let built = brasa.run(["aggregates", "backfill", name, "--json"]).await.with_code(0).json();
        assert!(built["groups"].as_i64().unwrap() > 10, "{built}");
    }
    let checked = brasa.run(["aggregates", "check", "peaks"]).await.with_code(0).stdout;
    assert!(checked.contains("groups are what the source says"), "{checked}");

    let shown = brasa.run(["aggregates", "show", "daily", "--limit", "3"]).await.with_code(0).stdout;
    assert!(
        shown.starts_with("BUCKET") && shown.contains("REVENUE") && shown.lines().count() == 4,
        "{shown}"
    );
    // A day is one of its zone, whatever time in it is named.
    for time in
        ["2026-03-05 05:00Z", "2026-03-05", "2026-03-05 23:59", "2026-03-05 02:00 AM", "2026-03-06T00:00-05"]
    {
        let args = ["aggregates", "show", "daily", "--bucket", time, "--json"];
        let one = brasa.run(args).await.with_code(0).json();
        let (groups, bucket) = (one["groups"].as_array().unwrap().len(), &one["groups"][0]["bucket"]);
        let day = if time.starts_with("2026-03-06") { "2026-03-06" } else { "2026-03-05" };
        assert!(groups == 4 && bucket.as_str().unwrap().starts_with(day), "{time}: {one}");
    }
    let endless = ["aggregates", "show", "daily", "--bucket", "infinity"];
    let endless = brasa.run(endless).await.with_code(2).stderr;
    assert!(endless.contains("there is no bucket at the end of time"), "{endless}");

    world
        .execute("set session_replication_role = replica; delete from sales where id = 1000; reset session_replication_role")
        .await;
    let wrong = brasa.run(["aggregates", "check", "peaks"]).await.with_code(1).stdout;
    assert!(wrong.contains("instead of") && wrong.contains("--repair"), "{wrong}");
    let status = brasa.run(["aggregates", "status", "--json"]).await.with_code(0).json();
    let peaks = status["aggregates"].as_array().unwrap().iter().find(|one| one["name"] == "peaks").unwrap();
    assert_eq!((peaks["state"].as_str(), peaks["wrong"].as_i64()), (Some("live"), Some(1)));

    let asked = brasa.run(["aggregates", "remove", "peaks"]).await.with_code(2).stderr;
    assert!(asked.contains("--yes"), "{asked}");
    let _done = brasa.run(["aggregates", "remove", "peaks", "--yes"]).await.with_code(0);
    let left = world.rows("select count(*) as n from pg_class where relname like 'agg_peaks%'").await;
    assert_eq!(left, json!([{ "n": 0 }]));
    let none = brasa.run(["aggregates", "remove", "peaks", "--yes"]).await.with_code(2).stderr;
    assert!(none.contains("is not installed"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_are_refreshed_built_and_compared_by_jobs_too() {
    let world = scene().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let missing = world.enqueue("aggregate.refresh", json!({ "name": "daily" })).await;
    // Only the kinds are at work here: keepers are not.
    let worker = brasa_tests::Worker::start(world.settings(brasa_jobs::catalog(), CONFIG));
    assert!(world.buried(&missing).await.contains("is not installed"), "a person has to install it");
    let _done = brasa.run(["aggregates", "install"]).await.with_code(0);
    for name in NAMES {
        let built = world.enqueue("aggregate.backfill", json!({ "name": name })).await;
        assert!(world.result(&built).await["groups"].as_i64().unwrap() > 10);
    }
    world.execute("insert into sales (at, shop, kind, units) values ('2026-03-05Z', 'a', 1, 1)").await;
    let refreshed = world.enqueue("aggregate.refresh", json!({ "name": "daily" })).await;
    assert_eq!(world.result(&refreshed).await, json!({ "rows": 1, "published": 0 }));
    let checked = world.enqueue("aggregate.check", json!({ "name": "peaks", "repair": true })).await;
    let checked = world.result(&checked).await;
    assert_eq!((checked["wrong"].as_i64(), checked["is_repaired"].as_bool()), (Some(0), Some(false)));
    let unknown = brasa
        .run(["enqueue", "aggregate.check", "--args", "{\"name\": \"dayly\"}"])
        .await
        .with_code(2)
        .stderr;
    assert!(unknown.contains("did you mean `daily`?"), "{unknown}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_worker_tells_of_wrong_groups_until_somebody_repairs_them() {
    let world = scene().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let _done = brasa.run(["aggregates", "install", "daily"]).await.with_code(0);
    let worker = brasa.start(["worker", "--listen", "127.0.0.1:0"]);
    let address = worker.address().await;
    let told = async |count: u32| {
        let line = format!("brasa_aggregate_wrong_groups{{aggregate=\"daily\"}} {count}\n");
        eventually(&line, async || http_get(address, "/metrics").await.unwrap().1.contains(&line)).await;
    };
    settled(&world, "daily").await;
    told(0).await;
    world
        .execute("set session_replication_role = replica; delete from sales where id = 1000; reset session_replication_role")
        .await;

    let _wrong = brasa.run(["aggregates", "check", "daily"]).await.with_code(1);
    told(1).await;
    let repaired = brasa.run(["aggregates", "check", "daily", "--repair"]).await.with_code(0).stdout;
    assert!(repaired.contains("1 of") && repaired.contains("are computed again"), "{repaired}");
    told(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_what_does_not_fit_before_anything_is_installed() {
    let world = scene().await;
    let text = CONFIG.replace("time = \"at\"\ntz", "time = \"att\"\ntz");
    let found = Brasa::configured(&world, &text).run(["check"]).await.with_code(2).stdout;
    assert!(found.contains("aggregates.daily.time: the source has no column `att`"), "{found}");
    let worker = start(&world, CONFIG);
    let _done = brasa_tests::process::Brasa::configured(&world, CONFIG)
        .run(["aggregates", "install", "daily"])
        .await
        .with_code(0);
    settled(&world, "daily").await;
    worker.drain().await;
}
