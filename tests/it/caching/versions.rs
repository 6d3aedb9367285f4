//! A warmer that is defined otherwise: its values are loaded again, and versioned keys are switched when they are warm.

use std::time::Duration;

use brasa_shared::cache::Description;
use brasa_shared::db::changes::{ChangeLog, Dependency, triggers};
use brasa_tests::process::{Brasa, Running, Signal, http_get};
use brasa_tests::{World, eventually};

use super::{caches, execute, get, holds, read_until_there, start, thing, with_things};

fn config(value: &str) -> String {
    format!(
        r#"
        [warm.thing]
        for_each = {{ sql = "select id from things", params = ["id"] }}
        sql = "select id, {value} as value from things where id = any($1)"
        key = "KEY:thing:{{@version}}:{{id}}"
        ttl = "1m"
        "#
    )
}

/// A worker that answers for its metrics.
const LISTENING: [&str; 3] = ["worker", "--listen", "127.0.0.1:0"];
/// How many values there are until they end.
const ONCE: &str = r#"brasa_cache_entries{warmer="thing",state="once"}"#;

/// Things by their number, each of which depends on its row.
const WATCHED: &str = r#"
    [warm.thing]
    sql = "select id, name as value from things where id = any($1)"
    params = ["id"]
    key = "KEY:thing:{id}"
    ttl = "1h"
    depends_on = ["things(id)"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_versioned_keys_go_over_to_a_version_when_all_of_it_is_warm() {
    let world = with_things().await;
    let worker = start(&world, &config("name"));
    let current = async || caches(&world).described("thing").await.unwrap().map(|known| known.current);
    let key = |version: &str, id: u32| format!("{}:thing:{version}:{id}", world.prefix);
    let mut first = String::new();
    eventually("the first version is warm", async || {
        first = current().await.unwrap_or_default();
        !first.is_empty() && get(&world, &key(&first, 50)).await.is_some()
    })
    .await;
    worker.drain().await;

    // The new one cannot be loaded yet: its readers stay where they are.
    execute(&world, "alter table things rename column size to bulk").await;
    let worker = start(&world, &config("bulk"));
    execute(&world, "alter table things rename column bulk to size").await;
    worker.drain().await;
    let worker = start(&world, &config("size"));

    let mut second = String::new();
    eventually("readers go over", async || {
        second = current().await.unwrap_or_default();
        second != first
    })
    .await;
    for id in 1..=50 {
        assert_eq!(get(&world, &key(&second, id)).await, Some((id * 10).to_string()));
        assert_eq!(get(&world, &key(&first, id)).await, Some(format!("\"thing {id}\"")));
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_keys_without_a_version_the_new_values_take_the_place_of_the_old_ones() {
    let world = with_things().await;
    let plain = |value: &str| config(value).replace("{@version}:", "");
    let key = format!("{}:thing:7", world.prefix);
    let worker = start(&world, &plain("name"));
    holds(&world, &key, Some("\"thing 7\"")).await;
    worker.drain().await;

    let worker = start(&world, &plain("size"));

    let mut seen = Vec::new();
    eventually("the new value is there", async || {
        let value = get(&world, &key).await;
        seen.push(value.clone());
        value.as_deref() == Some("70")
    })
    .await;
    assert!(seen.iter().all(Option::is_some), "there was a gap: {seen:?}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_deploy_goes_on_what_is_new_is_warmed_by_workers_that_know_it() {
    let world = with_things().await;
    // One that knows nothing of the warmer, and one that knows it as it was; both take jobs.
    let olds = [start(&world, ""), start(&world, &config("name"))];
    let current = async || caches(&world).described("thing").await.unwrap().map(|known| known.current);
    let mut first = String::new();
    eventually("the first version is warm", async || {
        first = current().await.unwrap_or_default();
        !first.is_empty() && get(&world, &format!("{}:thing:{first}:50", world.prefix)).await.is_some()
    })
    .await;
    // It takes no jobs by itself, so that the old ones come to them first.
    let mut new = super::settings(&world, &config("size"));
    let queues = std::mem::take(&mut new.queues);
    new.queues = vec![(world.queue("another"), 1)];
    let new = brasa_tests::Worker::start(new);
    eventually("an old worker has left the job to others", async || {
        let known = caches(&world).described("thing").await.unwrap().unwrap();
        known.version != first
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let known = caches(&world).described("thing").await.unwrap().unwrap();
    assert!(known.version != first && known.current == first, "{known:?}");

    let mut late = super::settings(&world, &config("size"));
    late.queues = queues;
    let late = brasa_tests::Worker::start(late);

    eventually("readers go over", async || current().await.unwrap() != first).await;
    let second = current().await.unwrap();
    assert_eq!(get(&world, &format!("{}:thing:{second}:7", world.prefix)).await.as_deref(), Some("70"));
    for worker in olds.into_iter().chain([new, late]) {
        worker.drain().await;
    }
}

/// Changes of things are logged.
async fn log_things(world: &World) {
    let mut connection = world.pool.acquire().await.unwrap();
    let dependency = Dependency::parse("things(id)").unwrap();
    triggers::install(&mut connection, &[dependency], Duration::from_secs(5)).await.unwrap();
}

/// Waits until somebody has taken all changes out of the log.
async fn all_are_told(world: &World) {
    let log = ChangeLog::of(world.pool.clone());
    eventually("all changes are told", async || log.is_empty().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_a_worker_of_the_old_configuration_did_not_know_what_to_do_with_leave_nothing_stale() {
    let world = with_things().await;
    log_things(&world).await;
    let other = config("name").replace("warm.thing", "warm.other").replace("KEY:thing", "KEY:other");
    let old = start(&world, &other);
    eventually("the old worker carries", async || caches(&world).attendant().await.unwrap().is_some()).await;
    let new = start(&world, &format!("{other}{WATCHED}"));
    let entry = thing(&world, "7");
    read_until_there(&world, &entry).await;

    execute(&world, "update things set name = 'renamed' where id = 7").await;
    all_are_told(&world).await;
    old.drain().await;

    eventually("the value is the new one", async || {
        read_until_there(&world, &entry).await.bytes == b"\"renamed\""
    })
    .await;
    new.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_table_that_came_after_the_worker_are_told() {
    let world = World::new().await;
    brasa_shared::db::migrate(&world.pool).await.unwrap();
    let worker = start(&world, WATCHED);
    eventually("the worker carries", async || caches(&world).attendant().await.unwrap().is_some()).await;
    // It has looked which tables there are.
    tokio::time::sleep(Duration::from_millis(300)).await;
    execute(
        &world,
        "create table things (id int primary key, name text); insert into things values (7, 'a')",
    )
    .await;
    log_things(&world).await;
    let entry = thing(&world, "7");
    read_until_there(&world, &entry).await;

    execute(&world, "update things set name = 'b' where id = 7").await;

    eventually("the value is the new one", async || read_until_there(&world, &entry).await.bytes == b"\"b\"")
        .await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_told_how_long_loads_take_by_now() {
    let world = with_things().await;
    let config = r#"
        [warm.thing]
        sql = "select id, name || pg_sleep(0.6)::text as value from things where id = any($1)"
        params = ["id"]
        key = "KEY:thing:{id}"
        ttl = "1h"
        warm_on = []
    "#;
    let worker = start(&world, config);
    read_until_there(&world, &thing(&world, "7")).await;

    // Four times as long as that is a lease; before, nobody knew.
    eventually("the lease is that of such loads", async || {
        let known = caches(&world).described("thing").await.unwrap();
        known.is_some_and(|known| (2_400..8_000).contains(&known.lease_ms))
    })
    .await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_look_after_the_cache_any_more_tells_no_numbers_of_it() {
    let world = with_things().await;
    let brasa = Brasa::configured(&world, &config("name").replace("KEY", &world.prefix).replace("1m", "1h"));
    let (first, second) = (brasa.start(LISTENING), brasa.start(LISTENING));
    let told = async |process: &Running| {
        let (_, metrics) = http_get(process.address().await, "/metrics").await.unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix(ONCE)).map(str::to_owned);
        line.map_or(0, |count| count.trim().parse::<u32>().unwrap())
    };
    let (mut of_first, mut of_second) = (0, 0);
    eventually("one tells how many values there are", async || {
        (of_first, of_second) = (told(&first).await, told(&second).await);
        of_first + of_second == 50
    })
    .await;
    let (teller, other) = if of_first == 50 { (first, second) } else { (second, first) };

    teller.signal(Signal::Stop);
    eventually("the other one tells it", async || told(&other).await == 50).await;
    teller.signal(Signal::Continue);

    eventually("the first one tells it no more", async || told(&teller).await == 0).await;
    assert_eq!(told(&other).await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_know_what_is_defined_by_those_who_are_left() {
    let world = with_things().await;
    let known = async || caches(&world).described("thing").await.unwrap();
    let old = start(&world, &config("name"));
    eventually("the old one tells readers", async || known().await.is_some()).await;
    eventually("it looks after the cache", async || caches(&world).attendant().await.unwrap().is_some())
        .await;
    let first = known().await.unwrap();
    let new = start(&world, &config("size"));
    eventually("the new one tells readers", async || known().await.unwrap().version != first.version).await;
    // As when the old one runs a job that warms what it knows, and only then goes.
    caches(&world).describe("thing", &first).await.unwrap();

    old.drain().await;

    eventually("readers know what there is", async || known().await.unwrap().version != first.version).await;
    new.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_worker_undoes_what_another_one_told_after_it_looked() {
    let world = with_things().await;
    let worker = start(&world, &config("name"));
    eventually("readers are told", async || caches(&world).described("thing").await.unwrap().is_some()).await;
    worker.drain().await;
    let before = caches(&world).described("thing").await.unwrap().unwrap().tags.len();

    let tellers: Vec<_> = (0..4)
        .map(|teller| {
            let caches = caches(&world);
            tokio::spawn(async move {
                for time in 0..50 {
                    let one_more = |known: Option<&Description>| {
                        let mut known = known.unwrap().clone();
                        known.tags.push(format!("{teller}:{time}"));
                        Some(known)
                    };
                    caches.redescribe("thing", one_more).await.unwrap();
                }
            })
        })
        .collect();
    for teller in tellers {
        teller.await.unwrap();
    }

    let told = caches(&world).described("thing").await.unwrap().unwrap();
    assert_eq!(told.tags.len(), before + 200);
}
