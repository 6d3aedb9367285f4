//! What applications read while Redis is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::cache::{CacheError, State};
use brasa_tests::{Proxy, World, eventually};

use super::Scene;

/// A database that counts who uses it.
#[derive(Default)]
struct Database {
    now: AtomicUsize,
    most: AtomicUsize,
    loads: AtomicUsize,
}

impl Database {
    async fn load(&self) -> Result<Option<Vec<u8>>, std::io::Error> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.loads.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Some(b"direct".to_vec()))
    }
}

fn redis() -> RedisServer {
    RedisServer::start(RedisOptions { append_only: false, ..RedisOptions::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_loaded_directly_a_few_at_a_time() {
    let mut redis = redis();
    let scene = Scene::in_world(World::on_redis(redis.url())).await;
    let settings = scene.settings().patience(Duration::from_secs(1)).direct(3);
    let cache = scene.open(settings.wait(Duration::from_secs(10)));
    let boards = cache.warmer("boards");
    boards.get(&["JFK", "today"]).await.unwrap();
    redis.kill().unwrap();

    let database = Arc::<Database>::default();
    let reading: Vec<_> = (0..60)
        .map(|n| {
            let (boards, database) = (boards.clone(), Arc::clone(&database));
            tokio::spawn(async move {
                let origin = format!("A{n}");
                boards.get_or(&[origin.as_str(), "today"], || database.load()).await
            })
        })
        .collect();
    for reader in reading {
        let read = reader.await.unwrap().unwrap();
        assert_eq!((read.state, read.text()), (State::Direct, Some("direct")));
    }
    assert_eq!((database.loads.load(Ordering::SeqCst), database.most.load(Ordering::SeqCst)), (60, 3));

    redis.restart().unwrap();
    scene.caches.begin_epoch("run", 1).await.unwrap();
    scene.caches.describe("boards", &scene.description()).await.unwrap();
    scene.fill("JFK", "cached").await;
    eventually("the cache is read again", async || {
        boards.get(&["JFK", "today"]).await.is_ok_and(|read| read.text() == Some("cached"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_want_at_once_is_loaded_directly_for_all_of_them() {
    let mut redis = redis();
    let scene = Scene::in_world(World::on_redis(redis.url())).await;
    let cache = scene.open(scene.settings().patience(Duration::from_secs(1)).wait(Duration::from_secs(10)));
    let boards = cache.warmer("boards");
    redis.kill().unwrap();

    let database = Arc::<Database>::default();
    let reading: Vec<_> = (0..500)
        .map(|_| {
            let (boards, database) = (boards.clone(), Arc::clone(&database));
            tokio::spawn(async move { boards.get_or(&["JFK", "today"], || database.load()).await })
        })
        .collect();
    for reader in reading {
        assert_eq!(reader.await.unwrap().unwrap().text(), Some("direct"));
    }
    let loads = database.loads.load(Ordering::SeqCst);
    assert!(loads < 50, "{loads} loads for 500 readers");
}

#[tokio::test]
async fn who_finds_no_place_among_those_who_load_is_told_so_in_time() {
    let mut redis = redis();
    let scene = Scene::in_world(World::on_redis(redis.url())).await;
    let settings = scene.settings().patience(Duration::from_millis(100)).direct(1);
    let cache = scene.open(settings.wait(Duration::from_millis(100)));
    let boards = cache.warmer("boards");
    redis.kill().unwrap();
    let (hangs, begins) = (boards.clone(), Arc::<tokio::sync::Notify>::default());
    let begun = Arc::clone(&begins);
    let hanging = tokio::spawn(async move {
        let load = || async move {
            begun.notify_one();
            std::future::pending::<Result<Option<Vec<u8>>, std::io::Error>>().await
        };
        hangs.get_or(&["JFK", "today"], load).await
    });
    begins.notified().await;

    for origin in ["JFK", "EWR"] {
        let never = async || Err::<Option<Vec<u8>>, _>("it is not called");
        let error = boards.get_or(&[origin, "today"], never).await.unwrap_err();
        assert!(matches!(error, CacheError::Crowded(1)), "{error}");
    }
    hanging.abort();
    assert!(hanging.await.is_err());
    let load = async || Ok::<_, std::io::Error>(None);
    assert_eq!(boards.get_or(&["EWR", "today"], load).await.unwrap().state, State::Direct);
}

#[tokio::test]
async fn a_value_of_this_process_is_served_as_an_old_one() {
    let mut redis = redis();
    let scene = Scene::in_world(World::on_redis(redis.url())).await;
    let cache = scene.open(scene.settings().patience(Duration::from_secs(1)).l1_ttl(Duration::from_mins(5)));
    scene.fill("JFK", "kept").await;
    scene.kept(&cache, "JFK").await;
    let boards = cache.warmer("boards");
    redis.kill().unwrap();

    eventually("the line is known to be cut", async || {
        boards.get(&["JFK", "today"]).await.unwrap().state == State::Stale
    })
    .await;
    let read = boards.get(&["JFK", "today"]).await.unwrap();
    assert_eq!((read.text(), read.fresh_for), (Some("kept"), Duration::ZERO));
    let both = boards.get_many(&[["JFK", "today"], ["JFK", "today"]]).await.unwrap();
    assert_eq!((both[0].state, both[1].text()), (State::Stale, Some("kept")));
    assert!(boards.get_many(&[["JFK", "today"], ["EWR", "today"]]).await.is_err());
    let error = boards.get(&["EWR", "today"]).await.unwrap_err();
    assert!(matches!(error, CacheError::Redis(_)), "{error}");
}

#[tokio::test]
async fn a_redis_that_stands_still_costs_a_read_its_patience_and_most_reads_nothing() {
    let scene = Scene::new().await;
    let proxy = Proxy::to(&scene.world.redis_url).await;
    let settings = scene.settings().without_l1().patience(Duration::from_millis(250));
    let cache = settings.open(&proxy.url(), &scene.world.prefix).unwrap();
    let boards = cache.warmer("boards");
    scene.fill("JFK", "board").await;
    let is_read = async || boards.get(&["JFK", "today"]).await.is_ok_and(|read| read.text() == Some("board"));
    eventually("it is read", is_read).await;

    proxy.freeze();
    let begun = Instant::now();
    assert!(boards.get(&["JFK", "today"]).await.is_err());
    let first = begun.elapsed();
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(boards.get(&["JFK", "today"]).await.is_err());
    }
    let rest = begun.elapsed();
    assert!(first < Duration::from_secs(2) && rest < Duration::from_secs(2), "{first:?}, {rest:?}");

    proxy.thaw();
    eventually("it is read again", is_read).await;
}
