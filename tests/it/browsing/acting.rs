//! The buttons that need something to act upon: a cache, aggregates, rows that could not be written, a database that
//! wants care, and jobs that died of what was mended meanwhile.

use brasa_shared::queue::{Ending, State};
use brasa_tests::eventually;
use serde_json::{Value, json};

use super::{Scene, TOKEN};

impl Scene {
    /// Presses a button that starts a job, which is done then, and was shown; what it returned.
    async fn starts(&mut self, within: &str, button: &str, kind: &str) -> Value {
        let told = self.browser.press(within, button, None).await;
        let id = told["path"].as_str().unwrap().strip_prefix("/jobs/default/");
        let id = id.unwrap_or_else(|| panic!("{button}: {told}")).to_owned();
        let result = self.world.result(&id).await;
        assert_eq!(self.world.show(&id).await.kind, kind);
        self.browser.see("Ended").await;
        result
    }

    /// Waits until these jobs have ended well.
    async fn are_done(&self, ids: &[String]) {
        for id in ids {
            self.world.is(id, State::Done).await;
            assert_eq!(self.world.show(id).await.outcome.unwrap().ending, Ending::Done);
        }
    }

    /// Opens the dead letter until this is in it: a count of it is good enough for some seconds.
    async fn opens_dead_with(&mut self, text: &str) {
        eventually("they are counted", async || {
            let told = self.browser.go_to_all_of("/dead").await;
            told["look"]["text"].as_str().unwrap().contains(text)
        })
        .await;
    }

    /// What was done, in order.
    async fn acts(&self) -> Vec<String> {
        let rows = self.world.rows("select action from brasa.audit order by seq").await;
        rows.as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_warmed_and_invalidated() {
    let Some(mut scene) = Scene::full().await else { return };
    let get = async |scene: &Scene| {
        scene.brasa.run(["cache", "get", "thing", "7", "--json"]).await.with_code(0).json()
    };
    scene.world.execute("update things set name = 'another'").await;
    assert!(!get(&scene).await.to_string().contains("another"));
    scene.log_in().await;
    scene.browser.go("/cache").await;
    scene.browser.see("83.3 %").await;
    scene.starts("#warmer-thing", "Warm it now", "cache.warm").await;

    scene.browser.go("/cache").await;
    let told = scene.browser.press("#warmer-thing", "Invalidate all of it", None).await;
    assert_eq!(told["path"], json!("/cache"));
    let why = scene.brasa.run(["cache", "why", "thing", "7", "--json"]).await.json_anyway();
    assert!(why.to_string().contains("~warmer:thing"), "{why}");
    // It was loaded as it was until now, and is loaded again.
    eventually("it is as it is in the database", async || get(&scene).await.to_string().contains("another"))
        .await;
    assert_eq!(scene.acts().await, ["cache.warm", "cache.invalidate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_is_refreshed_and_compared() {
    let Some(mut scene) = Scene::full().await else { return };
    let status = async |scene: &Scene| {
        scene.brasa.run(["aggregates", "status", "--json"]).await.json()["aggregates"][0].clone()
    };
    // Whoever keeps it looks as it starts, and then once an hour.
    scene.world.execute("insert into sales values ('2026-03-02Z', 'b', 1), ('2026-03-03Z', 'b', 1)").await;
    assert_eq!(status(&scene).await["checked_ms_ago"], Value::Null);
    scene.log_in().await;
    scene.browser.go("/aggregates").await;
    scene.browser.see("brasa.\"agg_daily\"").await;
    scene.starts("#aggregate-daily", "Refresh", "aggregate.refresh").await;
    assert_eq!((&status(&scene).await["waiting"], &status(&scene).await["rows"]), (&json!(0), &json!(2)));

    scene.browser.go("/aggregates").await;
    scene.starts("#aggregate-daily", "Compare with its source", "aggregate.check").await;
    let compared = status(&scene).await;
    assert!(compared["checked_ms_ago"].is_number() && compared["wrong"] == 0, "{compared}");
    scene.browser.go("/aggregates").await;
    scene.browser.see("groups are what the source says").await;
    assert_eq!(scene.acts().await, ["aggregate.refresh", "aggregate.check"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_is_paused_and_resumed_and_what_could_not_be_written_is_mended_or_deleted() {
    let Some(mut scene) = Scene::full().await else { return };
    let paused = async |scene: &Scene| scene.world.rows("select paused_by from brasa.write_offsets").await;
    let pages =
        async |scene: &Scene| scene.world.rows("select page from visits where id > 1 order by id").await;
    scene.log_in().await;
    scene.browser.go("/writes").await;
    scene.browser.press("#writes-visits", "Pause", Some("the disk is full")).await;
    assert_eq!(paused(&scene).await, json!([{ "paused_by": "ann" }]));
    scene.browser.see("Paused by ann: the disk is full").await;
    scene.write(r#"{"id": 2, "page": "/later"}"#).await;
    scene.browser.press("#writes-visits", "Resume", None).await;
    assert_eq!(paused(&scene).await, json!([{ "paused_by": null }]));
    let later = json!({ "page": "/later" });
    eventually("it is written", async || pages(&scene).await == json!([later])).await;

    // Mended, it fits.
    let too_long = format!("#dead-{}", scene.dead_rows().await[0]);
    scene.browser.step(json!({ "step": "unfold", "what": format!("{too_long} details") })).await;
    let mended = json!({ "row": r#"{"id": 6, "page": "/mended"}"# });
    scene.browser.send(&too_long, "Write this", mended).await;
    let mended = json!({ "page": "/mended" });
    assert_eq!(pages(&scene).await, json!([later, mended]));

    // Others fit as they came once the table takes them.
    scene.write(r#"{"id": 8}"#).await;
    scene.write(r#"{"id": 9}"#).await;
    scene.write(r#"{"id": 1}"#).await;
    eventually("they are dead", async || scene.dead_rows().await.len() == 4).await;
    scene.world.execute("alter table visits alter page set default '/'").await;
    let dead_rows = scene.dead_rows().await;
    scene.browser.go("/writes").await;
    scene.browser.press(&format!("#dead-{}", dead_rows[0]), "Write it again", None).await;
    assert_eq!(scene.dead_rows().await, dead_rows[1..]);
    scene.browser.press(&format!("#dead-{}", dead_rows[3]), "Delete", None).await;
    assert_eq!(scene.dead_rows().await, dead_rows[1..3]);
    scene.browser.press("#writes-visits", "Write the dead rows again", None).await;
    assert_eq!(scene.dead_rows().await, [0; 0]);
    let home = json!({ "page": "/" });
    assert_eq!(pages(&scene).await, json!([later, mended, home, home, home]));
    let replayed = "writes.replay";
    assert_eq!(
        scene.acts().await,
        ["writes.pause", "writes.resume", replayed, replayed, "writes.delete", replayed]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_looked_at_and_what_nobody_wants_to_hear_of_is_dismissed() {
    let Some(mut scene) = Scene::full().await else { return };
    let dismissed = "select fingerprint, dismissed_by, dismissed_why from brasa.care_recommendations
        where dismissed_at is not null";
    scene.world.execute("create table without_a_key (n int)").await;
    scene.log_in().await;
    scene.browser.go("/recommendations").await;
    scene.starts("#main", "Look at the database now", "db.review").await;
    scene.browser.go("/recommendations").await;
    scene.browser.see("without_a_key").await;

    let listed = scene.brasa.run(["db", "recommendations", "--json"]).await.json();
    let worst = listed["recommendations"][0]["fingerprint"].as_str().unwrap().to_owned();
    let card = format!("#is-{worst}");
    scene.browser.press(&card, "Dismiss", Some("it is old")).await;
    let row = json!({ "fingerprint": worst, "dismissed_by": "ann", "dismissed_why": "it is old" });
    assert_eq!(scene.world.rows(dismissed).await, json!([row]));
    scene.browser.step(json!({ "step": "unfold", "what": "#dismissed" })).await;
    scene.browser.see("Dismissed by ann").await;
    scene.browser.press(&card, "Reopen", None).await;
    assert_eq!(scene.world.rows(dismissed).await, json!([]));
    assert_eq!(scene.acts().await, ["db.review", "recommendation.dismiss", "recommendation.reopen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_vacuumed_analyzed_and_its_indexes_are_rebuilt() {
    let Some(mut scene) = Scene::full().await else { return };
    scene.log_in().await;
    for (button, kind, table) in [
        ("Vacuum now", "db.vacuum", "gone"),
        ("Analyze now", "db.analyze", "fresh"),
        ("Rebuild indexes now", "db.reindex", "waste"),
    ] {
        scene.browser.go_to_all_of("/database").await;
        scene.browser.see("What is to be done").await;
        let result = scene.starts("#plan", button, kind).await;
        let done = scene.brasa.run(["db", "history", "--json"]).await.json();
        assert!(done.to_string().contains(table), "{button}: {result}: {done}");
    }
    let counted = "select (last_vacuum is not null) as done from pg_stat_all_tables where relname = 'gone'
        union all select last_analyze is not null from pg_stat_all_tables where relname = 'fresh'
        union all select pg_relation_size('waste_body') < 500000";
    let done = json!({ "done": true });
    assert_eq!(scene.world.rows(counted).await, json!([done, done, done]));
    assert_eq!(scene.acts().await, ["db.vacuum", "db.analyze", "db.reindex"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_of_what_was_mended_is_started_again() {
    let Some(mut scene) = Scene::full().await else { return };
    scene.world.execute("update divisors set n = 1").await;
    let wrong = scene.brasa.run(["dead", "groups", "--json"]).await.json();
    assert!(wrong.to_string().contains("sql.run"), "{wrong}");
    // Those that die whatever is done would be started with the others.
    let all = scene.world.queue("default").list(State::Dead, 10).await.unwrap();
    let all: Vec<String> = all.into_iter().map(|view| view.id).collect();
    scene.world.queue("default").forget(&all).await.unwrap();
    scene.log_in().await;

    // One by itself, on its page.
    let one = scene.dead_of_what_can_be_mended(1).await;
    scene.browser.go(&format!("/jobs/default/{}", one[0])).await;
    scene.browser.see("division by zero").await;
    scene.browser.press("#main", "Start it now", None).await;
    scene.are_done(&one).await;

    // One that is well brings the others back.
    let three = scene.dead_of_what_can_be_mended(3).await;
    scene.opens_dead_with("3 × sql.run").await;
    let told = scene.browser.press("section.card", "Try one, then the others", None).await;
    assert_eq!(told["path"], json!("/dead"));
    scene.are_done(&three).await;

    let two = scene.dead_of_what_can_be_mended(2).await;
    scene.opens_dead_with("2 × sql.run").await;
    scene.browser.press("section.card", "Start all again", None).await;
    scene.are_done(&two).await;
    scene.browser.see("No job is dead.").await;
    assert_eq!(scene.acts().await, ["job.retry", "dead.canary", "dead.retry"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_out_is_let_in_by_a_token_only() {
    let Some(mut scene) = Scene::new().await else { return };
    scene.log_in().await;
    assert_eq!(scene.browser.go("/queues").await["path"], json!("/queues"));
    let told = scene.browser.press("header.top", "Log out", None).await;
    assert_eq!(told["path"], json!("/login"));
    assert_eq!(scene.browser.go("/queues").await["path"], json!("/login"));
    // Typed this time, and not by a link.
    let told = scene.browser.send("#main", "Log in", json!({ "token": TOKEN })).await;
    assert_eq!(told["path"], json!("/"));
}
