//! Figures in Redis: a dashboard is one GET.

use brasa_tests::eventually;
use redis::cmd;
use serde_json::{Value, json};

use super::{CONFIG, NAMES, installed, scene, settled, start};

/// Everything in one key, and one for each shop.
fn config() -> String {
    CONFIG.replacen("tz =", "publish = { key = \"KEY:daily\", buckets = 3 }\ntz =", 1).replacen(
        "bucket = \"hour\"",
        "publish = { key = \"KEY:peaks:{shop}\", buckets = 2 }\nbucket = \"hour\"",
        1,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_buckets_are_published_when_they_change_and_again_when_redis_forgot_them() {
    let world = scene().await;
    let text = config().replace("KEY", &world.prefix);
    let config = world.config(&text);
    let worker = start(&world, &text);
    for name in NAMES {
        installed(&world, &config, name).await;
    }
    let read = async |key: &str| {
        let text: Option<String> = world.redis(cmd("GET").arg(format!("{}:{key}", world.prefix))).await;
        text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    };
    let shops = ["peaks:a", "peaks:b", "peaks:"];
    for key in shops.into_iter().chain(["daily"]) {
        eventually(&format!("{key} is published"), async || read(key).await.is_object()).await;
    }
    let rows = read("daily").await["rows"].clone();
    let truth =
        "select * from brasa.agg_daily where bucket >= (select min(bucket) from (select distinct bucket from
        brasa.agg_daily order by 1 desc limit 3) b) order by bucket desc, shop desc, kind desc";
    assert_eq!(rows, world.rows(truth).await);
    assert!(read("daily").await["as_of"].is_string());
    assert_eq!(read("peaks:a").await["rows"].as_array().unwrap().len(), 2);

    world.execute("insert into sales (at, shop, kind, units) values (now(), 'a', 1, 41)").await;
    eventually("what changed is published", async || {
        read("daily").await["rows"][0]["units"] == json!(41)
            && read("peaks:a").await["rows"][0]["n"] == json!(1)
    })
    .await;

    // As if all of Redis had been flushed, without harm to other tests.
    for key in ["daily", "peaks:a", "boards:{daily}:versions", "boards:{peaks}:versions"] {
        let _gone: i64 = world.redis(cmd("DEL").arg(format!("{}:{key}", world.prefix))).await;
    }
    eventually("it is there again", async || {
        read("daily").await["rows"][0]["units"] == json!(41) && read("peaks:a").await.is_object()
    })
    .await;
    for name in NAMES {
        settled(&world, name).await;
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_figures_never_take_the_place_of_newer_ones() {
    let world = brasa_tests::World::of_queues();
    let boards = brasa_shared::boards::Boards::new(world.store.clone(), &world.prefix);
    let key = format!("{}:board", world.prefix);
    assert!(boards.is_forgotten("it", "board").await.unwrap());
    for (version, figures, is_put) in
        [(5, "five", true), (4, "four", false), (5, "five again", true), (6, "six", true)]
    {
        assert_eq!(
            boards.publish(("it", "board"), &key, version, figures).await.unwrap(),
            is_put,
            "{figures}"
        );
    }
    assert_eq!(world.redis::<String>(cmd("GET").arg(&key)).await, "six");
    assert!(!boards.is_forgotten("it", "board").await.unwrap());
    assert!(boards.is_forgotten("it", "another:{board}").await.unwrap());
    // Somebody deleted it: it is better than nothing.
    let _gone: i64 = world.redis(cmd("DEL").arg(&key)).await;
    assert!(boards.publish(("it", "board"), &key, 5, "five").await.unwrap());
}
