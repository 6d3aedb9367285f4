//! `db.analyze`: fresh statistics, and the truth about tables that got none.

use brasa_jobs::catalog;
use brasa_tests::{Worker, World, over_pool};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};

use super::{MIGHT_HAVE_PASSED, ended, execute, reason, returned, run_once, text};

async fn last_analyze(world: &World, table: &str) -> Option<String> {
    let sql =
        format!("select max(last_analyze)::text from pg_stat_all_tables where relid = '{table}'::regclass");
    text(&world.pool, &sql).await
}

async fn with_tables() -> World {
    let world = World::new().await;
    execute(
        &world.pool,
        "create table one as select generate_series(1, 1000) n;
         create table two as select generate_series(1, 1000) n;
         create schema shop;
         create table shop.\"Odd \"\"Name\"\"\" (n int);
         create materialized view seen as select * from one",
    )
    .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_tables_have_fresh_statistics_and_no_others() {
    let world = with_tables().await;

    let view = run_once(&world, "", "db.analyze", &json!({ "tables": ["one"] })).await;

    assert_eq!(returned(&view), &json!({ "analyzed": ["public.one"], "skipped": [], "left": [] }));
    assert!(last_analyze(&world, "one").await.is_some());
    assert_eq!(last_analyze(&world, "two").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_that_were_there_are_made_again() {
    let world = with_tables().await;
    run_once(&world, "", "db.analyze", &json!({ "tables": ["one"] })).await;
    let before = last_analyze(&world, "one").await;

    run_once(&world, "", "db.analyze", &json!({ "tables": ["public.one"] })).await;

    assert!(last_analyze(&world, "one").await > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_every_table_of_the_application_is_analyzed() {
    let world = with_tables().await;
    brasa_shared::db::migrate(&world.pool).await.unwrap();

    let view = run_once(&world, "", "db.analyze", &json!({})).await;

    let mut analyzed: Vec<_> =
        returned(&view)["analyzed"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    analyzed.sort_unstable();
    assert_eq!(analyzed, ["public.one", "public.seen", "public.two", r#"shop."Odd ""Name""""#]);
    for table in ["one", "two", "seen", r#"shop."Odd ""Name""""#] {
        assert!(last_analyze(&world, table).await.is_some(), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_locks_is_reported_and_the_others_are_analyzed() {
    let world = with_tables().await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("lock table one in access exclusive mode").execute(&mut *holder).await.unwrap();

    let view = run_once(&world, "", "db.analyze", &json!({ "tables": ["one", "two"] })).await;

    let reason = reason(&view);
    assert!(reason.contains("1 tables were not analyzed") && reason.contains("lock timeout"), "{reason}");
    assert!(reason.contains(r#""analyzed":["public.two"]"#), "{reason}");
    assert!(reason.contains(MIGHT_HAVE_PASSED));
    holder.rollback().await.unwrap();
    assert_eq!(last_analyze(&world, "one").await, None);
    assert!(last_analyze(&world, "two").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_table_is_buried_by_name() {
    let world = with_tables().await;

    let view = run_once(&world, "", "db.analyze", &json!({ "tables": ["one", "three"] })).await;

    assert_eq!(reason(&view), "there is no table `three` that this role can see");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_a_name_and_never_a_statement() {
    let world = with_tables().await;

    let view = run_once(&world, "", "db.analyze", &json!({ "tables": ["one; drop table two"] })).await;

    assert!(!reason(&view).contains(MIGHT_HAVE_PASSED), "{}", reason(&view));
    assert!(text(&world.pool, "select to_regclass('two')::text").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_argument_is_buried() {
    let world = with_tables().await;

    let view = run_once(&world, "", "db.analyze", &json!({ "table": "one" })).await;

    assert!(reason(&view).contains("unknown field `table`, expected `tables`"), "{}", reason(&view));
}

/// A worker whose role owns the table `mine` and no other.
async fn as_a_modest_role(world: &World) -> Worker {
    let role = format!("{}-role", world.prefix);
    execute(
        &world.pool,
        &format!(
            r#"create role "{role}" login password 'secret'; create table mine (n int);
               alter table mine owner to "{role}""#
        ),
    )
    .await;
    let options = PgConnectOptions::clone(&world.pool.connect_options()).username(&role).password("secret");
    Worker::start(over_pool(world.settings(catalog(), ""), Some(PgPool::connect_lazy_with(options))))
}

/// Roles belong to the whole server, so they do not go with the database of the test.
async fn remove_role(world: &World) {
    let role = format!("{}-role", world.prefix);
    let sql = format!(r#"drop owned by "{role}"; drop role "{role}""#);
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&world.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_other_roles_are_reported_and_not_touched() {
    let world = with_tables().await;
    let worker = as_a_modest_role(&world).await;

    let id = world.enqueue("db.analyze", json!({})).await;
    let view = ended(&world, &id).await;
    worker.drain().await;

    let result = returned(&view);
    assert_eq!(result["analyzed"], json!(["public.mine"]));
    let skipped = json!({ "table": "public.one", "why": "it belongs to another role" });
    assert!(result["skipped"].as_array().unwrap().contains(&skipped), "{result}");
    assert_eq!(last_analyze(&world, "one").await, None);
    remove_role(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_postgres_skips_in_silence_is_reported_too() {
    let world = with_tables().await;
    let worker = as_a_modest_role(&world).await;

    let mut job = world.job("db.analyze", &json!({ "tables": ["one", "mine"] }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    let view = ended(&world, &job.id).await;
    worker.drain().await;

    let reason = reason(&view);
    assert!(reason.contains("Postgres skipped it without an error: may this role analyze it?"), "{reason}");
    assert!(reason.contains(r#""analyzed":["public.mine"]"#), "{reason}");
    remove_role(&world).await;
}
