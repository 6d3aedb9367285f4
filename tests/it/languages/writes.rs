//! Handing over rows in other languages.

use std::time::Duration;

use brasa_jobs::catalog;
use brasa_shared::db::migrate;
use brasa_tests::{Proxy, Worker, World, eventually};
use serde_json::json;

use super::installed::Language;
use super::reader::Reader;

const CONFIG: &str = "[writes.visits]\ntable = \"visits\"\npartitions = 3\norder_by = [\"page\", \"day\"]\n";

/// Rows come into their streams, in their order, and are written once, though answers are lost.
async fn rows_are_handed_over_and_written_once(language: Language) {
    let Some(installed) = language.installed().await else { return };
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world.execute("create table visits (id int, page text, day int, note text)").await;
    let proxy = Proxy::to(&world.redis_url).await;
    let (snippet, program, argument) = match language {
        Language::Python => ("brasa_writes.py", "writer.py", ""),
        _ => ("brasa-writes.mjs", "writer.mjs", "redis"),
    };
    let mut writer = Reader::of(&installed, &world, &proxy.url(), [snippet, program], argument);
    let told = |from: u32, max_rows: u32| {
        let row = |id| json!({ "id": id, "page": format!("/{}é", id % 7), "day": id % 3, "note": null });
        let rows: Vec<_> = (from..from + 50).map(row).collect();
        json!({ "name": "visits", "partitions": 3, "order_by": ["page", "day"], "max_rows": max_rows, "rows": rows })
    };
    assert_eq!(writer.tell(&told(0, 1_000)).await, json!({ "full": 0 }));
    for round in 1..4 {
        proxy.sever();
        proxy.swallow_next_answer();
        assert_eq!(writer.tell(&told(round * 50, 1_000)).await, json!({ "full": 0 }), "round {round}");
    }
    let mut full = Reader::of(&installed, &world, &proxy.url(), [snippet, program], argument);
    assert_eq!(full.tell(&told(9_000, 1)).await, json!({ "full": 50 }));

    let mut settings = world.settings(catalog(), CONFIG);
    let pool = world.another_pool(3, Duration::from_secs(5));
    settings.writes = Some(brasa_worker::writes::Settings { store: world.store.apart(), pool });
    let worker = Worker::start(settings);
    let seen = "select count(*) as n, count(distinct id) as d, count(distinct page) as pages from visits";
    eventually("all are written", async || {
        world.rows(seen).await == json!([{ "n": 200, "d": 200, "pages": 7 }])
    })
    .await;
    let sums = world.rows("select sum(dead) as dead, (select sum(lost) from brasa.write_producers) as lost from brasa.write_offsets");
    assert_eq!(sums.await, json!([{ "dead": 0, "lost": 0 }]));
    // All rows of a key went one way: the same as those of the crate.
    let key = |part| format!("{}:writes:{{visits:{part}}}", world.prefix);
    for part in 0..3 {
        let length: i64 = world.redis(redis::cmd("EXISTS").arg(key(part))).await;
        assert_eq!(length, 1, "stream {part} has been used");
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_handed_over_in_python() {
    rows_are_handed_over_and_written_once(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_handed_over_in_node() {
    rows_are_handed_over_and_written_once(Language::Node).await;
}
