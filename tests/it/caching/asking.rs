//! A reader asks, a worker answers.

use std::time::Duration;

use brasa_shared::cache::{Asking, Standing, Why};
use brasa_tests::eventually;
use redis::cmd;

use super::{caches, execute, get, holds, read, read_until_there, start, thing, with_things};

/// Things by their number, when somebody asks for them.
const ON_DEMAND: &str = r#"
    [warm.thing]
    sql = "select id, jsonb_build_object('name', name) as value from things where id = any($1)"
    params = ["id int4"]
    key = "KEY:thing:{id}"
    ttl = "1m"
    stale = "1m"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_value_is_asked_for_once_and_brought_by_a_worker() {
    let world = with_things().await;
    let worker = start(&world, ON_DEMAND);
    let entry = thing(&world, "7");

    let first = read(&world, &entry).await;
    assert_eq!((first.standing, first.why), (Standing::Asked, Some(Why::Cold)));

    let there = read_until_there(&world, &entry).await;
    assert_eq!(String::from_utf8(there.bytes).unwrap(), r#"{"name": "thing 7"}"#);
    assert_eq!(get(&world, &entry.key).await.as_deref(), Some(r#"{"name": "thing 7"}"#));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_known_not_to_be_there() {
    let world = with_things().await;
    let worker = start(&world, ON_DEMAND);
    let entry = thing(&world, "777");

    assert_eq!(read_until_there(&world, &entry).await.standing, Standing::None);

    assert_eq!(get(&world, &entry.key).await, None);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_the_database_cannot_read_spoil_nothing_for_the_others() {
    let world = with_things().await;
    let entries: Vec<_> = ["1", "x", "2", "99999999999", "3"].map(|id| thing(&world, id)).into();
    // All are asked for before a worker is there, so that they come in one batch.
    for entry in &entries {
        assert_eq!(read(&world, entry).await.standing, Standing::Asked);
    }
    let worker = start(&world, ON_DEMAND);

    for id in ["1", "2", "3"] {
        let there = read_until_there(&world, &thing(&world, id)).await;
        assert_eq!(there.standing, Standing::Fresh);
    }
    assert_eq!(get(&world, &thing(&world, "x").key).await, None);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_parameters_do_not_make_is_not_loaded() {
    let world = with_things().await;
    let worker = start(&world, ON_DEMAND);
    let mut entry = thing(&world, "1");
    entry.params = r#"["2"]"#.to_owned();
    let asking = Asking { token: Some("t"), lease: Duration::from_secs(5), is_counted: false, hot: 0 };
    caches(&world).namespace("thing").read(&entry, asking).await.unwrap();

    // What is asked for after it is brought, so it has been looked at.
    read_until_there(&world, &thing(&world, "3")).await;

    assert_eq!(get(&world, &entry.key).await, None);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stampede_of_readers_costs_one_load() {
    let world = with_things().await;
    let config = r#"
        [warm.thing]
        sql = "select id, pg_sleep(0.2)::text || clock_timestamp() as value from things where id = any($1)"
        params = ["id"]
        key = "KEY:thing:{id}"
        ttl = "1m"
    "#;
    let workers = [start(&world, config), start(&world, config), start(&world, config)];
    let entry = thing(&world, "7");

    let mut readers = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (namespace, entry) = (caches(&world).namespace("thing"), entry.clone());
        readers.spawn(async move {
            let token = n.to_string();
            let asking =
                Asking { token: Some(&token), lease: Duration::from_secs(5), is_counted: true, hot: 0 };
            loop {
                let answer = namespace.read(&entry, asking).await.unwrap();
                if answer.standing == Standing::Fresh {
                    return answer.bytes;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    let mut values = std::collections::BTreeSet::new();
    while let Some(value) = readers.join_next().await {
        values.insert(value.unwrap());
    }

    assert_eq!(values.len(), 1);
    assert_eq!(caches(&world).namespace("thing").stats().await.unwrap().get("fill_filled"), 1);
    for worker in workers {
        worker.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_value_is_served_while_it_is_loaded_again() {
    let world = with_things().await;
    let config = ON_DEMAND.replace("ttl = \"1m\"", "ttl = \"1s\"\njitter = \"0s\"");
    let worker = start(&world, &config);
    let entry = thing(&world, "7");
    read_until_there(&world, &entry).await;
    execute(&world, "update things set name = 'renamed' where id = 7").await;

    let mut seen = Vec::new();
    eventually("the value is loaded again", async || {
        let answer = read(&world, &entry).await;
        seen.push((answer.standing, answer.bytes.clone()));
        answer.bytes == br#"{"name": "renamed"}"#
    })
    .await;

    // At no time was there nothing.
    assert!(
        seen.iter().all(|(standing, _)| matches!(standing, Standing::Fresh | Standing::Stale)),
        "{seen:?}"
    );
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_whose_worker_died_is_made_again_when_its_lease_is_over() {
    let world = with_things().await;
    let entry = thing(&world, "7");
    let namespace = caches(&world).namespace("thing");
    let asking = Asking { token: Some("t"), lease: Duration::from_millis(300), is_counted: false, hot: 0 };
    assert_eq!(namespace.read(&entry, asking).await.unwrap().standing, Standing::Asked);
    // Somebody takes the ask, and is never seen again.
    assert_eq!(namespace.asks(10).await.unwrap().len(), 1);
    assert_eq!(namespace.read(&entry, asking).await.unwrap().standing, Standing::Busy);

    let worker = start(&world, ON_DEMAND);

    assert_eq!(read_until_there(&world, &entry).await.standing, Standing::Fresh);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_counted_by_what_they_found() {
    let world = with_things().await;
    let worker = start(&world, ON_DEMAND);
    let entry = thing(&world, "7");
    let namespace = caches(&world).namespace("thing");
    read(&world, &entry).await;
    eventually("it is there", async || get(&world, &entry.key).await.is_some()).await;
    for _ in 0..5 {
        read(&world, &entry).await;
    }
    world.redis::<i64>(cmd("DEL").arg(&entry.key)).await;
    read(&world, &entry).await;

    let stats = namespace.stats().await.unwrap();

    assert_eq!((stats.hits(), stats.misses()["cold"], stats.misses()["evicted"]), (5, 1, 1), "{stats:?}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_a_padded_type_are_not_cut_to_one_letter() {
    let world = with_things().await;
    execute(&world, "create table airports (code char(3) primary key); insert into airports values ('JFK')")
        .await;
    let config = r#"
        [warm.thing]
        sql = "select code, code as value from airports where code = any($1)"
        params = ["code"]
        key = "KEY:thing:{code}"
        ttl = "1m"
    "#;
    let worker = start(&world, config);

    let there = read_until_there(&world, &thing(&world, "JFK")).await;

    assert_eq!(String::from_utf8(there.bytes).unwrap(), "\"JFK\"");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_asks_that_waited_the_one_whose_lease_goes_on_is_answered() {
    let world = with_things().await;
    let entry = thing(&world, "7");
    let namespace = caches(&world).namespace("thing");
    let asking = |token, lease| Asking { token: Some(token), lease, is_counted: false, hot: 0 };
    let short = asking("first", Duration::from_millis(1));
    assert_eq!(namespace.read(&entry, short).await.unwrap().standing, Standing::Asked);
    tokio::time::sleep(Duration::from_millis(10)).await;
    // Longer than anybody waits here.
    let long = asking("second", Duration::from_hours(1));
    assert_eq!(namespace.read(&entry, long).await.unwrap().standing, Standing::Asked);

    let worker = start(&world, ON_DEMAND);

    assert_eq!(read_until_there(&world, &entry).await.standing, Standing::Fresh);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_spells_parameters_otherwise_than_the_database_spoils_nothing_for_the_others() {
    let world = with_things().await;
    // One batch, as in `parameters_that_the_database_cannot_read_spoil_nothing_for_the_others`.
    for id in ["1", "07", "2", "+9", "3", "7"] {
        assert_eq!(read(&world, &thing(&world, id)).await.standing, Standing::Asked);
    }
    let worker = start(&world, ON_DEMAND);

    // Nobody asks again.
    for id in ["1", "2", "3", "7"] {
        let value = format!("{{\"name\": \"thing {id}\"}}");
        holds(&world, &thing(&world, id).key, Some(&value)).await;
    }
    // Nor is it said that there is no such thing: beside its right name, the loader gave no row for it.
    let look = caches(&world).look(&thing(&world, "07").key).await.unwrap();
    assert_eq!((look.note, look.lease), (None, None));
    // What the table calls 7 would never be told that it changed under another name.
    assert_eq!(get(&world, &thing(&world, "07").key).await, None);
    worker.drain().await;
}
