//! Producers that number their rows, the writer for Rust, the snippets for other languages, and the kind of job.

use brasa_jobs::writes::{Handed, WriteError, Writer};
use brasa_jobs::{Store, catalog};
use brasa_tests::{Proxy, Worker};
use redis::cmd;
use serde_json::json;

use super::{CONFIG, done, scene, start, state, streams};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_again_is_written_once_and_one_that_does_not_come_is_counted() {
    let world = scene().await;
    let key = streams(&world).key("visits", 0);
    let send = async |number: i64, id: i64| {
        let row = format!(r#"{{"id": {id}, "page": "/"}}"#);
        let mut add = cmd("XADD");
        add.arg(&key).arg("*").arg("d").arg(row).arg("p").arg("web-1").arg("n").arg(number);
        world.redis::<String>(&add).await;
    };
    // The second is sent again, the fourth does not come, the sixth comes before the fifth; and the same once more later.
    for number in [1, 2, 2, 3, 6, 5] {
        send(number, number).await;
    }
    let worker = start(&world, CONFIG);
    done(&world, "visits", 6).await;
    let found = state(&world, "visits").await.unwrap();
    assert_eq!((found.done.rows, found.done.doubled, found.lost), (5, 1, 1));
    for number in [6, 5, 1] {
        send(number, number + 100).await;
    }
    done(&world, "visits", 9).await;
    send(4, 4).await;
    done(&world, "visits", 10).await;
    let found = state(&world, "visits").await.unwrap();
    assert_eq!(
        (found.done.rows, found.done.doubled, found.lost, found.done.dead),
        (6, 4, 0, 0),
        "late is not lost"
    );
    assert_eq!(world.rows("select id from visits order by id").await.as_array().unwrap().len(), 6);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writer_hands_over_again_what_nobody_answered_and_it_is_written_once() {
    let world = scene().await;
    let text =
        CONFIG.replace("table = \"visits\"", "table = \"visits\"\npartitions = 3\norder_by = [\"page\"]");
    let proxy = Proxy::to(&world.redis_url).await;
    let config = world.config(&text);
    let writer = Writer::open(&config, "visits", Store::open(&proxy.url()).unwrap()).unwrap();
    let worker = start(&world, &text);
    let rows = |from: u32| {
        (from..from + 40).map(|id| json!({ "id": id, "page": format!("/{}", id % 10) })).collect::<Vec<_>>()
    };
    assert_eq!(writer.add_all(&rows(0)).await.unwrap(), Handed::Over { dropped: 0 });
    // The answers are lost, but not what was asked.
    for round in 1..6 {
        proxy.swallow_next_answer();
        writer.add_all(&rows(round * 40)).await.unwrap();
    }
    assert_eq!(writer.add(&json!({ "id": 1_000, "page": "/" })).await.unwrap(), Handed::Over { dropped: 0 });
    brasa_tests::eventually("all are written", async || {
        world.rows("select count(*) as n, count(distinct id) as d from visits").await
            == json!([{ "n": 241, "d": 241 }])
    })
    .await;
    let dead = world.rows("select coalesce(sum(dead), 0) as n from brasa.write_offsets").await;
    assert_eq!(dead, json!([{ "n": 0 }]), "what came again did not meet the primary key");
    let unknown = Writer::open(&config, "visit", world.store.clone()).unwrap_err().to_string();
    assert!(unknown.contains("did you mean `visits`?"), "{unknown}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_for_which_there_is_no_room_are_refused_or_written_at_once() {
    let world = scene().await;
    let text =
        CONFIG.replacen("table = \"visits\"", "table = \"visits\"\nmax_rows = 2\nwhen_full = \"direct\"", 1);
    let config = world.config(&text);
    let row = |id: u32| json!({ "id": id, "page": "/" });
    let writer = Writer::open(&config, "visits", world.store.clone()).unwrap();
    writer.add_all(&[row(1), row(2)]).await.unwrap();
    assert!(matches!(writer.add(&row(3)).await, Err(WriteError::Full(2))), "nobody gave it a pool");
    let writer = writer.with_pool(world.pool.clone());
    assert_eq!(writer.add(&row(3)).await.unwrap(), Handed::Written);
    assert_eq!(world.rows("select id from visits").await, json!([{ "id": 3 }]));
    let refused = writer.add(&json!({ "id": 4, "page": null })).await.unwrap_err().to_string();
    assert!(refused.contains("column `page` must not be NULL"), "{refused}");

    let worker = start(&world, &text);
    done(&world, "visits", 2).await;
    writer.add(&row(5)).await.unwrap();
    done(&world, "visits", 3).await;
    assert_eq!(state(&world, "visits").await.unwrap().lost, 0, "what there was no room for has no number");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_writes_what_waits_whether_or_not_somebody_else_does() {
    let world = scene().await;
    for id in 0..1_500 {
        super::add(&world, "visits", &format!(r#"{{"id": {id}, "page": "/"}}"#)).await;
    }
    // Nobody writes streams here but the job.
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    let flush = world.enqueue("writes.flush", json!({ "name": "visits" })).await;
    assert_eq!(world.result(&flush).await, json!({ "rows": 1_500 }));
    let count = world.rows("select count(*) as n from visits").await;
    assert_eq!(count, json!([{ "n": 1_500 }]));
    worker.drain().await;

    let worker = start(&world, CONFIG);
    super::add(&world, "visits", r#"{"id": 2000, "page": "/"}"#).await;
    let flush = world.enqueue("writes.flush", json!({ "name": "visits" })).await;
    world.result(&flush).await;
    let last = world.rows("select id from visits where id = 2000").await;
    assert_eq!(last, json!([{ "id": 2000 }]), "it is written when the job has ended, whoever did it");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_with_a_name_that_is_none_harms_nobody() {
    let world = scene().await;
    let key = streams(&world).key("visits", 0);
    let names = ["x".repeat(6_000), "with\0nul".to_owned(), String::new(), "good".to_owned()];
    for (id, name) in names.iter().enumerate() {
        let row = format!(r#"{{"id": {id}, "page": "/"}}"#);
        let mut add = cmd("XADD");
        add.arg(&key).arg("*").arg("d").arg(row).arg("p").arg(name).arg("n").arg(1);
        world.redis::<String>(&add).await;
    }
    let worker = start(&world, CONFIG);
    done(&world, "visits", 4).await;
    assert_eq!(state(&world, "visits").await.unwrap().done.rows, 4);
    assert_eq!(
        world.rows("select producer from brasa.write_producers").await,
        json!([{ "producer": "good" }])
    );
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_writes_what_waits_ends_where_the_last_entry_was_deleted() {
    let world = scene().await;
    let key = streams(&world).key("visits", 0);
    super::add(&world, "visits", r#"{"id": 1, "page": "/"}"#).await;
    let last: String = world.redis(cmd("XADD").arg(&key).arg("*").arg("d").arg("{}")).await;
    let _deleted: i64 = world.redis(cmd("XDEL").arg(&key).arg(last)).await;
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    let flush = world.enqueue("writes.flush", json!({ "name": "visits" })).await;
    assert_eq!(world.result(&flush).await, json!({ "rows": 1 }));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_waiting_takes_no_number_from_those_who_come_later() {
    let world = scene().await;
    let proxy = Proxy::to(&world.redis_url).await;
    let writer = Writer::open(&world.config(CONFIG), "visits", Store::open(&proxy.url()).unwrap()).unwrap();
    writer.add(&json!({ "id": 1, "page": "/" })).await.unwrap();
    proxy.delay(std::time::Duration::from_millis(300));
    let row = json!({ "id": 2, "page": "/" });
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(30), writer.add(&row)).await;
    assert!(given_up.is_err(), "nobody answered");
    proxy.delay(std::time::Duration::ZERO);
    writer.add(&json!({ "id": 3, "page": "/" })).await.unwrap();
    let worker = start(&world, CONFIG);
    brasa_tests::eventually("the third is written", async || {
        world.rows("select id from visits where id = 3").await == json!([{ "id": 3 }])
    })
    .await;
    worker.drain().await;
}
