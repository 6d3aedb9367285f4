//! `cache.warm`: plain values under plain keys, for a time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use brasa_tests::World;
use redis::cmd;
use serde_json::json;

use super::{MIGHT_HAVE_PASSED, execute, reason, returned, run_once, text};

/// A world with a table of flights.
async fn with_flights() -> World {
    let world = World::new().await;
    execute(
        &world.pool,
        "create table flights (origin text, dest text, n int);
         insert into flights values ('BOG', 'MDE', 1), ('BOG', 'CLO', 2), ('MDE', 'BOG', 3), ('CLO', 'BOG', 4)",
    )
    .await;
    world
}

/// What any client reads at this key, which is one of this world.
async fn get(world: &World, key: &str) -> Option<String> {
    world.redis(cmd("GET").arg(format!("{}:{key}", world.prefix))).await
}

/// The warmer `it`, with the keys of this world: `KEY` stands for what they begin with.
fn warmer(world: &World, text: &str) -> String {
    format!("[warm.it]\n{}", text.replace("KEY", &world.prefix))
}

const BOARD: &str = r#"
    sql = "select origin, json_agg(n order by n) as value from flights where origin = any($1) group by origin"
    for_each = { sql = "select distinct origin from flights", params = ["origin"] }
    key = "KEY:board:{origin}"
    ttl = "1m"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_for_each_holds_the_value_of_its_row() {
    let world = with_flights().await;

    let view = run_once(&world, &warmer(&world, BOARD), "cache.warm", &json!({ "name": "it" })).await;

    assert_eq!(returned(&view), &json!({ "keys": 3, "bytes": 12, "batches": 1 }));
    assert_eq!(get(&world, "board:BOG").await.as_deref(), Some("[1, 2]"));
    assert_eq!(get(&world, "board:MDE").await.as_deref(), Some("[3]"));
    assert_eq!(get(&world, "board:CLO").await.as_deref(), Some("[4]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_json_to_the_byte() {
    let world = World::new().await;
    let cases = [
        (r#"'{"b": 1,  "a":[1, 2]}'::json"#, r#"{"b": 1,  "a":[1, 2]}"#),
        (r#"'{"b": 1,  "a":[1, 2]}'::jsonb"#, r#"{"a": [1, 2], "b": 1}"#),
        (r#"'she said "ñ"'::text"#, r#""she said \"ñ\"""#),
        ("7::int8", "7"),
        ("0.10::numeric", "0.10"),
        ("true", "true"),
        ("array[1, 2]", "[1,2]"),
        ("timestamptz '2026-01-31 08:00:00Z' at time zone 'UTC'", r#""2026-01-31T08:00:00""#),
        ("'null'::jsonb", "null"),
    ];
    let rows =
        cases.iter().enumerate().map(|(n, (sql, _))| format!("select {n} as n, to_json({sql}) as value"));
    let loaders = rows.collect::<Vec<_>>();
    for ((n, (_, expected)), loader) in cases.iter().enumerate().zip(&loaders) {
        // Without the conversion of the test's own, which only names the case.
        let loader = loader.replace("to_json(", "(");
        let config = format!("sql = '''{loader}'''\nkey = \"KEY:case:{{n}}\"\nttl = \"1m\"");
        run_once(&world, &warmer(&world, &config), "cache.warm", &json!({ "name": "it" })).await;
        assert_eq!(get(&world, &format!("case:{n}")).await.as_deref(), Some(*expected), "{loader}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_lives_as_long_as_it_should_less_a_little() {
    let world = with_flights().await;
    let config = r#"
        sql = "select n, n as value from generate_series(1, 50) n"
        key = "KEY:n:{n}"
        ttl = "60s"
        jitter = "10s"
    "#;
    let begun = Instant::now();
    run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    let mut lives = BTreeSet::new();
    for n in 1..=50 {
        let left_ms: u64 = world.redis(cmd("PTTL").arg(format!("{}:n:{n}", world.prefix))).await;
        lives.insert(Duration::from_millis(left_ms));
    }
    let shortest = Duration::from_secs(50).checked_sub(begun.elapsed()).unwrap();
    assert!(lives.iter().all(|life| (shortest..=Duration::from_mins(1)).contains(life)), "{lives:?}");
    // What was filled together does not expire together.
    assert!(
        lives.last().unwrap().saturating_sub(*lives.first().unwrap()) > Duration::from_secs(3),
        "{lives:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jitter_a_value_lives_exactly_as_long_as_it_should() {
    let world = with_flights().await;
    let config = "sql = \"select 1 as value\"\nkey = \"KEY:one\"\nttl = \"60s\"\njitter = \"0s\"";
    let begun = Instant::now();
    run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    let left_ms: u64 = world.redis(cmd("PTTL").arg(format!("{}:one", world.prefix))).await;

    let shortest = Duration::from_mins(1).checked_sub(begun.elapsed()).unwrap();
    assert!((shortest..=Duration::from_mins(1)).contains(&Duration::from_millis(left_ms)), "{left_ms}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_have_several_columns_of_any_type() {
    let world = with_flights().await;
    let config = r#"
        sql = """
        select f.n, f.dest, to_json(f.origin) as value from flights f
        join unnest($1::int[], $2::text[]) as k (n, dest) on k.n = f.n and k.dest = f.dest
        """
        for_each = { sql = "select dest, n from flights", params = ["n", "dest"] }
        key = "KEY:leg:{dest}:{n}"
        ttl = "1m"
    "#;

    let view = run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    assert_eq!(returned(&view)["keys"], json!(4));
    assert_eq!(get(&world, "leg:BOG:3").await.as_deref(), Some("\"MDE\""));
    assert_eq!(get(&world, "leg:CLO:2").await.as_deref(), Some("\"BOG\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_without_for_each_loads_all_its_rows_at_once() {
    let world = with_flights().await;
    let config = r#"
        sql = "select origin, count(*) as value from flights group by origin;"
        key = "KEY:count:{origin}"
        ttl = "1m"
    "#;

    let view = run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    assert_eq!(returned(&view)["batches"], json!(1));
    assert_eq!(get(&world, "count:BOG").await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_value_are_left_out() {
    let world = with_flights().await;
    let config = r#"
        sql = "select * from (values ('a', 1), ('b', null)) t (k, value) -- with a comment"
        key = "KEY:{k}"
        ttl = "1m"
    "#;

    let view = run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    assert_eq!(returned(&view)["keys"], json!(1));
    assert_eq!(get(&world, "a").await.as_deref(), Some("1"));
    assert_eq!(get(&world, "b").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_are_loaded_a_batch_at_a_time() {
    let world = World::new().await;
    let config = r#"
        sql = "select n, n * n as value from unnest($1::int[]) n"
        for_each = { sql = "select n from generate_series(1, 1000) n", params = ["n"] }
        key = "KEY:square:{n}"
        ttl = "1m"
        batch = 300
    "#;

    let view = run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    assert_eq!((&returned(&view)["keys"], &returned(&view)["batches"]), (&json!(1_000), &json!(4)));
    assert_eq!(get(&world, "square:1000").await.as_deref(), Some("1000000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_for_each_that_finds_nothing_warms_nothing() {
    let world = with_flights().await;
    execute(&world.pool, "delete from flights").await;

    let view = run_once(&world, &warmer(&world, BOARD), "cache.warm", &json!({ "name": "it" })).await;

    assert_eq!(returned(&view), &json!({ "keys": 0, "bytes": 0, "batches": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_brings_what_has_changed() {
    let world = with_flights().await;
    let config = warmer(&world, BOARD);
    run_once(&world, &config, "cache.warm", &json!({ "name": "it" })).await;
    execute(&world.pool, "insert into flights values ('CLO', 'MDE', 9)").await;

    run_once(&world, &config, "cache.warm", &json!({ "warmer": "it" })).await;

    assert_eq!(get(&world, "board:CLO").await.as_deref(), Some("[4, 9]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_a_megabyte_is_a_value_like_any_other() {
    let world = World::new().await;
    let config = "sql = \"select repeat('x', 1000000) as value\"\nkey = \"KEY:large\"\nttl = \"1m\"";

    run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    assert_eq!(get(&world, "large").await.map(|value| value.len()), Some(1_000_002));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_cannot_write() {
    let world = with_flights().await;
    let function = "create function sneaky() returns int language plpgsql as $$
        begin delete from flights; return 1; end $$";
    execute(&world.pool, function).await;
    let config = "sql = \"select sneaky() as value\"\nkey = \"KEY:it\"\nttl = \"1m\"";

    let view = run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    assert!(reason(&view).contains("read-only transaction"), "{}", reason(&view));
    assert_eq!(text(&world.pool, "select count(*)::text from flights").await.as_deref(), Some("4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_that_cannot_work_is_buried_with_what_to_do() {
    let world = with_flights().await;
    let cases = [
        ("sql = \"select 1 as n\"\nkey = \"KEY:{n}\"", "the loader returns no column `value`"),
        (
            "sql = \"select 1 as value\"\nkey = \"KEY:{n}\"",
            "the key uses `{n}`, and the loader returns no such column",
        ),
        ("sql = \"select 1 as value from nowhere\"\nkey = \"KEY:it\"", "relation \"nowhere\" does not exist"),
        (
            "sql = \"select origin, 1 as value from flights where origin = any($1)\"\nkey = \"KEY:{origin}\"\n\
             for_each = { sql = \"select 1 as origin\", params = [\"origin\"] }",
            "`for_each` gives origin as int4, $1 of the loader is text[]",
        ),
        (
            "sql = \"select origin, 1 as value from flights where origin = $1\"\nkey = \"KEY:{origin}\"\n\
             for_each = { sql = \"select 'a' as origin\", params = [\"origin\"] }",
            "$1 of the loader is not an array",
        ),
    ];
    for (text, expected) in cases {
        let config = warmer(&world, &format!("{text}\nttl = \"1m\""));
        let view = run_once(&world, &config, "cache.warm", &json!({ "name": "it" })).await;
        let reason = reason(&view);
        assert!(reason.contains(expected) && !reason.contains(MIGHT_HAVE_PASSED), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_that_does_not_exist_is_buried_with_the_nearest_name() {
    let world = World::new().await;

    let view = run_once(&world, &warmer(&world, BOARD), "cache.warm", &json!({ "name": "its" })).await;

    assert!(reason(&view).contains("there is no warmer `its`"), "{}", reason(&view));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_that_takes_too_long_is_stopped_by_its_own_limit() {
    let world = World::new().await;
    let config =
        "sql = \"select pg_sleep(30)::text as value\"\nkey = \"KEY:it\"\nttl = \"1m\"\ntimeout = \"100ms\"";

    let view = run_once(&world, &warmer(&world, config), "cache.warm", &json!({ "name": "it" })).await;

    assert!(reason(&view).contains("statement timeout"), "{}", reason(&view));
}
