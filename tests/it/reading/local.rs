//! Values that are kept in the process of the application.

use std::time::{Duration, Instant};

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::cache::{Cache, Description, State, Why};
use brasa_tests::process::is_long;
use brasa_tests::{Proxy, World, eventually};

use super::Scene;

/// How long Redis may take to tell that something has changed, where it is not to be measured.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

fn redis() -> RedisServer {
    RedisServer::start(RedisOptions { append_only: false, ..RedisOptions::default() }).unwrap()
}

/// How long it took until this board is read as missing.
async fn until_missing(cache: &Cache, origin: &str) -> Duration {
    let begun = Instant::now();
    let boards = cache.warmer("boards");
    while !boards.get(&[origin, "today"]).await.unwrap().is_missing() {
        assert!(begun.elapsed() < TOLD_WITHIN, "{origin} is still served");
        tokio::task::yield_now().await;
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_by_key_or_tag_is_gone_from_this_process_within_a_tenth_of_a_second() {
    let scene = Scene::new().await;
    let cache = scene.keeping();
    let mut took = Vec::new();
    for round in 0..10 {
        let origin = format!("A{round}");
        scene.fill(&origin, "old").await;
        scene.kept(&cache, &origin).await;
        match round % 3 {
            0 => scene.invalidate(&origin).await,
            1 => scene.invalidate_tag(&format!("origin:{origin}")).await,
            _ => scene.invalidate_tag("flights").await,
        }
        took.push(until_missing(&cache, &origin).await);
    }
    took.sort();
    // The machine may be busy with other tests in some of the rounds.
    assert!(took[5] < Duration::from_millis(100), "{took:?}");
}

#[tokio::test]
async fn a_value_that_is_filled_again_replaces_the_one_in_this_process() {
    let scene = Scene::new().await;
    let cache = scene.keeping();
    scene.fill("JFK", "1").await;
    scene.kept(&cache, "JFK").await;

    scene.fill("JFK", "2").await;

    eventually("the new one is read", async || {
        cache.warmer("boards").get(&["JFK", "today"]).await.unwrap().text() == Some("2")
    })
    .await;
}

#[tokio::test]
async fn the_knowledge_that_there_is_none_is_kept_and_invalidated_too() {
    let scene = Scene::new().await;
    let cache = scene.keeping();
    scene.fill_none("XXX").await;
    scene.kept(&cache, "XXX").await;
    assert_eq!(cache.warmer("boards").get(&["XXX", "today"]).await.unwrap().state, State::None);

    scene.invalidate("XXX").await;

    until_missing(&cache, "XXX").await;
}

#[tokio::test]
async fn a_value_is_kept_no_longer_than_it_is_fresh() {
    let scene = Scene::in_world(World::with_manual_clock()).await;
    let cache = scene.keeping();
    scene.fill("JFK", "board").await;
    scene.kept(&cache, "JFK").await;

    scene.world.advance(Duration::from_secs(61));

    let read = cache.warmer("boards").get(&["JFK", "today"]).await.unwrap();
    assert_eq!((read.state, read.text()), (State::Stale, Some("board")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_invalidated_while_it_is_read_is_never_served_afterwards() {
    let scene = Scene::new().await;
    let cache = scene.keeping();
    scene.fill("JFK", "0").await;
    scene.kept(&cache, "JFK").await;
    let boards = cache.warmer("boards");
    for round in 0..if is_long() { 20_000 } else { 600 } {
        let text = round.to_string();
        let key = scene.entry("JFK").key;
        scene.world.redis::<()>(redis::cmd("DEL").arg(&scene.caches.entry(&key).guard)).await;
        scene.fill("JFK", &text).await;
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let boards = boards.clone();
                tokio::spawn(async move { boards.get(&["JFK", "today"]).await.unwrap() })
            })
            .collect();
        match round % 3 {
            0 => scene.invalidate("JFK").await,
            1 => scene.invalidate_tag("origin:JFK").await,
            _ => scene.fill("JFK", "other").await,
        }
        for reader in readers {
            reader.await.unwrap();
        }
        // Redis tells a moment later; what was kept by mistake would stay for minutes.
        let begun = Instant::now();
        while boards.get(&["JFK", "today"]).await.unwrap().text() == Some(text.as_str()) {
            assert!(begun.elapsed() < TOLD_WITHIN, "{text} is still served");
            tokio::task::yield_now().await;
        }
    }
    assert!(scene.counted(&cache, "read_l1").await > 0);
}

#[tokio::test]
async fn nothing_is_served_from_this_process_while_redis_cannot_tell_what_changes() {
    let redis = redis();
    let scene = Scene::in_world(World::on_redis(redis.url())).await;
    let cache = scene.keeping();
    scene.fill("JFK", "old").await;
    scene.kept(&cache, "JFK").await;

    for round in 0..20 {
        // Nobody tells of what is written in the same moment.
        let mut pipe = redis::pipe();
        pipe.atomic();
        for line in listeners(&scene).await {
            pipe.cmd("CLIENT").arg("KILL").arg("ID").arg(line).ignore();
        }
        let note = scene.caches.entry(&scene.entry("JFK").key).note;
        pipe.cmd("DEL").arg(scene.entry("JFK").key).arg(note).ignore();
        scene.world.store.run_all::<()>("cut the line and change a value", &pipe).await.unwrap();

        until_missing(&cache, "JFK").await;
        let key = scene.entry("JFK").key;
        scene.world.redis::<()>(redis::cmd("DEL").arg(&scene.caches.entry(&key).guard)).await;
        scene.fill("JFK", &round.to_string()).await;
        scene.kept(&cache, "JFK").await;
    }
}

/// The connections on which Redis tells what changes.
async fn listeners(scene: &Scene) -> Vec<u64> {
    let clients: String = scene.world.redis(redis::cmd("CLIENT").arg("LIST")).await;
    let is_told =
        |line: &&str| line.split(' ').any(|field| field.starts_with("flags=") && field.contains('B'));
    let id = |line: &str| line.split(' ').next()?.strip_prefix("id=")?.parse().ok();
    clients.lines().filter(is_told).filter_map(id).collect()
}

#[tokio::test]
async fn a_flushed_redis_empties_this_process_too() {
    let redis = redis();
    let scene = Scene::in_world(World::on_redis(redis.url())).await;
    let cache = scene.keeping();
    scene.fill("JFK", "old").await;
    scene.kept(&cache, "JFK").await;

    scene.world.redis::<()>(&redis::cmd("FLUSHALL")).await;

    until_missing(&cache, "JFK").await;
    let read = cache.warmer("boards").get(&["JFK", "today"]).await.unwrap();
    assert_eq!(read.state, State::Missing(Why::Cold));
}

#[tokio::test]
async fn a_line_that_is_silent_is_as_good_as_none() {
    let scene = Scene::new().await;
    let proxy = Proxy::to(&scene.world.redis_url).await;
    let settings = scene.settings().patience(Duration::from_millis(250)).l1_ttl(Duration::from_mins(5));
    let cache = settings.open(&proxy.url(), &scene.world.prefix).unwrap();
    let boards = cache.warmer("boards");
    scene.fill("JFK", "old").await;
    scene.kept(&cache, "JFK").await;

    proxy.freeze();

    eventually("nobody vouches for the value any more", async || {
        boards.get(&["JFK", "today"]).await.is_ok_and(|read| read.state == State::Stale)
    })
    .await;
    scene.invalidate("JFK").await;
    proxy.thaw();
    eventually("the change is seen", async || {
        boards.get(&["JFK", "today"]).await.is_ok_and(|read| read.is_missing())
    })
    .await;
}

#[tokio::test]
async fn what_workers_tell_about_a_warmer_is_heard_at_once() {
    let scene = Scene::new().await;
    let cache = scene.keeping();
    scene.fill("JFK", "old").await;
    scene.kept(&cache, "JFK").await;

    let key = format!("{}:other:{{origin}}:{{day}}", scene.world.prefix);
    let description = Description { key, ..scene.description() };
    scene.caches.describe("boards", &description).await.unwrap();

    until_missing(&cache, "JFK").await;
}
