//! The page of the database.

use std::time::{Duration, Instant};

use brasa_tests::eventually;

use super::{Dashboard, LEFT_OUT, LOOKED_AT, has};

const TABLES: &str = "create table events (id bigint generated always as identity primary key, kind text, body text);
    insert into events (kind, body) select 'k' || n % 9, repeat('x', 60) || n from generate_series(1, 60000) n;
    create index events_body on events (body);
    delete from events where id % 10 < 9;
    vacuum analyze events;
    delete from events where id % 20 < 10";

const CONFIG: &str = "[maintenance.indexes]\nmin_size = \"64KiB\"\nmin_gain = \"64KiB\"\nbloat = 20\n";

/// Makes the tables one statement at a time: VACUUM is in no transaction.
async fn scene(config: &str) -> Dashboard {
    let dashboard = Dashboard::open("select 1", config).await;
    for statement in TABLES.split(';') {
        dashboard.world.execute(statement).await;
    }
    dashboard
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_database_suffers_from_is_shown_and_what_is_to_be_done() {
    let dashboard = scene(CONFIG).await;

    let page = dashboard.page("viewer", "/database").await;

    has(&page, &["What is to be done", "public.events_body", "Plan <code>", "Nothing has been done yet"]);
    has(&page, &["Nobody has looked at what this database counts yet", "[schedules.observe]"]);
    has(&page, &["<code>public.events</code>", "Who is connected", "The pool of this page"]);
    assert!(!page.contains("Analyze now"), "a viewer cannot act: {page}");
    let planned = dashboard.brasa.run(["db", "plan", "--json"]).await.with_code(0).json();
    has(&page, &[planned["plan"].as_str().unwrap()]);

    let _looked = dashboard.brasa.run(["enqueue", "db.observe"]).await.with_code(0);
    let _looked = dashboard.brasa.run(["worker", "--drain"]).await.with_code(0);
    dashboard
        .world
        .execute(
            "insert into brasa.care_actions (kind, schema_name, table_name, why, actor, state, ended_at)
        values ('analyze', 'public', 'events', 'it was <loaded>', 'job 7', 'done', clock_timestamp())",
        )
        .await;
    // A look is good enough for some seconds.
    eventually("what was done is shown", async || {
        dashboard.page("viewer", "/database").await.contains("job 7")
    })
    .await;
    let page = dashboard.page("viewer", "/database").await;
    has(&page, &["it was &lt;loaded&gt;"]);
    assert!(!page.contains("Nobody has looked"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn care_is_run_by_admins_as_jobs() {
    let fresh = "create table fresh (n int); insert into fresh select generate_series(1, 1000)";
    let dashboard = Dashboard::open(fresh, "").await;
    dashboard.refuses_viewers(&["/database/run/analyze", "/database/run/reindex"]).await;
    assert_eq!(dashboard.send("operator", "/database/run/analyze", "").await.status, 403);
    has(&dashboard.page("admin", "/database").await, &["Analyze now", "data-ask=\"Analyze the tables"]);

    let mut acts = Vec::new();
    for what in ["analyze", "vacuum", "reindex"] {
        let location = dashboard.act("admin", &format!("/database/run/{what}"), "").await;
        let id = location.strip_prefix("/jobs/default/").expect(&location);
        assert_eq!(dashboard.world.show(id).await.kind, format!("db.{what}"));
        acts.push(format!("db.{what}"));
    }
    assert_eq!(dashboard.send("admin", "/database/run/drop", "").await.status, 404);
    let acts: Vec<_> = acts.iter().map(|act| ("admin", act.as_str(), "database")).collect();
    dashboard.has_noted(&acts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_slow_does_not_hold_up_the_page() {
    let dashboard = scene(CONFIG).await;
    has(&dashboard.page("viewer", "/database").await, &["Nothing has been done yet"]);
    let mut holder = dashboard.world.pool.begin().await.unwrap();
    sqlx::query("lock table brasa.care_actions in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();

    // Only what was done is kept from everybody, and who does that is shown among those who hold others up.
    eventually("what is locked is left out, and nothing else", async || {
        let begun = Instant::now();
        let page = dashboard.page_at_once("viewer", "/database").await;
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        let (_, history) = page.split_once("What was done").unwrap();
        history.contains(LEFT_OUT)
            && page.contains("public.events_body")
            && page.contains("Idle in a transaction")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_first_is_told_that_it_is_looked_at_and_does_not_wait_for_it() {
    let dashboard = scene(CONFIG).await;
    let mut holder = dashboard.world.pool.begin().await.unwrap();
    // What was done is waited for, for half a second, and a page does not wait for that.
    sqlx::query("lock table brasa.care_actions in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();

    let page = dashboard.page_at_once("viewer", "/database").await;

    has(&page, &[LOOKED_AT, "data-live=\"soon\""]);
    eventually("it is whole, and stays as it is", async || {
        let page = dashboard.page_at_once("viewer", "/database").await;
        page.contains("Who is connected") && !page.contains("data-live")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_that_changes_nothing_is_told() {
    let dashboard = Dashboard::open("select 1", "[maintenance]\nmode = \"plan\"\n").await;
    has(&dashboard.page("admin", "/database").await, &["[maintenance] mode is &quot;plan&quot;"]);
}
