//! What is cached, how well it serves, and what to change.

use brasa_tests::eventually;
use brasa_tests::process::Brasa;
use serde_json::json;

use super::{caches, execute, read, read_until_there, scene, warm_scene};

#[tokio::test(flavor = "multi_thread")]
async fn every_warmer_has_a_line_and_one_that_nobody_serves_is_marked() {
    let (_world, brasa) = scene().await;

    let shown = brasa.run(["cache", "status"]).await.with_code(0).stdout;

    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("WARMER ") && lines[0].contains("REFUSED"), "{shown}");
    assert!(lines[1].starts_with("size * ") && lines[1].contains("asked for"), "{shown}");
    assert!(lines[2].starts_with("thing * ") && lines[2].contains(" all "), "{shown}");
    for part in [
        "* no worker has told of this definition yet",
        "epoch: there is none",
        "attended by nobody",
        "changes of tables: 0 wait",
        "reads with a plain GET are counted by nobody",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_tells_what_it_has_and_how_it_serves() {
    let (world, brasa, _worker) = warm_scene().await;
    for _ in 0..3 {
        read(&world, "thing", "7").await;
    }
    read(&world, "thing", "777").await;

    let status = brasa.run(["cache", "status", "thing", "--json"]).await.json();

    let facts = &status["warmers"]["thing"];
    assert_eq!(
        (&facts["warm"], &facts["once"], &facts["sampled"]),
        (&json!(50), &json!(0), &json!(50)),
        "{facts}"
    );
    assert_eq!(facts["listed"], json!({ "keys": 50, "there": 50 }));
    assert_eq!((&facts["hits"], &facts["misses"]["cold"]), (&json!(3), &json!(1)));
    assert!((900..1_100).contains(&facts["bytes_estimated"].as_u64().unwrap()), "{facts}");
    assert!(facts["next_ms"].as_i64() > facts["filled_ms"].as_i64(), "{facts}");
    assert!(facts["cost_median_us"].as_u64().is_some() && facts["load"].as_f64().is_some(), "{facts}");
    assert_eq!(facts["version"], facts["described"]);
    let whole = &status["cache"];
    assert_eq!((&whole["epoch_goes_on"], &whole["changes_waiting"]), (&json!(true), &json!(0)), "{whole}");
    assert!(whole["attendant"].is_string(), "{whole}");

    let shown = brasa.run(["cache", "status", "thing"]).await.with_code(0).stdout;
    for part in ["50 kept warm", "50 of its 50 key(s) are there", "from a sample of 50", "75.0 %", "1 cold"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_becomes_a_recommendation() {
    let (world, brasa, _worker) = warm_scene().await;
    let counters = [("read_fresh", 50), ("read_expired", 60)].map(|(name, by)| (name.to_owned(), by));
    caches(&world).namespace("thing").count(&counters, &[]).await.unwrap();

    let shown = brasa.run(["cache", "status"]).await.with_code(0).stdout;
    let said =
        "thing: only 45 % of 110 reads found something, and 100 % of the misses were expired: raise `ttl`";
    assert!(shown.contains("recommendations\n") && shown.contains(said), "{shown}");
    let status = brasa.run(["cache", "status", "--json"]).await.json();
    assert_eq!(status["recommendations"][0]["warmer"], json!("thing"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_nobody_carries_are_counted_with_their_age() {
    let (world, brasa) = scene().await;
    let put = "insert into brasa.cache_log (dep, keys, at)
               values ('tag:', '{things}', now() - interval '5 minutes'), ('tag:', '{things}', now())";
    execute(&world, put).await;

    let shown = brasa.run(["cache", "status"]).await.with_code(0).stdout;

    assert!(
        shown.contains("changes of tables: 2 wait to be told to the cache, the oldest from 5 min ago"),
        "{shown}"
    );
    let report = brasa.run(["doctor", "--json"]).await.json_anyway().to_string();
    assert!(report.contains("2 change(s) wait to be told to the cache, the oldest for 5 min"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn warmers_of_others_are_named_and_redis_is_enough_to_look() {
    let (world, brasa, mut worker) = warm_scene().await;
    eventually("a worker has told of its warmers", async || {
        caches(&world).described("size").await.unwrap().is_some()
    })
    .await;
    read_until_there(&world, "size", "7").await;
    worker.kill().await;
    drop(brasa);

    let other = Brasa::configured(&world, "").without("DATABASE_URL");
    let shown = other.run(["cache", "status"]).await.with_code(0).stdout;

    assert!(shown.starts_with("no warmers are configured\n"), "{shown}");
    assert!(shown.contains("also known in Redis, and not in this configuration: size, thing"), "{shown}");
    assert!(!shown.contains("changes of tables"), "{shown}");
}
