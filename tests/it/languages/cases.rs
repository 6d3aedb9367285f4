//! What holds for readers in every language.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::cache::{Description, PROTOCOL, dictionary_of, read_script};
use brasa_tests::{Worker, World, eventually};
use redis::cmd;
use serde_json::{Value, json};

use super::installed::{Installed, Language};
use super::reader::Reader;
use crate::caching::{caches, execute, start, with_things};

/// Things by their number, when somebody asks for them.
const ON_DEMAND: &str = r#"
    [warm.thing]
    sql = "select id, jsonb_build_object('name', name) as value from things where id = any($1)"
    params = ["id"]
    key = "KEY:thing:{id}"
    ttl = "1m"
    tags = ["kind:{id}"]
"#;

/// A world of things with a worker that has told readers about its warmer, and a reader.
async fn beside(installed: &Installed, config: &str) -> (World, Worker, Reader) {
    let world = with_things().await;
    let worker = start(&world, config);
    eventually("readers are told", async || {
        caches(&world).described("thing").await.unwrap().is_some()
            && caches(&world).epoch().await.unwrap().is_some()
    })
    .await;
    let reader = Reader::start(installed, &world);
    (world, worker, reader)
}

/// What to read: the thing with this number.
fn thing(what: &str, id: u32, timeout_ms: u64) -> Value {
    json!({ "do": what, "warmer": "thing", "params": { "id": id }, "timeout_ms": timeout_ms })
}

fn standing(answer: &Value) -> &str {
    answer["standing"].as_str().unwrap_or_else(|| panic!("no answer: {answer}"))
}

async fn counted(world: &World, name: &str) -> u64 {
    caches(world).namespace("thing").stats().await.unwrap().get(name)
}

pub(super) async fn a_value_that_is_there_is_read_and_counted(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let (world, worker, mut reader) = beside(&installed, ON_DEMAND).await;
    reader.tell(&thing("get_or_wait", 7, 10_000)).await;

    let answer = reader.tell(&thing("get", 7, 0)).await;

    assert_eq!((standing(&answer), &answer["value"]), ("fresh", &json!({ "name": "thing 7" })));
    let fresh_ms = answer["fresh_ms"].as_i64().unwrap();
    assert!((40_000..60_000).contains(&fresh_ms), "{fresh_ms}");
    // One was cold and waited, however often it looked.
    assert_eq!((counted(&world, "read_cold").await, counted(&world, "read_fresh").await), (1, 1));
    worker.drain().await;
}

pub(super) async fn what_is_missing_is_asked_for_and_brought_while_the_reader_waits(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let (_world, worker, mut reader) = beside(&installed, ON_DEMAND).await;

    let first = reader.tell(&thing("get", 7, 0)).await;
    let other = reader.tell(&thing("get_or_wait", 8, 10_000)).await;

    assert_eq!((standing(&first), &first["why"], &first["value"]), ("asked", &json!("cold"), &Value::Null));
    assert_eq!((standing(&other), &other["value"]), ("fresh", &json!({ "name": "thing 8" })));
    worker.drain().await;
}

pub(super) async fn what_is_known_not_to_be_there_ends_the_waiting(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let (world, worker, mut reader) = beside(&installed, ON_DEMAND).await;
    let begun = Instant::now();

    let answer = reader.tell(&thing("get_or_wait", 777, 30_000)).await;

    assert_eq!((standing(&answer), &answer["value"]), ("none", &Value::Null));
    assert!(begun.elapsed() < Duration::from_secs(20));
    // That is an answer, and no reason to ask the database.
    let mut told = thing("get_or", 777, 30_000);
    (told["n"], told["load"]) = (json!(1), json!("loaded"));
    assert_eq!(reader.tell(&told).await, json!({ "values": [null], "most": 0 }));
    assert_eq!(counted(&world, "fill_none").await, 1);
    worker.drain().await;
}

pub(super) async fn what_is_no_longer_fresh_is_served_and_said_to_be_stale(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let config = ON_DEMAND.replace("ttl = \"1m\"", "ttl = \"1s\"\njitter = \"0s\"\nstale = \"1m\"");
    let (_world, worker, mut reader) = beside(&installed, &config).await;
    reader.tell(&thing("get_or_wait", 7, 10_000)).await;
    worker.drain().await;

    let mut answer = Value::Null;
    eventually("it is no longer fresh", async || {
        answer = reader.tell(&thing("get_or_wait", 7, 10_000)).await;
        standing(&answer) != "fresh"
    })
    .await;

    assert_eq!((standing(&answer), &answer["value"]), ("stale", &json!({ "name": "thing 7" })));
    assert!(answer["fresh_ms"].as_i64().unwrap() <= 0, "{answer}");
}

pub(super) async fn fifty_readers_at_once_cost_one_load(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let slow = "clock_timestamp()::text || pg_sleep(0.2)::text as value";
    let config = ON_DEMAND.replace("jsonb_build_object('name', name) as value", slow);
    let (world, worker, mut reader) = beside(&installed, &config).await;

    let mut told = thing("wait_at_once", 7, 20_000);
    told["n"] = json!(50);
    let answers = reader.tell(&told).await;

    let answers = answers.as_array().unwrap();
    let values: BTreeSet<&str> = answers.iter().map(|answer| answer["value"].as_str().unwrap()).collect();
    assert_eq!((answers.len(), values.len()), (50, 1), "{values:?}");
    assert_eq!(counted(&world, "fill_filled").await, 1);
    worker.drain().await;
}

pub(super) async fn many_are_read_at_once(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let (_world, worker, mut reader) = beside(&installed, ON_DEMAND).await;
    reader.tell(&thing("get_or_wait", 1, 10_000)).await;
    reader.tell(&thing("get_or_wait", 777, 10_000)).await;
    worker.drain().await;

    let many = json!([{ "id": 1 }, { "id": 777 }, { "id": 2 }, { "id": "2" }, { "id": 1 }]);
    let answers = reader.tell(&json!({ "do": "get_many", "warmer": "thing", "many": many })).await;
    let none = reader.tell(&json!({ "do": "get_many", "warmer": "thing", "many": [] })).await;

    let found: Vec<&str> = answers.as_array().unwrap().iter().map(standing).collect();
    assert_eq!(found, ["fresh", "none", "asked", "busy", "fresh"]);
    assert_eq!(none, json!([]));
}

pub(super) async fn keys_are_made_as_workers_make_them(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let config = r#"
        [warm.thing]
        sql = "select place, is_open, n, n as value from unnest($1::text[], $2::bool[], $3::int8[]) x (place, is_open, n)"
        params = ["place", "is_open", "n"]
        key = "KEY:{{größe}}:{@version}:{place}/{n}:{is_open}"
        tags = ["place:{place}"]
        ttl = "1m"
    "#;
    let (world, worker, mut reader) = beside(&installed, config).await;
    let version = caches(&world).described("thing").await.unwrap().unwrap().current;
    for place in
        ["JFK", "São \"Paulo\" \\ 東京 🛫", "{a}", "}{", "", "tab\there\u{1}", "'; drop table things; --"]
    {
        let params = json!({ "n": 9_007_199_254_740_991_u64, "place": place, "is_open": true });
        let told = json!({ "do": "get_or_wait", "warmer": "thing", "params": params, "timeout_ms": 10_000 });

        let answer = reader.tell(&told).await;

        assert_eq!((standing(&answer), &answer["value"]), ("fresh", &params["n"]), "{place}");
        let key = format!("{}:{{größe}}:{version}:{place}/9007199254740991:true", world.prefix);
        assert!(caches(&world).look(&key).await.unwrap().is_standing, "{key}");
    }
    for params in
        [json!({}), json!({ "n": 1, "place": "x" }), json!({ "n": null, "place": "x", "is_open": true })]
    {
        let answer = reader.tell(&json!({ "do": "get", "warmer": "thing", "params": params })).await;
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("thing") && error.contains("is_open"), "{error}");
    }
    worker.drain().await;
}

pub(super) async fn what_a_transaction_invalidated_is_missing_once_the_cache_is_told(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let (world, worker, mut reader) = beside(&installed, ON_DEMAND).await;
    reader.tell(&thing("get_or_wait", 7, 10_000)).await;
    reader.tell(&thing("get_or_wait", 8, 10_000)).await;

    // Rolled back, it never was. And while the table has another name, nobody can load.
    execute(&world, "begin; select brasa.invalidate_tag('kind:8'); rollback").await;
    execute(
        &world,
        "begin; update things set name = 'renamed' where id = 7; alter table things rename to gone;
         select brasa.invalidate_tag('kind:7'); commit",
    )
    .await;
    let mut answer = Value::Null;
    eventually("the cache is told", async || {
        answer = reader.tell(&thing("get", 7, 0)).await;
        standing(&answer) != "fresh"
    })
    .await;

    assert!(matches!(standing(&answer), "asked" | "busy"), "{answer}");
    assert_eq!((&answer["why"], &answer["value"]), (&json!("invalidated"), &Value::Null));
    // Nor does one who waits get what was there.
    assert_eq!(reader.tell(&thing("get_or_wait", 7, 300)).await["value"], Value::Null);
    assert_eq!(standing(&reader.tell(&thing("get", 8, 0)).await), "fresh");
    execute(&world, "alter table gone rename to things").await;
    eventually("it is brought again", async || {
        reader.tell(&thing("get_or_wait", 7, 1_000)).await["value"] == json!({ "name": "renamed" })
    })
    .await;
    worker.drain().await;
}

pub(super) async fn the_application_loads_by_itself_where_nobody_brings_a_value(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let (world, worker, mut reader) = beside(&installed, ON_DEMAND).await;
    worker.drain().await;

    // Nobody has heard of one, and nobody is there to load the other.
    let mut unknown = thing("get_or", 7, 100);
    (unknown["warmer"], unknown["n"], unknown["load"]) = (json!("thin"), json!(1), json!([1]));
    let mut known = thing("get_or", 7, 100);
    (known["n"], known["load"]) = (json!(20), json!({ "name": "by itself" }));
    let (unknown, known) = (reader.tell(&unknown).await, reader.tell(&known).await);

    assert_eq!(unknown["values"], json!([[1]]));
    assert_eq!(known["values"], json!(vec![json!({ "name": "by itself" }); 20]));
    // Four at a time, and what they load is theirs.
    assert_eq!(known["most"], 4);
    assert!(caches(&world).look(&format!("{}:thing:7", world.prefix)).await.unwrap().bytes.is_none());
    let error = reader.tell(&json!({ "do": "get", "warmer": "thin", "params": { "id": 7 } })).await;
    assert!(error["error"].as_str().unwrap().contains("no worker has described the warmer"), "{error}");
}

pub(super) async fn the_application_loads_by_itself_while_redis_is_away(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let world = World::on_redis(redis.url());
    describe(&world).await;
    let mut reader = Reader::start(&installed, &world);
    assert_eq!(standing(&reader.tell(&thing("get", 7, 0)).await), "asked");
    drop(redis);

    let mut told = thing("get_or", 7, 10_000);
    (told["n"], told["load"]) = (json!(3), json!("by itself"));
    assert_eq!(reader.tell(&told).await["values"], json!(["by itself", "by itself", "by itself"]));
    // And where there never was one.
    let mut reader = Reader::at(&installed, &world, &world.redis_url);
    assert_eq!(reader.tell(&told).await["values"], json!(["by itself", "by itself", "by itself"]));
}

pub(super) async fn a_script_that_redis_forgot_is_sent_again(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let world = World::on_redis(redis.url());
    describe(&world).await;
    let mut reader = Reader::start(&installed, &world);
    assert_eq!(standing(&reader.tell(&thing("get", 7, 0)).await), "asked");

    world.redis::<String>(cmd("SCRIPT").arg("FLUSH")).await;

    assert_eq!(standing(&reader.tell(&thing("get", 7, 0)).await), "busy");
    world.redis::<String>(cmd("SCRIPT").arg("FLUSH")).await;
    let many = json!([{ "id": 7 }, { "id": 8 }]);
    let answers = reader.tell(&json!({ "do": "get_many", "warmer": "thing", "many": many })).await;
    assert_eq!(answers.as_array().unwrap().iter().map(standing).collect::<Vec<_>>(), ["busy", "asked"]);
}

/// Tells readers about things, as a worker would.
async fn describe(world: &World) {
    let description = Description {
        protocol: PROTOCOL,
        key: format!("{}:thing:{{id}}", world.prefix),
        params: vec!["id".to_owned()],
        is_askable: true,
        tags: Vec::new(),
        ttl_ms: 60_000,
        lease_ms: 10_000,
        version: "1".to_owned(),
        current: "1".to_owned(),
        bytes_max: 1 << 20,
    };
    let caches = caches(world);
    caches.publish_script().await.unwrap();
    assert_eq!(caches.published_script().await.unwrap().as_deref(), Some(read_script()));
    caches.describe("thing", &description).await.unwrap();
    assert!(caches.is_told().await.unwrap());
}

pub(super) async fn packed_values_are_read_with_their_dictionary(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let config = r#"
        [warm.thing]
        for_each = { sql = "select n as id from generate_series(1, 300) n", params = ["id"] }
        sql = """
        select id, jsonb_build_object('id', id, 'name', 'thing ' || id, 'colour', md5(id::text), 'price', id * 7 % 100,
            'description', 'one of the things that are alike in most of what is said about them',
            'delivered_by', 'somebody who has done it before', 'stored_at', 'the place for things',
            'and_a_long_tail', case when id = 300 then (select jsonb_agg(md5(n::text)) from generate_series(1, 900) n) end)
            as value
        from unnest($1::int[]) id
        """
        key = "KEY:thing:{id}"
        ttl = "1m"
        codec = "zstd"
        batch = 500
    "#;
    let (world, worker, mut reader) = beside(&installed, config).await;
    let stored = async |id: u32| -> Vec<u8> {
        world
            .redis::<Option<Vec<u8>>>(cmd("GET").arg(format!("{}:thing:{id}", world.prefix)))
            .await
            .unwrap_or_default()
    };
    eventually("all are there", async || !stored(300).await.is_empty() && !stored(7).await.is_empty()).await;
    worker.drain().await;
    assert!(dictionary_of(&stored(7).await).is_some());
    assert!(
        stored(300).await.starts_with(b"\x28\xb5\x2f\xfd") && dictionary_of(&stored(300).await).is_none()
    );

    let short = reader.tell(&thing("get", 7, 0)).await;
    let long = reader.tell(&thing("get", 300, 0)).await;

    assert_eq!((standing(&short), &short["value"]["name"]), ("fresh", &json!("thing 7")));
    assert_eq!(long["value"]["and_a_long_tail"].as_array().unwrap().len(), 900);
    // Who does not know a dictionary does not know the value.
    world.redis::<i64>(cmd("DEL").arg(&caches(&world).keys().dictionaries)).await;
    assert_eq!(standing(&reader.tell(&thing("get", 7, 0)).await), "fresh");
    let mut stranger = Reader::start(&installed, &world);
    let unread = stranger.tell(&thing("get", 7, 0)).await;
    assert_eq!(
        (standing(&unread), &unread["why"], &unread["value"]),
        ("missing", &json!("unreadable"), &Value::Null)
    );
    let mut told = thing("get_or", 7, 100);
    (told["n"], told["load"]) = (json!(1), json!("by itself"));
    assert_eq!(stranger.tell(&told).await["values"], json!(["by itself"]));
}
