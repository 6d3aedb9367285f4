//! What is rare, and was wrong once.

use brasa_jobs::aggregates::{
    Fault, Folding, InstallError, PlanState, check, fold, install, lag, remove, switch,
};
use brasa_shared::db::aggregates::{State, versions};
use brasa_tests::{World, eventually};
use serde_json::json;

use super::{CONFIG, FOLDING, built, count, folded, installed, kept, scene, settled, start, version};

/// An aggregate of a small table `t (at timestamptz, g text, v int)`, kept with these settings, installed and built.
async fn small(more: &str, rows: &str) -> (World, String) {
    let world = World::new().await;
    brasa_shared::db::migrate(&world.pool).await.unwrap();
    world
        .execute(&format!("create table t (at timestamptz, g text, v int); create index on t (at); {rows}"))
        .await;
    let text = format!("[aggregates.it]\nsource = \"t\"\ntime = \"at\"\n{more}\n");
    installed(&world, &world.config(&text), "it").await;
    built(&world, "it").await;
    (world, text)
}

async fn wrong(world: &World, name: &str) -> i64 {
    let mut connection = world.pool.acquire().await.unwrap();
    check(&mut connection, &version(world, name).await, false, |_, _| true).await.unwrap().wrong
}

const N: &str = "by = [\"g\"]\nmeasures = { n = \"count(*)\" }";
const TOP: &str = "by = [\"g\"]\nmeasures = { top = \"max(v)\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_being_rewritten_is_not_taken_for_an_empty_one() {
    let (world, _) = small(TOP, "insert into t select now(), 'a', x from generate_series(1, 50) x").await;
    world.execute("update t set v = v + 1").await;
    let mut rewriting = world.pool.begin().await.unwrap();
    sqlx::raw_sql("alter table t alter v type bigint").execute(&mut *rewriting).await.unwrap();
    let mut connection = world.pool.acquire().await.unwrap();
    let outcome = fold(&mut connection, &version(&world, "it").await, FOLDING).await;
    assert!(matches!(outcome, Err(Fault::Busy)), "{outcome:?}");
    rewriting.commit().await.unwrap();
    folded(&world, "it").await;
    assert_eq!(world.rows("select g, top from brasa.agg_it").await, json!([{ "g": "a", "top": 51 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn days_without_a_midnight_are_there_once() {
    let more = "tz = \"Africa/Cairo\"\nmeasures = { least = \"min(v)\" }";
    let (world, _) = small(more, "").await;
    world
        .execute("insert into t values ('2024-04-26 12:00+03', 'a', 1), ('2024-04-27 00:30+03', 'a', 2), ('2024-04-27 12:00+03', 'a', 3)")
        .await;
    assert_eq!(wrong(&world, "it").await, 0);
    folded(&world, "it").await;
    assert_eq!(count(&world.rows("select count(*) as n from brasa.agg_it").await), 2);
    assert_eq!(wrong(&world, "it").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_come_while_nothing_can_be_told_are_found_afterwards() {
    let (world, _) = small(N, "insert into t values (now(), 'old', 1)").await;
    world
        .execute("alter table t rename g to h; insert into t values (now(), 'new', 1), (now(), 'old', 2); alter table t rename h to g")
        .await;
    let groups = json!([{ "g": "new", "n": 1 }, { "g": "old", "n": 2 }]);
    assert_eq!(world.rows("select g, n from brasa.agg_it order by g").await, groups);
    folded(&world, "it").await;
    assert_eq!(world.rows("select g, n from brasa.agg_it order by g").await, groups);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_triggers_were_off_is_mended_by_an_installation() {
    let (world, text) = small(N, "insert into t values (now(), 'a', 1), (now(), 'b', 1)").await;
    world.execute("alter table t disable trigger user; delete from t where g = 'a'; insert into t values (now(), 'c', 1)").await;
    assert_eq!(installed(&world, &world.config(&text), "it").await, PlanState::Unwatched);
    folded(&world, "it").await;
    world.execute("insert into t values (now(), 'c', 1)").await;
    assert_eq!(
        world.rows("select g, n from brasa.agg_it order by g").await,
        json!([{ "g": "b", "n": 1 }, { "g": "c", "n": 2 }])
    );
    assert_eq!(installed(&world, &world.config(&text), "it").await, PlanState::Installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_overtaken_is_never_shown() {
    let (world, config) = kept().await;
    for measure in ["sum(units * 2)", "sum(units * 3)"] {
        let other = world.config(&CONFIG.replace("sum(units)", measure));
        assert_eq!(installed(&world, &other, "daily").await, PlanState::Changed);
    }
    let mut connection = world.pool.acquire().await.unwrap();
    let all = versions(&mut connection, Some("daily")).await.unwrap();
    built(&world, "daily").await;
    let late = switch(&mut connection, &all[1], None).await;
    assert!(matches!(late, Err(Fault::Gone)), "{late:?}");
    let states: Vec<State> =
        versions(&mut connection, Some("daily")).await.unwrap().iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Old, State::Old, State::Live]);
    let _config = config;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_and_one_that_is_installed_again_are_published_too() {
    let more = |measure: &str| format!("publish = {{ key = \"KEY\" }}\nmeasures = {{ n = \"{measure}\" }}");
    let (world, _) = small(&more("count(*)"), "insert into t values (now(), 'a', 1)").await;
    let key = format!("{}:board", world.prefix);
    let text = |measure: &str| {
        format!("[aggregates.it]\nsource = \"t\"\ntime = \"at\"\n{}\n", more(measure).replace("KEY", &key))
    };
    let read = async || {
        let figures: Option<String> = world.redis(redis::cmd("GET").arg(&key)).await;
        figures.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap()["rows"][0]["n"].clone())
    };
    let worker = start(&world, &text("count(*)"));
    for n in 2..6 {
        world.execute("insert into t values (now(), 'a', 1)").await;
        eventually("it is published", async || read().await == Some(json!(n))).await;
    }
    worker.drain().await;
    let worker = start(&world, &text("sum(v * 10)"));
    installed(&world, &world.config(&text("sum(v * 10)")), "it").await;
    eventually("the other version is published", async || read().await == Some(json!(50))).await;
    worker.drain().await;
    let mut connection = world.pool.acquire().await.unwrap();
    remove(&mut connection, "it", false).await.unwrap();
    let worker = start(&world, &text("sum(v * 100)"));
    installed(&world, &world.config(&text("sum(v * 100)")), "it").await;
    eventually("one that is installed again is published", async || read().await == Some(json!(500))).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_taken_out_changes_nothing_any_more_once_that_is_said() {
    let rows = "drop table t; create table t (at timestamptz, g text, v int) partition by list (g);
        create table ta partition of t for values in ('a'); create table tb partition of t for values in ('b');
        create index on t (at); insert into t select now(), g, 1 from (values ('a'), ('a'), ('b')) as x (g)";
    let (world, text) = small(N, rows).await;
    world.execute("alter table t detach partition ta").await;
    assert_eq!(installed(&world, &world.config(&text), "it").await, PlanState::Unwatched);
    let mut connection = world.pool.acquire().await.unwrap();
    check(&mut connection, &version(&world, "it").await, true, |_, _| true).await.unwrap();
    folded(&world, "it").await;
    world.execute("delete from ta").await;
    folded(&world, "it").await;
    assert_eq!(world.rows("select g, n from brasa.agg_it").await, json!([{ "g": "b", "n": 1 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_that_stay_as_they_are_are_not_forgotten_unasked() {
    let (world, config) = kept().await;
    world
        .execute(
            "update brasa.aggregates set frozen_until = '2026-03-03T05:00:00+00:00' where name = 'daily'",
        )
        .await;
    let other = world.config(&CONFIG.replace("sum(units)", "sum(units * 2)"));
    let mut connection = world.pool.acquire().await.unwrap();
    let refused = install(&mut connection, "daily", &other.aggregates["daily"], false).await;
    assert!(matches!(refused, Err(InstallError::Frozen(_))), "{refused:?}");
    install(&mut connection, "daily", &other.aggregates["daily"], true).await.unwrap();
    let _config = config;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_a_collation_calls_equal_are_one_group() {
    let rows = "create collation alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        alter table t alter g type text collate alike";
    let (world, _) = small(N, rows).await;
    world.execute("insert into t values (now(), 'A', 1)").await;
    folded(&world, "it").await;
    world.execute("insert into t values (now(), 'a', 1)").await;
    folded(&world, "it").await;
    assert_eq!(world.rows("select n from brasa.agg_it").await, json!([{ "n": 2 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_on_the_view_outlive_another_version() {
    let (world, _config) = kept().await;
    world.execute("grant select on brasa.agg_daily to public").await;
    let rights = "select relacl::text as given from pg_class where oid = 'brasa.agg_daily'::regclass";
    let before = world.rows(rights).await;
    installed(&world, &world.config(&CONFIG.replace("sum(units)", "sum(units * 2)")), "daily").await;
    built(&world, "daily").await;
    assert_eq!(world.rows(rights).await, before);
    assert!(before[0]["given"].as_str().unwrap().contains("=r/"), "{before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_may_be_called_as_they_please() {
    let rows = "alter table t add column found text, add column asked int, add column tg_op text, add column \"Ä \"\"b\" int";
    let more = "by = [\"found\", \"tg_op\", 'Ä \"b']\nmeasures = { n = \"count(*)\", top = \"max(asked)\" }";
    let (world, _) = small(more, rows).await;
    world
        .execute("insert into t (at, found, asked, tg_op, \"Ä \"\"b\") values (now(), 'x', 3, 'y', 4)")
        .await;
    let groups = json!([{ "found": "x", "tg_op": "y", "Ä \"b": 4, "n": 1, "top": 3 }]);
    let shown = "select found, tg_op, \"Ä \"\"b\", n, top from brasa.agg_it";
    assert_eq!(world.rows(shown).await, groups);
    let kinds = world.rows("select kind from brasa.agg_it_v1_log").await;
    assert_eq!(kinds, json!([{ "kind": "r" }]), "the group is known");
    folded(&world, "it").await;
    assert_eq!(world.rows(shown).await, groups);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_by_itself_is_told_to_a_person() {
    let (world, text) = small(N, "").await;
    let worker = start(&world, &text);
    world.execute("insert into t values (now(), (select string_agg(md5(x::text), '') from generate_series(1, 400) x), 1)").await;
    eventually("somebody is asked to look", async || {
        version(&world, "it").await.paused.is_some_and(|why| why.contains("index row"))
    })
    .await;
    world
        .execute("delete from t; truncate brasa.agg_it_v1_log; insert into t values (now(), 'short', 1)")
        .await;
    worker.drain().await;

    let worker = start(&world, &text.replace("count(*)", "sum(v)"));
    world.execute("create view mine as select * from brasa.agg_it").await;
    installed(&world, &world.config(&text.replace("count(*)", "sum(v)")), "it").await;
    eventually("somebody is told that a view is in the way", async || {
        version(&world, "it").await.paused.is_some_and(|why| why.contains("depend"))
    })
    .await;
    world.execute("drop view mine").await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_from_the_end_of_time_stop_nothing() {
    let (world, _) = small(TOP, "").await;
    world
        .execute("insert into t values ('294276-12-31Z', 'a', 1), (now(), 'a', 2), ('4713-01-02 BC', 'a', 3)")
        .await;
    folded(&world, "it").await;
    assert_eq!(count(&world.rows("select count(*) as n from brasa.agg_it").await), 2);
    assert_eq!(wrong(&world, "it").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_only_some_rows_keeps_no_aggregate_of_them() {
    let world = scene().await;
    let role = format!("r{:016x}", rand::random::<u64>());
    world
        .execute(&format!(
            "create role {role}; alter table sales enable row level security; create policy few on sales using (id < 3);
             grant select, trigger on sales to {role}; grant usage, create on schema brasa to {role};
             grant all on all tables in schema brasa to {role}; alter table sales owner to {role};
             alter table sales force row level security"
        ))
        .await;
    let config = world.config(CONFIG);
    let mut connection = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("set role {role}"))).execute(&mut *connection).await.unwrap();
    let refused =
        install(&mut connection, "daily", &config.aggregates["daily"], false).await.unwrap_err().to_string();
    assert!(refused.contains("row-level security lets this role see only some"), "{refused}");
    sqlx::raw_sql("reset role").execute(&mut *connection).await.unwrap();
    world
        .execute(&format!("alter table sales owner to current_user; drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_only_ever_added_need_no_triggers() {
    let rows = "insert into t values (now() - interval '3 days', 'before', 1);
        alter table t add column added_by xid8; alter table t alter column added_by set default pg_current_xact_id();
        create index on t (added_by); insert into t (at, g, v) values (now() - interval '3 days', 'between', 1)";
    let more = "by = [\"g\"]\nmode = \"append\"\nxid = \"added_by\"\nmeasures = { n = \"count(*)\", v = \"sum(v)\" }";
    let (world, text) = small(more, rows).await;
    assert_eq!(
        count(&world.rows("select count(*) as n from pg_trigger where tgname like '%brasa%'").await),
        0
    );
    let all = async || count(&world.rows("select sum(n)::int as n from brasa.agg_it").await);
    assert_eq!(all().await, 2);

    // One that began earlier and ends later is not passed over.
    let mut slow = world.pool.begin().await.unwrap();
    sqlx::raw_sql("insert into t (at, g, v) values (now(), 'slow', 1)").execute(&mut *slow).await.unwrap();
    world
        .execute(
            "insert into t (at, g, v) values (now(), 'quick', 1), (now() - interval '2 years', 'late', 1)",
        )
        .await;
    assert_eq!(all().await, 4, "what is committed is seen at once");
    let _rows = folded(&world, "it").await;
    assert_eq!(all().await, 4);
    slow.commit().await.unwrap();
    assert_eq!(all().await, 5);
    let worker = start(&world, &text);
    world.execute("begin; insert into t (at, g, v) values (now(), 'x', 1); savepoint s; insert into t (at, g, v) values (now(), 'y', 1); rollback to s; commit").await;
    settled(&world, "it").await;
    eventually("all of it is in the groups", async || {
        count(&world.rows("select coalesce(sum(n), 0)::int as n from brasa.agg_it_v1").await) == 6
    })
    .await;
    assert_eq!((all().await, wrong(&world, "it").await), (6, 0));

    // What is changed all the same is found, and computed again.
    world.execute("update t set v = 10 where g = 'x'; delete from t where g = 'late'").await;
    assert_eq!(wrong(&world, "it").await, 2);
    let mut connection = world.pool.acquire().await.unwrap();
    check(&mut connection, &version(&world, "it").await, true, |_, _| true).await.unwrap();
    settled(&world, "it").await;
    assert_eq!((all().await, wrong(&world, "it").await), (5, 0));
    worker.drain().await;
    let unfit = world.config(&text.replace("added_by", "g"));
    let refused =
        install(&mut connection, "it", &unfit.aggregates["it"], false).await.unwrap_err().to_string();
    assert!(refused.contains("`g` is of type text, not xid8"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_change_that_waits_longest_is_found_wherever_it_stands() {
    let (world, _) = small(N, "").await;
    world.execute("insert into t select now(), 'g' || n, 1 from generate_series(1, 12000) n").await;
    // A row that is changed goes to the end, as old ones do where a vacuum makes room at the front.
    world
        .execute(
            "update brasa.agg_it_v1_log set at = at - interval '1 hour'
             where ctid = (select max(ctid) from brasa.agg_it_v1_log)",
        )
        .await;
    let mut connection = world.pool.acquire().await.unwrap();
    let waited = lag(&mut connection, &version(&world, "it").await).await.unwrap();
    assert!(waited.as_secs() >= 3_600, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_more_waits_than_is_moved_at_once_no_place_of_the_log_is_always_the_last() {
    let (world, _) = small(N, "").await;
    // A group for each, so that each is a row of the log.
    world.execute("insert into t select '2026-01-01Z', x::text, 1 from generate_series(1, 20000) x").await;
    let log = "brasa.agg_it_v1_log";
    let of_middle = format!("select ctid::text as place from {log} order by ctid offset 10000 limit 1");
    let middle = world.rows(&of_middle).await[0]["place"].as_str().unwrap().to_owned();
    let mut connection = world.pool.acquire().await.unwrap();
    let (version, some) = (version(&world, "it").await, Folding { most: 500, ..FOLDING });
    for _ in 0..15 {
        assert_eq!(fold(&mut connection, &version, some).await.unwrap().rows, 500);
    }
    // From the front, all of these are from the first half. That chance does the same is one in thirty thousand.
    let behind = world.rows(&format!("select count(*) as n from {log} where ctid > '{middle}'")).await;
    assert!(count(&behind) < 9_999, "{behind}");
    folded(&world, "it").await;
    let groups = world.rows("select count(*) as n from brasa.agg_it").await;
    assert_eq!((wrong(&world, "it").await, count(&groups)), (0, 20_000));
}
