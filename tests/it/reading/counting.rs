//! What readers count.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_shared::cache::{Cache, Cause, State};
use brasa_tests::eventually;

use super::Scene;

fn word(state: State) -> &'static str {
    match state {
        State::Fresh => "read_fresh",
        State::Stale => "read_stale",
        State::None => "read_none",
        State::Direct => "",
        State::Missing(why) => match why.word() {
            "cold" => "read_cold",
            "expired" => "read_expired",
            "evicted" => "read_evicted",
            "invalidated" => "read_invalidated",
            _ => "read_refused",
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_is_counted_once_as_what_it_found() {
    let scene = Scene::new().await;
    let caches: Vec<Cache> = (0..3)
        .map(|n| {
            let settings = scene.settings().sampling(1);
            scene.open(if n == 0 { settings.without_l1() } else { settings })
        })
        .collect();
    let mut truth: BTreeMap<String, i64> = BTreeMap::new();
    let mut samples = 0.0;

    for round in 0..60 {
        let origin = format!("A{}", rand::random_range(0..8));
        match round % 6 {
            0 | 1 => {
                // Readers may have leased it for a worker that is not there.
                let guard = scene.caches.entry(&scene.entry(&origin).key).guard;
                scene.world.redis::<()>(redis::cmd("DEL").arg(guard)).await;
                let fresh = Duration::from_secs(if round % 2 == 0 { 60 } else { 0 });
                scene.fill_for(&origin, "x", fresh, Duration::from_mins(2)).await;
            }
            2 => scene.invalidate(&origin).await,
            3 => scene
                .caches
                .invalidate_tags(&[format!("origin:{origin}")], Cause::Nobody, Duration::from_hours(1))
                .await
                .unwrap(),
            _ => {}
        }
        let reading: Vec<_> = (0..40)
            .map(|n| {
                let boards = caches[n % 3].warmer("boards");
                let origins =
                    [format!("A{}", rand::random_range(0..8)), format!("A{}", rand::random_range(0..8))];
                tokio::spawn(async move {
                    if n % 4 == 0 {
                        let wanted = origins.each_ref().map(|origin| [origin.as_str(), "today"]);
                        boards.get_many(&wanted).await.unwrap()
                    } else {
                        vec![boards.get(&[origins[0].as_str(), "today"]).await.unwrap()]
                    }
                })
            })
            .collect();
        for reader in reading {
            for read in reader.await.unwrap() {
                *truth.entry(word(read.state).to_owned()).or_default() += 1;
                samples += 1.0;
            }
        }
        if round % 7 == 0 {
            caches[round % 3].flush().await.unwrap();
        }
    }

    for cache in &caches {
        cache.flush().await.unwrap();
    }
    let mut counted = scene.boards.stats().await.unwrap().0;
    counted.retain(|name, _| name.starts_with("read_") && name != "read_l1");
    assert_eq!(counted, truth);
    let hot: f64 = scene.boards.hot(100).await.unwrap().into_iter().map(|(_, count)| count).sum();
    assert!((hot - samples).abs() < 0.1, "{hot} of {samples}");
}

#[tokio::test]
async fn what_was_counted_is_told_when_the_cache_is_dropped() {
    let scene = Scene::new().await;
    let cache = scene.cache();
    let boards = cache.warmer("boards");
    boards.get(&["JFK", "today"]).await.unwrap();
    drop(cache);
    boards.get(&["JFK", "today"]).await.unwrap();
    assert_eq!(scene.boards.stats().await.unwrap().get("read_cold"), 0);

    drop(boards);

    eventually("it is told", async || scene.boards.stats().await.unwrap().get("read_cold") == 2).await;
}

#[tokio::test]
async fn about_one_read_of_sixty_four_counts_among_the_hot() {
    let scene = Scene::new().await;
    scene.fill("JFK", "x").await;
    let cache = scene.cache();
    let wanted = vec![["JFK", "today"]; 6_400];

    cache.warmer("boards").get_many(&wanted).await.unwrap();

    cache.flush().await.unwrap();
    let hot = scene.boards.hot(10).await.unwrap();
    assert_eq!(hot[0].0, scene.entry("JFK").params);
    assert!((40.0..200.0).contains(&hot[0].1), "{hot:?}");
}
