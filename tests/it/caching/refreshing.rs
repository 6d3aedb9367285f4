//! What is kept warm stays warm.

use std::time::{Duration, Instant};

use brasa_shared::cache::{Asking, params_of};
use brasa_tests::eventually;

use super::{caches, execute, get, holds, read_until_there, start, thing, with_things};

const ALWAYS: &str = r#"
    [warm.thing]
    for_each = { sql = "select id from things", params = ["id"] }
    sql = "select id, to_jsonb(name) as value from things where id = any($1)"
    key = "KEY:thing:{id}"
    ttl = "1500ms"
    refresh_ahead = "1s"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_warmer_is_warmed_as_soon_as_a_worker_knows_it() {
    let world = with_things().await;
    let worker = start(&world, ALWAYS);

    for id in ["1", "25", "50"] {
        holds(&world, &thing(&world, id).key, Some(&format!("\"thing {id}\""))).await;
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_loaded_again_before_they_end_so_that_no_reader_meets_a_gap() {
    let world = with_things().await;
    let worker = start(&world, ALWAYS);
    let keys: Vec<String> = (1..=50).map(|id| thing(&world, &id.to_string()).key).collect();
    eventually("all are there", async || {
        let found: Vec<Option<String>> = world.redis(redis::cmd("MGET").arg(&keys)).await;
        found.iter().all(Option::is_some)
    })
    .await;

    // Three lives long.
    let begun = Instant::now();
    let mut gaps = 0;
    while begun.elapsed() < Duration::from_millis(4_500) {
        let found: Vec<Option<String>> = world.redis(redis::cmd("MGET").arg(&keys)).await;
        gaps += found.iter().filter(|value| value.is_none()).count();
    }

    assert_eq!(gaps, 0);
    let stats = caches(&world).namespace("thing").stats().await.unwrap();
    assert!(stats.get("fill_filled") >= 200, "{stats:?}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_gone_is_no_longer_kept_warm() {
    let world = with_things().await;
    let worker = start(&world, ALWAYS);
    let key = thing(&world, "7").key;
    holds(&world, &key, Some("\"thing 7\"")).await;

    execute(&world, "delete from things where id = 7").await;

    holds(&world, &key, None).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_where_nobody_is_to_know_that_there_is_nothing_either() {
    let world = with_things().await;
    let worker = start(&world, &format!("{ALWAYS}negative_ttl = \"0s\"\nstale = \"1h\"\n"));
    let key = thing(&world, "7").key;
    holds(&world, &key, Some("\"thing 7\"")).await;

    execute(&world, "delete from things where id = 7").await;

    holds(&world, &key, None).await;
    let extent = caches(&world).namespace("thing").extent().await.unwrap();
    assert_eq!((extent.warm, extent.negatives), (49, 0));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_transaction_invalidated_is_loaded_again_though_nobody_asks() {
    let world = with_things().await;
    let worker = start(&world, &ALWAYS.replace("1500ms", "1h").replace("1s", "1m"));
    let key = thing(&world, "7").key;
    holds(&world, &key, Some("\"thing 7\"")).await;

    let text = format!(
        "begin; update things set name = 'renamed' where id = 7; select brasa.invalidate_key('{key}'); commit"
    );
    execute(&world, &text).await;

    holds(&world, &key, Some("\"renamed\"")).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_warmer_that_keeps_what_is_hot_only_what_is_read_stays() {
    let world = with_things().await;
    let config = r#"
        [warm.thing]
        sql = "select id, to_jsonb(name) as value from things where id = any($1)"
        params = ["id"]
        key = "KEY:thing:{id}"
        ttl = "3s"
        refresh_ahead = "1s"
        hot_max = 1
    "#;
    let worker = start(&world, config);
    for id in ["1", "2", "3"] {
        read_until_there(&world, &thing(&world, id)).await;
    }
    let namespace = caches(&world).namespace("thing");
    // One is read by readers that tell so, one by plain GETs, and one by nobody.
    namespace.count(&[], &[(params_of(&["1"]), 5)]).await.unwrap();

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        assert!(
            get(&world, &thing(&world, "2").key).await.is_some() || begun.elapsed() < Duration::from_secs(1)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    assert!(caches(&world).look(&thing(&world, "1").key).await.unwrap().is_standing);
    // Redis counts whole seconds: what was read in the second after it came may be kept for one more round.
    eventually("what nobody reads is gone", async || {
        !caches(&world).look(&thing(&world, "3").key).await.unwrap().is_standing
    })
    .await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_most_is_counted_in_a_bounded_number_of_counters() {
    let world = with_things().await;
    let namespace = caches(&world).namespace("thing");
    // 3,000 that are read once, among them one that is read often.
    for chunk in 0..30 {
        let samples: Vec<(String, u32)> = (0..100)
            .map(|n| (params_of(&[(chunk * 100 + n).to_string()]), 1))
            .chain([(params_of(&["hot"]), 40)])
            .collect();
        namespace.count(&[], &samples).await.unwrap();
    }

    let hot = namespace.hot(5_000).await.unwrap();

    assert_eq!(hot.len(), 1_024);
    assert_eq!(hot[0].0, params_of(&["hot"]));
    namespace.cool().await.unwrap();
    let cooled = namespace.hot(1).await.unwrap()[0].1;
    assert!((cooled * 2.0 - hot[0].1).abs() < 1e-9, "{cooled} {}", hot[0].1);
    let entry = thing(&world, "1");
    let asking = Asking { hot: 3, ..Asking::default() };
    namespace.read(&entry, asking).await.unwrap();
    assert_eq!(namespace.hot(5_000).await.unwrap().len(), 1_024);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_loaded_together_is_kept_warm_again_when_its_source_is_back() {
    let world = with_things().await;
    let config = r#"
        [warm.thing]
        sql = "select id, name as value from things"
        key = "KEY:thing:{id}"
        ttl = "1s"
        jitter = "0s"
        refresh_ahead = "500ms"
    "#;
    let worker = start(&world, config);
    let key = thing(&world, "7").key;
    holds(&world, &key, Some("\"thing 7\"")).await;
    execute(&world, "alter table things rename to gone").await;
    holds(&world, &key, None).await;
    // By then the job that was to load them has given up.
    tokio::time::sleep(Duration::from_secs(1)).await;

    execute(&world, "alter table gone rename to things; delete from things where id = 8").await;

    holds(&world, &key, Some("\"thing 7\"")).await;
    eventually("a row that is gone is not due any more", async || {
        caches(&world).namespace("thing").extent().await.unwrap().warm == 49
    })
    .await;
    worker.drain().await;
}
