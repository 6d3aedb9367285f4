//! What cannot be kept, and what happens when a source is not what it was.

use brasa_jobs::aggregates::{Fault, Look, Misfit, fold};
use brasa_shared::db::aggregates::State;
use brasa_tests::{World, eventually};
use serde_json::json;

use super::{CONFIG, built, installed, kept, scene, settled, start, version};

const N: &str = "n = \"count(*)\"";

/// What is said of an aggregate that cannot be kept.
async fn refused(world: &World, source: &str, more: &str, measures: &str) -> String {
    let text = format!("[aggregates.it]\nsource = \"{source}\"\n{more}\nmeasures = {{ {measures} }}\n");
    let config = world.config(&text);
    let mut connection = world.pool.acquire().await.unwrap();
    match Look::at(&mut connection, "it", &config.aggregates["it"]).await {
        Err(Misfit::Unfit { at, message, help }) => format!("{at}: {message}; {help}"),
        other => panic!("{text}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_database_is_refused_with_what_to_do() {
    let world = scene().await;
    world
        .execute(
            "create view seen as select * from sales; alter table sales add column price float8, add column day date;
             create table locals (at timestamp, n int)",
        )
        .await;
    let n = N;
    for (source, more, measures, said) in [
        ("nowhere", "time = \"at\"", n, "source: there is no table \"nowhere\""),
        ("seen", "time = \"at\"", n, "source: \"seen\" is a view; only a table notes what changes"),
        ("sales", "time = \"att\"", n, "time: the source has no column `att`; did you mean `at`?"),
        ("sales", "time = \"note\"", n, "time: `note` is of type text, which says no time"),
        ("sales", "time = \"at\"\nby = [\"shopp\"]", n, "by: the source has no column `shopp`"),
        ("sales", "time = \"at\"\ntz = \"Mars\"", n, "tz: Postgres knows no time zone `Mars`"),
        ("locals", "time = \"at\"\ntz = \"UTC\"", n, "tz: `at` has no zone"),
        ("sales", "time = \"day\"\nbucket = \"hour\"", n, "bucket: `day` is a date, which has no hours"),
        (
            "sales",
            "time = \"at\"\nwhere = \"at > now()\"",
            n,
            "where: `at > now()`: functions in index predicate must be",
        ),
        ("sales", "time = \"at\"\nwhere = \"id in (select 1)\"", n, "it is to look at one row only"),
        (
            "sales",
            "time = \"at\"",
            "x = \"sum(nothing)\"",
            "measures: `nothing`: column \"nothing\" does not exist",
        ),
        ("sales", "time = \"at\"", "x = \"sum(note)\"", "measures: `x`: function sum(text) does not exist"),
        (
            "sales",
            "time = \"at\"",
            "x = \"sum(price)\"",
            "adds up floating-point numbers, whose sum depends on their order",
        ),
        (
            "sales",
            "time = \"at\"\nmode = \"delta\"",
            "x = \"sum(at - '2026-01-01Z')\"",
            "mode: `x`: values of type interval",
        ),
    ] {
        let found = refused(&world, source, more, measures).await;
        assert!(found.contains(said), "{found}\nshould say\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_source_needs_an_index_by_which_the_rows_of_a_bucket_are_found() {
    let world = scene().await;
    world.execute("insert into sales (at) select now() from generate_series(1, 200000); analyze sales; drop index sales_at_idx").await;
    let found = refused(&world, "sales", "time = \"at\"", N).await;
    assert!(
        found.contains("has no index on `at`") && found.contains("create index concurrently on public.sales"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_of_the_application_fails_whatever_the_aggregate_makes_of_it() {
    let world = scene().await;
    world.execute("update sales set units = 1 where units = 0").await;
    let text =
        "[aggregates.odd]\nsource = \"sales\"\ntime = \"at\"\nmeasures = { x = \"sum(100 / units)\" }\n";
    let config = world.config(text);
    installed(&world, &config, "odd").await;
    built(&world, "odd").await;
    let worker = start(&world, text);
    world.execute("insert into sales (at, units) values (now(), 0)").await;
    eventually("a person is asked to look", async || version(&world, "odd").await.paused.is_some()).await;
    assert!(version(&world, "odd").await.paused.unwrap().contains("division by zero"));
    worker.drain().await;

    // Mended, it goes on, with everything that happened meanwhile.
    world
        .execute("insert into sales (at, units) values (now(), 50); delete from sales where units = 0")
        .await;
    let worker = start(&world, text);
    settled(&world, "odd").await;
    assert_eq!(version(&world, "odd").await.paused, None);
    let same = "select (select sum(x) from brasa.agg_odd) = (select sum(100 / units) from sales where isfinite(at)) as same";
    assert_eq!(world.rows(same).await, json!([{ "same": true }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_dropped_stops_its_aggregate_and_neither_the_application_nor_the_others() {
    let (world, _config) = kept().await;
    let worker = start(&world, CONFIG);
    world.execute("alter table sales drop column buyer").await;
    world.execute("insert into sales (at, shop, kind, units) values ('2026-03-05Z', 'a', 1, 1)").await;
    eventually("a person is asked to look", async || {
        version(&world, "peaks").await.paused.is_some_and(|why| why.contains("buyer"))
    })
    .await;
    settled(&world, "daily").await;
    super::is_exact(&world, "daily").await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_floating_point_numbers_are_kept_where_their_last_digits_do_not_matter() {
    let world = scene().await;
    world.execute("alter table sales add column price float8; update sales set price = id / 3.0").await;
    let text = "[aggregates.float]\nsource = \"sales\"\ntime = \"at\"\napprox = true\n\
                measures = { x = \"sum(price)\", mean = \"avg(price)\" }\n";
    let config = world.config(text);
    installed(&world, &config, "float").await;
    built(&world, "float").await;
    let is_near = "select (select sum(x) from brasa.agg_float) between s - 0.001 and s + 0.001 as near,
        (select max(mean) from brasa.agg_float) > 0 as mean from (select sum(price) as s from sales where isfinite(at)) as s";
    for sql in [
        "update sales set price = 'Infinity' where id = 7",
        "update sales set price = 7 where id = 7",
        "delete from sales where id < 9",
    ] {
        world.execute(sql).await;
        super::folded(&world, "float").await;
    }
    assert_eq!(world.rows(is_near).await, json!([{ "near": true, "mean": true }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_in_use_is_not_waited_for_and_nothing_of_ours_is_left() {
    let world = scene().await;
    let config = world.config(CONFIG);
    let mut busy = world.pool.begin().await.unwrap();
    sqlx::query("lock table sales in share row exclusive mode").execute(&mut *busy).await.unwrap();
    let mut connection = world.pool.acquire().await.unwrap();
    let refused =
        brasa_jobs::aggregates::install(&mut connection, "daily", &config.aggregates["daily"], false).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("try again at a quieter time"), "{refused}");
    busy.rollback().await.unwrap();
    assert_eq!(world.rows("select * from brasa.aggregates").await, json!([]));
    installed(&world, &config, "daily").await;
    assert_eq!(version(&world, "daily").await.state, State::Building);
    built(&world, "daily").await;
    super::is_exact(&world, "daily").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_make_triggers_is_told_what_to_ask_for() {
    let world = scene().await;
    let role = format!("r{:016x}", rand::random::<u64>());
    world.execute(&format!("create role {role}; grant select on sales to {role}; grant usage, create on schema brasa to {role}")).await;
    let config = world.config(CONFIG);
    let mut connection = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("set role {role}"))).execute(&mut *connection).await.unwrap();
    let refused = Look::at(&mut connection, "daily", &config.aggregates["daily"]).await;
    let Err(Misfit::Unfit { at, message, help }) = refused else { panic!("{refused:?}") };
    assert_eq!((at, message.as_str()), ("source", "this role may not make triggers on public.sales"));
    assert!(help.contains("grant trigger on public.sales"), "{help}");
    sqlx::raw_sql("reset role").execute(&mut *connection).await.unwrap();
    world.execute(&format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_database_that_takes_no_writes_changes_wait() {
    let (world, _config) = kept().await;
    world.execute("insert into sales (at, shop, kind, units) values ('2026-03-05Z', 'a', 1, 1)").await;
    let daily = version(&world, "daily").await;
    let mut connection = world.pool.acquire().await.unwrap();
    sqlx::raw_sql("set default_transaction_read_only = on").execute(&mut *connection).await.unwrap();
    let outcome = fold(&mut connection, &daily, super::FOLDING).await;
    assert!(matches!(outcome, Err(Fault::Passing(_))), "{outcome:?}");
    sqlx::raw_sql("reset default_transaction_read_only").execute(&mut *connection).await.unwrap();
    assert_eq!(version(&world, "daily").await.paused, None);
    assert_eq!(super::folded(&world, "daily").await, 1);
    super::is_exact(&world, "daily").await;
}
