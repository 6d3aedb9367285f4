//! What a read finds, and what it asks for.

use std::sync::Arc;
use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::cache::{Cache, CacheError, Cause, Content, Description, Filled, State, Why};
use brasa_tests::{Proxy, World, eventually};

use super::Scene;

async fn state(cache: &Cache, origin: &str) -> State {
    cache.warmer("boards").get(&[origin, "today"]).await.unwrap().state
}

#[tokio::test]
async fn a_fresh_value_is_read_with_its_age() {
    let scene = Scene::new().await;
    scene.fill("JFK", r#"["LH400"]"#).await;

    let boards = scene.cache().warmer("boards");
    let read = boards.get(&["JFK", "today"]).await.unwrap();

    assert_eq!((read.state, read.text(), read.is_coming), (State::Fresh, Some(r#"["LH400"]"#), false));
    assert!(read.fresh_for <= Duration::from_mins(1) && read.fresh_for > Duration::from_secs(30));
    assert!(read.age.unwrap() < Duration::from_secs(30));
    assert_eq!(boards.json::<Vec<String>>(&["JFK", "today"]).await.unwrap().unwrap(), ["LH400"]);
    assert!(matches!(boards.json::<u32>(&["JFK", "today"]).await, Err(CacheError::Json(_))));
    assert!(scene.asks().await.is_empty());
}

#[tokio::test]
async fn what_is_known_to_be_absent_is_not_asked_for() {
    let scene = Scene::new().await;
    scene.fill_none("XXX").await;

    let read = scene.cache().warmer("boards").get(&["XXX", "today"]).await.unwrap();

    assert_eq!((read.state, read.bytes(), read.is_missing()), (State::None, None, false));
    assert!(scene.asks().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_value_is_served_to_all_and_asked_for_once() {
    let scene = Scene::new().await;
    scene.fill_for("JFK", "old", Duration::ZERO, Duration::from_mins(1)).await;
    let caches: Vec<Cache> = (0..4).map(|_| scene.cache()).collect();

    let readers: Vec<_> = caches
        .iter()
        .flat_map(|cache| (0..200).map(|_| cache.warmer("boards")))
        .map(|boards| tokio::spawn(async move { boards.get(&["JFK", "today"]).await.unwrap() }))
        .collect();
    for reader in readers {
        let read = reader.await.unwrap();
        assert_eq!((read.state, read.text(), read.is_coming), (State::Stale, Some("old"), true));
    }

    let asks = scene.asks().await;
    assert_eq!(asks.len(), 1);
    assert_eq!((&asks[0].key, &asks[0].params), (&scene.entry("JFK").key, &scene.entry("JFK").params));
    let mut counted = 0;
    for cache in &caches {
        counted = scene.counted(cache, "read_stale").await;
    }
    assert_eq!(counted, 800);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_of_one_value_share_a_few_round_trips() {
    let scene = Scene::new().await;
    scene.fill("JFK", "board").await;
    let cache = scene.cache();
    let boards = cache.warmer("boards");
    boards.get(&["JFK", "today"]).await.unwrap();

    // Other tests use this Redis too, so the least of some tries counts.
    let mut least = u64::MAX;
    for _ in 0..10 {
        let before = gets(&scene).await;
        let reading = (0..500).map(|_| {
            let boards = boards.clone();
            tokio::spawn(async move { boards.get(&["JFK", "today"]).await.unwrap() })
        });
        for reader in reading.collect::<Vec<_>>() {
            assert_eq!(reader.await.unwrap().text(), Some("board"));
        }
        least = least.min(gets(&scene).await - before);
    }
    assert!(least < 100, "{least} round trips for 500 readers");
}

/// How often Redis was asked for values.
async fn gets(scene: &Scene) -> u64 {
    let stats: String = scene.world.redis(redis::cmd("INFO").arg("commandstats")).await;
    let count = stats.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
    count.unwrap().split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_miss_says_why() {
    let scene = Scene::new().await;
    let cache = scene.cache();
    let store = scene.world.store.clone();
    let delete = async |origin: &str| {
        let key = scene.entry(origin).key;
        store.run::<()>("delete a value", redis::cmd("DEL").arg(key)).await.unwrap();
    };

    assert_eq!(state(&cache, "COLD").await, State::Missing(Why::Cold));

    scene.fill("EVICTED", "x").await;
    delete("EVICTED").await;
    assert_eq!(state(&cache, "EVICTED").await, State::Missing(Why::Evicted));

    scene.fill("KEY", "x").await;
    scene.invalidate("KEY").await;
    assert_eq!(state(&cache, "KEY").await, State::Missing(Why::Invalidated));

    scene.fill("TAG", "x").await;
    scene.invalidate_tag("origin:TAG").await;
    assert_eq!(state(&cache, "TAG").await, State::Missing(Why::Invalidated));

    let key = scene.entry("REFUSED").key;
    scene.boards.take(&[&key], "lease", Duration::from_mins(1)).await.unwrap();
    let tags = ["origin:REFUSED".to_owned()];
    let newer = Cause::Transaction(200);
    scene.caches.invalidate_tags(&tags, newer, Duration::from_hours(1)).await.unwrap();
    let value = Content::Value(b"x".to_vec());
    let minute = Duration::from_mins(1);
    assert_eq!(scene.bring("REFUSED", "lease", value, minute, minute).await, Filled::Behind);
    assert_eq!(state(&cache, "REFUSED").await, State::Missing(Why::Refused));

    let short = Duration::from_millis(600);
    scene.fill_for("EXPIRED", "x", short, short).await;
    eventually("its life is over", async || state(&cache, "EXPIRED").await == State::Missing(Why::Expired))
        .await;

    let asked = scene.asks().await;
    assert_eq!(asked.len(), 6);
}

#[tokio::test]
async fn a_read_that_begins_after_an_invalidation_sees_it() {
    let scene = Scene::new().await;
    let boards = scene.cache().warmer("boards");
    for round in 0..200 {
        scene.fill("JFK", &round.to_string()).await;
        // Others, who may be under way with what is about to be old.
        let others: Vec<_> = (0..4)
            .map(|_| {
                let boards = boards.clone();
                tokio::spawn(async move { boards.get(&["JFK", "today"]).await.unwrap() })
            })
            .collect();
        if round % 2 == 0 {
            scene.invalidate("JFK").await;
        } else {
            scene.invalidate_tag("origin:JFK").await;
        }
        let read = boards.get(&["JFK", "today"]).await.unwrap();
        assert!(read.is_missing(), "{read:?} in round {round}");
        for other in others {
            other.await.unwrap();
        }
        // Whoever was asked is not there: what the readers leased is free again.
        scene
            .world
            .redis::<()>(redis::cmd("DEL").arg(&scene.caches.entry(&scene.entry("JFK").key).guard))
            .await;
    }
}

#[tokio::test]
async fn nobody_shares_an_answer_that_may_be_older_than_the_question() {
    let redis = RedisServer::start(RedisOptions { append_only: false, ..RedisOptions::default() }).unwrap();
    let scene = Scene::in_world(World::on_redis(redis.url())).await;
    let proxy = Arc::new(Proxy::to(redis.url()).await);
    let cache = scene.settings().without_l1().open(&proxy.url(), &scene.world.prefix).unwrap();
    let boards = cache.warmer("boards");
    scene.fill("JFK", "old").await;
    boards.get(&["JFK", "today"]).await.unwrap();
    let before = gets(&scene).await;
    let reader = || {
        let boards = boards.clone();
        tokio::spawn(async move { boards.get(&["JFK", "today"]).await.unwrap() })
    };

    // Redis has answered, and the answer is on its way.
    let frozen = Arc::clone(&proxy);
    proxy.at_write(1, true, move || frozen.freeze());
    let early = reader();
    eventually("redis has answered", async || gets(&scene).await > before).await;
    scene.invalidate("JFK").await;
    let late = reader();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    proxy.thaw();

    assert_eq!(early.await.unwrap().text(), Some("old"));
    assert!(late.await.unwrap().is_missing());
}

#[tokio::test]
async fn a_value_with_tags_that_the_reader_does_not_know_of_is_read_all_the_same() {
    let scene = Scene::new().await;
    let description = Description { tags: Vec::new(), ..scene.description() };
    scene.caches.describe("boards", &description).await.unwrap();
    let boards = scene.cache().warmer("boards");
    scene.fill("JFK", "board").await;

    assert_eq!(boards.get(&["JFK", "today"]).await.unwrap().text(), Some("board"));

    scene.invalidate_tag("origin:JFK").await;
    assert_eq!(boards.get(&["JFK", "today"]).await.unwrap().state, State::Missing(Why::Invalidated));
}

#[tokio::test]
async fn nobody_is_asked_where_readers_may_not() {
    let scene = Scene::new().await;
    let description = Description { is_askable: false, ..scene.description() };
    scene.caches.describe("boards", &description).await.unwrap();

    let read = scene.cache().warmer("boards").get(&["JFK", "today"]).await.unwrap();

    assert_eq!((read.state, read.is_coming), (State::Missing(Why::Cold), false));
    assert!(scene.asks().await.is_empty());
}

#[tokio::test]
async fn the_version_that_is_to_be_read_now_is_a_part_of_the_key() {
    let scene = Scene::new().await;
    let key = format!("{}:board:{{@version}}:{{origin}}:{{day}}", scene.world.prefix);
    let description = Description { key, current: "9f2c".to_owned(), ..scene.description() };
    scene.caches.describe("boards", &description).await.unwrap();

    scene.cache().warmer("boards").get(&["JFK", "today"]).await.unwrap();

    assert_eq!(scene.asked().await.key, format!("{}:board:9f2c:JFK:today", scene.world.prefix));
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said() {
    let scene = Scene::new().await;
    let cache = scene.cache();
    let error = cache.warmer("boards").get(&["JFK"]).await.unwrap_err();
    assert!(matches!(&error, CacheError::Params { given: 1, .. }), "{error}");
    assert!(error.to_string().contains(r#"takes the parameters ["origin", "day"]"#), "{error}");

    let prices = cache.warmer("prices");
    assert!(matches!(prices.get(&["JFK"]).await, Err(CacheError::Unknown(name)) if name == "prices"));

    let described = |key: &str| Description { key: key.to_owned(), ..scene.description() };
    scene.caches.describe("prices", &described("price:{gate}")).await.unwrap();
    let error = prices.get(&["JFK", "today"]).await.unwrap_err();
    assert!(error.to_string().contains("`gate` is no parameter"), "{error}");

    scene.caches.describe("prices", &scene.description()).await.unwrap();
    assert!(prices.get(&["JFK", "today"]).await.unwrap().is_missing());
}
