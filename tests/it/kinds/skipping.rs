//! What Postgres passes over without an error, or only with one: all of it is said, and none of it counts as done.

use brasa_shared::db::migrate;
use brasa_tests::{World, eventually, over_pool};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool};

use super::{Worker, catalog, ended, reason, returned, run_once, start, text};

async fn scene() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world
        .execute_counted(
            "create table one as select generate_series(1, 30000) n;
             create table two as select generate_series(1, 10) n",
        )
        .await;
    world
}

/// Why a table was skipped, as a job says that returned, or that is in the dead letter.
fn why(view: &brasa_shared::queue::JobView, table: &str) -> String {
    let outcome = view.outcome.as_ref().unwrap();
    let result = outcome.result.clone().unwrap_or_else(|| {
        let reason = outcome.reason.as_deref().unwrap();
        let json = &reason[reason.find('{').unwrap()..=reason.rfind('}').unwrap()];
        serde_json::from_str::<Value>(json).unwrap()
    });
    let all =
        ["skipped", "held"].into_iter().flat_map(|key| result[key].as_array().cloned().unwrap_or_default());
    let found: Vec<_> = all.filter(|entry| entry["table"] == table).collect();
    found.first().unwrap_or_else(|| panic!("nothing is said of {table}: {result}"))["why"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A worker whose role owns `mine` and nothing else.
async fn as_a_modest_role(world: &World) -> Worker {
    let role = format!("{}-role", world.prefix);
    world.execute_counted(&format!(
            r#"create role "{role}" login password 'secret'; create table mine (n int); alter table mine owner to "{role}";
               grant usage on schema brasa to "{role}"; grant insert on brasa.care_actions to "{role}""#
        ))
        .await;
    let options = PgConnectOptions::clone(&world.pool.connect_options()).username(&role).password("secret");
    Worker::start(over_pool(world.settings(catalog(), ""), Some(PgPool::connect_lazy_with(options))))
}

/// Runs one job as that role, with a single attempt.
async fn modestly(world: &World, kind: &str, args: &Value) -> brasa_shared::queue::JobView {
    let worker = as_a_modest_role(world).await;
    let mut job = world.job(kind, args);
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    let view = ended(world, &job.id).await;
    worker.drain().await;
    let role = format!("{}-role", world.prefix);
    world.execute_counted(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
    view
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_neither_works_and_what_would_give_it_is_said() {
    let world = scene().await;
    let view = modestly(&world, "db.vacuum", &json!({ "tables": ["one"] })).await;
    let said = why(&view, "public.one");
    assert!(said.contains("skipped it without an error: may this role vacuum it? grant "), "{said}");
    let view = modestly(&world, "db.analyze", &json!({ "tables": ["one"] })).await;
    let said = why(&view, "public.one");
    assert!(said.contains("skipped it without an error: may this role analyze it? grant "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_locks_is_not_waited_for() {
    let world = scene().await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("lock table one in access exclusive mode").execute(&mut *holder).await.unwrap();
    for kind in ["db.analyze", "db.vacuum"] {
        let view = run_once(&world, "", kind, &json!({ "tables": ["one", "two"] })).await;
        let said = why(&view, "public.one");
        assert!(said.contains("lock timeout"), "{kind}: {said}");
        let done = reason(&view);
        assert!(done.contains(r#"["public.two"]"#), "{kind}: {done}");
    }
    holder.rollback().await.unwrap();
    let noted =
        world.rows("select state, count(*)::int as n from brasa.care_actions group by 1 order by 1").await;
    assert_eq!(noted, json!([{ "state": "done", "n": 2 }, { "state": "skipped", "n": 2 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_were_passed_over_are_named() {
    let world = scene().await;
    world
        .execute_counted(
            "create table parent (n int) partition by range (n);
             create table low partition of parent for values from (0) to (10);
             create table high partition of parent for values from (10) to (20);
             insert into parent select generate_series(0, 19)",
        )
        .await;
    let role = format!("{}-role", world.prefix);
    let worker = as_a_modest_role(&world).await;
    world
        .execute_counted(&format!(
            r#"alter table parent owner to "{role}"; alter table low owner to "{role}""#
        ))
        .await;
    let id = world.enqueue("db.analyze", json!({ "tables": ["parent"] })).await;
    let view = ended(&world, &id).await;
    worker.drain().await;
    assert_eq!(returned(&view)["analyzed"], json!(["public.parent"]));
    assert!(why(&view, "public.high").contains("without an error"));
    assert_eq!(returned(&view)["skipped"].as_array().unwrap().len(), 1, "{:?}", returned(&view));
    world.execute_counted(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_table_that_cannot_be_read_is_said_and_one_that_can_is_analyzed() {
    let world = scene().await;
    world.execute_counted(
            "create extension file_fdw; create server files foreign data wrapper file_fdw;
             create foreign table there (line text) server files options (filename '/etc/passwd', delimiter E'\\x01');
             create foreign table gone (line text) server files options (filename '/nowhere');
             create foreign data wrapper nobody; create server nowhere foreign data wrapper nobody;
             create foreign table strange (line text) server nowhere",
        )
        .await;
    let view = run_once(&world, "", "db.analyze", &json!({})).await;
    assert!(reason(&view).contains(r#""public.there""#), "{}", reason(&view));
    assert!(why(&view, "public.gone").contains("/nowhere"));
    assert!(why(&view, "public.strange").contains("has no handler"), "{}", why(&view, "public.strange"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_counts_nothing_is_proven() {
    let world = scene().await;
    let name = format!("\"{}\"", world.prefix);
    world.execute_counted(&format!("alter database {name} set track_counts = off")).await;
    for kind in ["db.analyze", "db.vacuum"] {
        let view = run_once(&world, "", kind, &json!({ "tables": ["one"] })).await;
        assert!(why(&view, "public.one").contains("track_counts is off"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vacuum_that_could_take_nothing_away_says_who_holds_it() {
    let world = scene().await;
    let options = PgConnectOptions::clone(&world.pool.connect_options()).application_name("holder");
    let mut holder = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from two")
        .execute(&mut holder)
        .await
        .unwrap();
    world.execute_counted("delete from one where n % 2 = 0").await;
    eventually("the rows are known to be gone", async || {
        text(&world.pool, "select n_dead_tup::text from pg_stat_all_tables where relname = 'one'")
            .await
            .as_deref()
            == Some("15000")
    })
    .await;
    let view = run_once(&world, "", "db.vacuum", &json!({})).await;
    let said = why(&view, "public.one");
    assert!(said.contains("could not be taken away") && said.contains("holder"), "{said}");
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    let view = run_once(&world, "", "db.vacuum", &json!({ "tables": ["one"] })).await;
    assert_eq!(returned(&view)["vacuumed"], json!(["public.one"]));
    assert_eq!(returned(&view)["held"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_long_for_us() {
    let world = scene().await;
    // Each row of the sample takes its time.
    world.execute_counted(
            "create function slowly(int) returns int immutable language plpgsql as
                 $$ begin
                     if current_setting('application_name') like 'brasa-care%' then perform pg_sleep(0.01); end if;
                     return $1;
                 end $$;
             create table three as select generate_series(1, 1000) n; create index on three (slowly(n))",
        )
        .await;
    let worker = start(&world, "");
    let mut job = world.job("db.analyze", &json!({ "tables": ["three"] }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    eventually("it is analyzed", async || {
        text(&world.pool, "select min(phase) from pg_stat_progress_analyze where relid = 'three'::regclass")
            .await
            .is_some()
    })
    .await;
    let began = std::time::Instant::now();
    world.execute_counted("alter table three add column more int").await;
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
    let view = ended(&world, &job.id).await;
    assert!(why(&view, "public.three").contains("somebody else had to wait for it"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_was_no_time_for_is_left_and_said() {
    let world = scene().await;
    let view = run_once(&world, "", "db.analyze", &json!({})).await;
    assert_eq!(returned(&view)["left"], json!([]));
    world.execute_counted(
            "create function slowly(int) returns int immutable language plpgsql as
                 $$ begin
                     if current_setting('application_name') like 'brasa-care%' then perform pg_sleep(0.01); end if;
                     return $1;
                 end $$;
             create table three as select generate_series(1, 1500) n; create index on three (slowly(n)); insert into two select generate_series(1, 100)",
        )
        .await;
    let view = run_once(
        &world,
        "[maintenance]\nbudget = \"4s\"",
        "db.analyze",
        &json!({ "tables": ["three", "two"] }),
    )
    .await;
    assert!(why(&view, "public.three").contains("its time was over"));
    assert!(reason(&view).contains(r#""left":["public.two"]"#), "{}", reason(&view));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_goes_meanwhile_and_one_that_never_was_are_told_apart() {
    let world = scene().await;
    let view = run_once(&world, "", "db.vacuum", &json!({ "tables": ["three"] })).await;
    assert_eq!(reason(&view), "there is no table `three` that this role can see");
    // It goes between being looked for and being analyzed: behind a lock that waits for it to go.
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("drop table two").execute(&mut *holder).await.unwrap();
    let worker = start(&world, "");
    let mut job = world.job("db.analyze", &json!({ "tables": ["two"] }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    eventually("it waits for the table", async || {
        text(&world.pool, "select max(pid)::text from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())").await.is_some()
    })
    .await;
    holder.commit().await.unwrap();
    let view = ended(&world, &job.id).await;
    assert!(why(&view, "public.two").contains("does not exist"), "{}", why(&view, "public.two"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_its_windows_a_job_waits_and_where_it_may_only_look_it_ends() {
    let world = scene().await;
    let view = run_once(&world, "[maintenance]\nmode = \"observe\"", "db.analyze", &json!({})).await;
    assert_eq!(reason(&view), "nothing is changed or planned: [maintenance] mode is \"observe\"");
    let view = run_once(&world, "[maintenance]\nmode = \"plan\"", "db.analyze", &json!({})).await;
    assert_eq!(returned(&view)["would_analyze"].as_array().unwrap().len(), 2, "{:?}", returned(&view));
    let hour = i64::from(world.clock.now().to_zoned(jiff::tz::TimeZone::UTC).hour());
    let closed =
        format!("[maintenance]\nwindows = [\"{:02}:00-{:02}:00\"]", (hour + 3) % 24, (hour + 4) % 24);
    let worker = start(&world, &closed);
    let id = world.enqueue("db.analyze", json!({})).await;
    eventually("it waits for its window", async || {
        world.show(&id).await.state == brasa_shared::queue::State::Delayed
    })
    .await;
    assert_eq!(text(&world.pool, "select max(last_analyze)::text from pg_stat_user_tables").await, None);
    worker.drain().await;
}

/// ANALYZE goes into the parts of a partitioned table, and not into tables that inherit: nothing was passed over there.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_inherit_are_no_parts() {
    let world = scene().await;
    world
        .execute_counted("create table child (more int) inherits (one); insert into child values (1, 1)")
        .await;
    let view = run_once(&world, "", "db.analyze", &json!({ "tables": ["one"] })).await;
    assert_eq!(returned(&view)["skipped"], json!([]));
}
