//! `sql.run`: named statements with bound values, and what an error of Postgres means for the job.

use std::time::{Duration, Instant};

use brasa_jobs::catalog;
use brasa_shared::queue::State;
use brasa_tests::hand::{Hand, again};
use brasa_tests::{Worker, World, eventually, over_pool};
use serde_json::json;

use super::{MIGHT_HAVE_PASSED, ended, execute, reason, returned, run_once, start, text};

const LEDGER: &str = r#"
    [sql.ledger]
    sql = "insert into ledger (job_id, attempt, fence) values ($1, $2, $3)"
    params = ["job.id", "job.attempt", "job.fence"]
"#;

async fn with_ledger() -> World {
    let world = World::new().await;
    execute(&world.pool, "create table ledger (job_id text, attempt int, fence bigint)").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_may_write_down_which_job_ran_it() {
    let world = with_ledger().await;
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({ "name": "ledger" })).await;
    // The first attempt failed elsewhere.
    let first = Hand::new("elsewhere", &["sql.run"]).claim_one(&queue).await;
    queue.retry(&[again(&first, Duration::ZERO, "failed")]).await.unwrap();

    let worker = start(&world, LEDGER);
    let view = ended(&world, &id).await;
    worker.drain().await;

    assert_eq!(returned(&view), &json!({ "rows": 1 }));
    let (job, attempt, fence): (String, i32, i64) =
        sqlx::query_as("select job_id, attempt, fence from ledger").fetch_one(&world.pool).await.unwrap();
    assert_eq!((job, attempt), (id, 2));
    assert!(fence > first.fence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_says_how_many_rows_it_touched() {
    let world = World::new().await;
    execute(&world.pool, "create table t as select n from generate_series(1, 10) n").await;
    let config = "[sql.halve]\nsql = \"delete from t where n > $1\"\nparams = [\"args.above\"]";

    let view = run_once(&world, config, "sql.run", &json!({ "name": "halve", "above": 4 })).await;

    assert_eq!(returned(&view), &json!({ "rows": 6 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_may_lie_deep_and_the_name_is_one_too() {
    let world = World::new().await;
    execute(&world.pool, "create table t (a text, b int)").await;
    let config = r#"
        [sql.deep]
        sql = "insert into t values ($1, $2)"
        params = ["args.name", "args.row.n"]
    "#;

    run_once(&world, config, "sql.run", &json!({ "name": "deep", "row": { "n": 7 } })).await;

    assert_eq!(text(&world.pool, "select a || b from t").await.as_deref(), Some("deep7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_does_not_exist_is_buried_with_the_nearest_name() {
    let world = World::new().await;

    let view = run_once(&world, LEDGER, "sql.run", &json!({ "name": "legder" })).await;

    let reason = reason(&view);
    assert!(reason.contains("there is no statement `legder`") && reason.contains("`ledger`"), "{reason}");
    assert!(!reason.contains(MIGHT_HAVE_PASSED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_argument_is_buried_by_name() {
    let world = World::new().await;
    let config = "[sql.one]\nsql = \"select $1::int\"\nparams = [\"args.row.n\"]";

    let view = run_once(&world, config, "sql.run", &json!({ "name": "one", "row": {} })).await;

    assert_eq!(reason(&view), "args.row.n is missing, and statement `one` needs it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undefined_table_is_buried() {
    let world = World::new().await;

    let view = run_once(&world, LEDGER, "sql.run", &json!({ "name": "ledger" })).await;

    let reason = reason(&view);
    assert!(reason.contains(r#"relation "ledger" does not exist"#), "{reason}");
    assert!(!reason.contains(MIGHT_HAVE_PASSED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_postgres_cannot_hold_is_buried() {
    let world = World::new().await;
    execute(&world.pool, "create table t (v text)").await;
    let config = "[sql.put]\nsql = \"insert into t values ($1)\"\nparams = [\"args.v\"]";

    let view = run_once(&world, config, "sql.run", &json!({ "name": "put", "v": "a\u{0}b" })).await;

    assert!(!reason(&view).contains(MIGHT_HAVE_PASSED), "{}", reason(&view));
}

/// What may pass by itself is tried again, what waits for a person is not.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_tried_again_only_where_that_may_help() {
    let world = World::new().await;
    let function = "create function fail_with(code text) returns int language plpgsql as $$
        begin raise exception 'as the test says' using errcode = code; end $$";
    execute(&world.pool, function).await;
    let config = "[sql.fail]\nsql = \"select fail_with($1)\"\nparams = [\"args.code\"]";
    let cases = [
        ("40P01", true),  // deadlock_detected
        ("40001", true),  // serialization_failure
        ("55P03", true),  // lock_not_available
        ("57014", true),  // query_canceled
        ("57P01", true),  // admin_shutdown
        ("53100", true),  // disk_full
        ("23505", true),  // unique_violation
        ("23503", true),  // foreign_key_violation
        ("P0001", true),  // raise_exception
        ("42P01", false), // undefined_table
        ("42703", false), // undefined_column
        ("42501", false), // insufficient_privilege
        ("42601", false), // syntax_error
        ("22003", false), // numeric_value_out_of_range
        ("22012", false), // division_by_zero
    ];
    let worker = start(&world, config);
    for (code, may_pass) in cases {
        let mut job = world.job("sql.run", &json!({ "name": "fail", "code": code }));
        job.attempts = Some(1);
        world.queue("default").enqueue(&job).await.unwrap();
        let view = ended(&world, &job.id).await;
        assert_eq!(reason(&view).contains(MIGHT_HAVE_PASSED), may_pass, "{code}: {}", reason(&view));
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_meets_a_lock_is_tried_again_when_it_is_gone() {
    let world = with_ledger().await;
    execute(&world.pool, &format!(r#"alter database "{}" set lock_timeout = '100ms'"#, world.prefix)).await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("lock table ledger in access exclusive mode").execute(&mut *holder).await.unwrap();
    let pool = world.another_pool(2, Duration::from_secs(5));
    let worker = Worker::start(over_pool(world.settings(catalog(), LEDGER), Some(pool)));
    let id = world.enqueue("sql.run", json!({ "name": "ledger" })).await;
    eventually("the first attempt fails", async || !world.show(&id).await.trail.is_empty()).await;
    let trail = world.show(&id).await.trail;
    assert!(trail[0].contains("canceling statement due to lock timeout"), "{trail:?}");

    holder.rollback().await.unwrap();

    assert_eq!(ended(&world, &id).await.state, State::Done);
    assert!(world.show(&id).await.attempt > 1);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_costs_one_attempt_and_both_jobs_end_well() {
    let world = World::new().await;
    execute(
        &world.pool,
        "create table seats (n int primary key, taken int not null);
         insert into seats values (1, 0), (2, 0);
         create function take(a int, b int) returns void language plpgsql as $$
         begin
           update seats set taken = taken + 1 where n = a;
           perform pg_sleep(0.3);
           update seats set taken = taken + 1 where n = b;
         end $$",
    )
    .await;
    execute(&world.pool, &format!(r#"alter database "{}" set deadlock_timeout = '50ms'"#, world.prefix))
        .await;
    let pool = world.another_pool(2, Duration::from_secs(5));
    let config = "[sql.take]\nsql = \"select take($1, $2)\"\nparams = [\"args.a\", \"args.b\"]";
    let worker = Worker::start(over_pool(world.settings(catalog(), config), Some(pool)));
    let one = world.enqueue("sql.run", json!({ "name": "take", "a": 1, "b": 2 })).await;
    let two = world.enqueue("sql.run", json!({ "name": "take", "a": 2, "b": 1 })).await;

    for id in [&one, &two] {
        assert_eq!(ended(&world, id).await.state, State::Done);
    }

    worker.drain().await;
    let taken = text(&world.pool, "select string_agg(taken::text, ' ') from seats").await;
    assert_eq!(taken.as_deref(), Some("2 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_has_a_time_limit_of_its_own() {
    let world = World::new().await;
    let config = "[sql.slow]\nsql = \"select pg_sleep(30)\"\ntimeout = \"100ms\"";

    let view = run_once(&world, config, "sql.run", &json!({ "name": "slow" })).await;

    let reason = reason(&view);
    assert!(reason.contains("canceling statement due to statement timeout"), "{reason}");
    assert!(reason.contains(MIGHT_HAVE_PASSED));
}

/// How many statements of this world's jobs run in Postgres.
async fn under_way(world: &World) -> Option<String> {
    let sql = "select count(*)::text from pg_stat_activity where datname = current_database()
               and state = 'active' and query like '%pg_sleep%' and pid <> pg_backend_pid()";
    text(&world.pool, sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_stops_its_statement_on_the_server() {
    let world = World::new().await;
    let worker = start(&world, "[sql.slow]\nsql = \"select pg_sleep(12)\"");
    let id = world.enqueue("sql.run", json!({ "name": "slow" })).await;
    eventually("the statement runs", async || under_way(&world).await.as_deref() == Some("1")).await;

    let asked = Instant::now();
    world.queue("default").cancel(&id, "ana", "").await.unwrap();

    eventually("it does not run any more", async || under_way(&world).await.as_deref() == Some("0")).await;
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    assert_eq!(ended(&world, &id).await.state, State::Done);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_of_one_statement_does_not_outlive_it() {
    let world = World::new().await;
    let config = r#"
        [sql.quick]
        sql = "select 1"
        timeout = "100ms"
        [sql.longer]
        sql = "select pg_sleep(0.4)"
    "#;
    // One connection, so that both run on the same.
    let pool = world.another_pool(1, Duration::from_secs(5));
    let worker = Worker::start(over_pool(world.settings(catalog(), config), Some(pool)));

    for name in ["quick", "longer", "quick", "longer"] {
        let id = world.enqueue("sql.run", json!({ "name": name })).await;
        assert_eq!(ended(&world, &id).await.attempt, 1);
        assert_eq!(world.state(&id).await, Some(State::Done));
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_fails_changes_nothing() {
    let world = World::new().await;
    execute(&world.pool, "create table t (n int check (n < 3))").await;
    let config =
        "[sql.fill]\nsql = \"insert into t select generate_series(1, $1)\"\nparams = [\"args.most\"]";

    run_once(&world, config, "sql.run", &json!({ "name": "fill", "most": 5 })).await;

    assert_eq!(text(&world.pool, "select count(*)::text from t").await.as_deref(), Some("0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_of_postgres_the_job_says_what_to_set() {
    let world = World::of_queues();
    let worker = Worker::start(over_pool(world.settings(catalog(), LEDGER), None));
    let id = world.enqueue("sql.run", json!({ "name": "ledger" })).await;

    let view = ended(&world, &id).await;

    assert!(reason(&view).contains("set DATABASE_URL"), "{}", reason(&view));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_in_use_costs_a_job_no_attempt() {
    let world = World::new().await;
    let pool = world.another_pool(1, Duration::from_secs(1));
    let taken = pool.acquire().await.unwrap();
    let settings = world.settings(catalog(), "[sql.one]\nsql = \"select 1\"");
    let worker = Worker::start(over_pool(settings, Some(pool)));
    let id = world.enqueue("sql.run", json!({ "name": "one" })).await;
    eventually("there is no connection for it", async || !world.show(&id).await.trail.is_empty()).await;

    drop(taken);

    let view = ended(&world, &id).await;
    assert_eq!((view.state, view.attempt), (State::Done, 1));
    worker.drain().await;
}
