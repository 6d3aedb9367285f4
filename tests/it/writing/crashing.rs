//! Writers that die, that are overtaken, and that lose their Redis.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_jobs::writes::{FlushError, Flusher, Gathered, Table};
use brasa_shared::db::writes::{StreamOf, take};
use brasa_shared::store::Store;
use brasa_shared::streams::{Room, Streams};
use brasa_tests::process::Brasa;
use brasa_tests::{World, eventually};
use rand::RngExt as _;
use serde_json::json;

use super::{CONFIG, add, buried, done, scene, start, streams};

const LEASE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_was_overtaken_writes_nothing_and_what_is_written_but_not_trimmed_is_not_written_again()
{
    let world = scene().await;
    let config = world.config(CONFIG);
    let write = &config.writes["pages"];
    let stream = StreamOf { name: "pages".to_owned(), part: 0 };
    let mut connection = world.pool.acquire().await.unwrap();
    let table = Table::look(&mut connection, write).await.unwrap();
    let flusher = Flusher { write, table: &table, stream: &stream, lease: LEASE };
    add(&world, "pages", r#"{"page": "/", "hits": 1}"#).await;

    // The first one's lease is over at once.
    let first = take(&mut connection, &stream, "first", Duration::ZERO).await.unwrap().unwrap();
    let second = take(&mut connection, &stream, "second", LEASE).await.unwrap().unwrap();
    assert_eq!(take(&mut connection, &stream, "third", LEASE).await.unwrap(), None);
    let entries = streams(&world).read("pages", 0, first.place, 10).await.unwrap();
    let gathered = Gathered::read(entries, write, &table).await;
    let late = flusher.flush(&mut connection, &first, &gathered).await;
    assert!(matches!(late, Err(FlushError::Lost)), "{late:?}");
    assert_eq!(world.rows("select * from pages").await, json!([]));

    let (now, _) = flusher.flush(&mut connection, &second, &gathered).await.unwrap();
    assert_eq!(Some(now.place), gathered.last());
    // As if the answer of the commit had been lost, and it was done again.
    let again = flusher.flush(&mut connection, &second, &gathered).await;
    assert!(matches!(again, Err(FlushError::Lost)), "{again:?}");
    world.execute("update brasa.write_offsets set lease_until = '-infinity'").await;

    let worker = start(&world, CONFIG);
    add(&world, "pages", r#"{"page": "/", "hits": 10}"#).await;
    done(&world, "pages", 2).await;
    assert_eq!(world.rows("select hits from pages").await, json!([{ "hits": 11 }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_workers_are_killed_every_row_is_written_once() {
    let world = scene().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let all = 6_000_i64;
    let producer = tokio::spawn({
        let streams = streams(&world);
        async move {
            let room = Room { entries: 100_000, drops_oldest: false };
            for id in 0..all {
                let visit = format!(r#"{{"id": {id}, "page": "/{}"}}"#, id % 10);
                let page = format!(r#"{{"page": "/{}", "hits": 1}}"#, id % 10);
                streams.add("visits", 0, &[visit.as_bytes()], room).await.unwrap();
                streams.add("pages", 0, &[page.as_bytes()], room).await.unwrap();
            }
        }
    });
    for _ in 0..4 {
        let mut worker = brasa.start(["worker"]);
        let life = Duration::from_millis(rand::rng().random_range(300..2_500));
        tokio::time::sleep(life).await;
        worker.kill().await;
    }
    producer.await.unwrap();
    let _worker = brasa.start(["worker"]);
    done(&world, "visits", all).await;
    done(&world, "pages", all).await;

    let visits = world.rows("select count(*) as n, count(distinct id) as different from visits").await;
    assert_eq!(visits, json!([{ "n": all, "different": all }]));
    assert_eq!(
        world.rows("select sum(hits) as hits, count(*) as pages from pages").await,
        json!([{ "hits": all, "pages": 10 }])
    );
    // Written twice, the primary key would have refused the second.
    assert_eq!(buried(&world, "visits").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_behind_what_is_written_goes_on_behind_it() {
    let world = scene().await;
    let worker = start(&world, CONFIG);
    add(&world, "visits", r#"{"id": 1, "page": "/"}"#).await;
    done(&world, "visits", 1).await;
    worker.drain().await;
    // As a server would be that lost its memory and whose clock is an hour behind.
    world.execute("update brasa.write_offsets set ms = ms + 3600000").await;

    let worker = start(&world, CONFIG);
    brasa_tests::eventually("the stream goes on behind", async || {
        let ahead = streams(&world).extent("visits", 0).await.unwrap().last.ms;
        ahead > world.clock.now().as_millisecond() + 3_000_000
    })
    .await;
    add(&world, "visits", r#"{"id": 2, "page": "/"}"#).await;
    done(&world, "visits", 2).await;
    assert_eq!(world.rows("select count(*) as n from visits").await, json!([{ "n": 2 }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_numbered_rows_are_told_apart_and_of_others_somebody_is_asked() {
    let world = scene().await;
    let primary = RedisServer::start(RedisOptions::default()).unwrap();
    let port = primary.port();
    let extra = vec![("replicaof".to_owned(), format!("127.0.0.1 {port}"))];
    let replica = RedisServer::start(RedisOptions { extra, ..RedisOptions::default() }).unwrap();
    let (before, after) = (Store::open(primary.url()).unwrap(), Store::open(replica.url()).unwrap());
    let start = |store: &Store| {
        let mut settings = world.settings(brasa_jobs::catalog(), CONFIG);
        let pool = world.another_pool(4, Duration::from_secs(5));
        settings.writes = Some(brasa_worker::writes::Settings { store: store.apart(), pool });
        brasa_tests::Worker::start(settings)
    };
    let key = streams(&world).key("visits", 0);
    let send = async |store: &Store, place: &str, id: i64, number: Option<i64>| {
        let mut add = redis::cmd("XADD");
        add.arg(&key).arg(place).arg("d").arg(format!(r#"{{"id": {id}, "page": "/"}}"#));
        if let Some(number) = number {
            add.arg("p").arg("web-1").arg("n").arg(number);
        }
        let _place: String = store.run("hand over a row", &add).await.unwrap();
    };
    let worker = start(&before);
    send(&before, "*", 1, Some(1)).await;
    send(&before, "*", 2, None).await;
    done(&world, "visits", 2).await;
    worker.drain().await;
    let written = super::state(&world, "visits").await.unwrap().place;

    eventually("the replica has it all", async || {
        streams_on(&world, &after).extent("visits", 0).await.is_ok_and(|extent| extent.last == written)
    })
    .await;
    drop(primary);
    let () = after.run("take over", redis::cmd("REPLICAOF").arg("NO").arg("ONE")).await.unwrap();
    // As if it had not heard that rows were trimmed, and gave their places to new ones.
    let _gone: i64 = after.run("forget a stream", redis::cmd("DEL").arg(&key)).await.unwrap();
    let at = |back_ms: i64, seq: i64| format!("{}-{seq}", written.ms - back_ms);
    send(&after, &at(60_000, 0), 90, None).await;
    send(&after, &at(20, 0), 1, Some(1)).await;
    send(&after, &at(20, 1), 3, Some(2)).await;
    send(&after, &at(10, 0), 4, None).await;
    let worker = start(&after);
    done(&world, "visits", 4).await;
    send(&after, "*", 5, Some(3)).await;
    done(&world, "visits", 5).await;

    let found = world.rows("select id from visits order by id").await;
    assert_eq!(found, json!([{ "id": 1 }, { "id": 2 }, { "id": 3 }, { "id": 5 }]));
    let dead = buried(&world, "visits").await;
    assert_eq!(dead.len(), 1);
    assert!(
        dead[0].buried.message.contains("nobody knows") && dead[0].buried.payload.starts_with(b"{\"id\": 4")
    );
    assert_eq!(super::state(&world, "visits").await.unwrap().lost, 0);
    worker.drain().await;
}

fn streams_on(world: &World, store: &Store) -> Streams {
    Streams::new(store.clone(), &world.prefix)
}
