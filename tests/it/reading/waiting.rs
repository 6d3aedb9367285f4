//! Waiting for a value that somebody loads.

use std::time::{Duration, Instant};

use brasa_shared::cache::{CacheError, Content, Description, State, Why};
use brasa_tests::eventually;

use super::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_get_the_value_as_soon_as_it_is_there() {
    let scene = Scene::new().await;
    let cache = scene.cache();
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let boards = cache.warmer("boards");
            tokio::spawn(async move {
                let read = boards.get_or_wait(&["JFK", "today"], Duration::from_secs(20)).await.unwrap();
                (Instant::now(), read)
            })
        })
        .collect();

    let ask = scene.asked().await;
    eventually("all of them have found nothing", async || scene.counted(&cache, "read_cold").await == 100)
        .await;
    let minute = Duration::from_mins(1);
    scene.bring("JFK", &ask.token, Content::Value(b"board".to_vec()), minute, minute).await;
    let filled = Instant::now();

    for reader in waiting {
        let (came, read) = reader.await.unwrap();
        assert_eq!((read.state, read.text()), (State::Fresh, Some("board")));
        assert!(came.saturating_duration_since(filled) < Duration::from_secs(5));
    }
    assert!(scene.asks().await.is_empty());
    assert_eq!(scene.counted(&cache, "read_cold").await, 100);
    assert_eq!(scene.counted(&cache, "read_wait").await, 100);
    assert_eq!(scene.counted(&cache, "read_fresh").await, 0);
}

#[tokio::test]
async fn the_knowledge_that_there_is_none_ends_a_wait_too() {
    let scene = Scene::new().await;
    let boards = scene.cache().warmer("boards");
    let waiting =
        tokio::spawn(async move { boards.get_or_wait(&["XXX", "today"], Duration::from_secs(20)).await });

    let ask = scene.asked().await;
    let minute = Duration::from_mins(1);
    scene.bring("XXX", &ask.token, Content::None, minute, minute).await;

    assert_eq!(waiting.await.unwrap().unwrap().state, State::None);
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_over() {
    let scene = Scene::new().await;
    let cache = scene.cache();
    let boards = cache.warmer("boards");
    boards.get(&["EWR", "today"]).await.unwrap();

    let begun = Instant::now();
    let read = boards.get_or_wait(&["JFK", "today"], Duration::from_millis(700)).await.unwrap();
    let waited = begun.elapsed();

    assert_eq!(read.state, State::Missing(Why::Cold));
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_secs(2), "{waited:?}");
    assert_eq!(scene.counted(&cache, "read_wait").await, 0);
    assert_eq!(scene.counted(&cache, "read_cold").await, 2);
}

#[tokio::test]
async fn a_value_whose_loading_was_given_up_is_asked_for_again_by_those_who_wait() {
    let scene = Scene::new().await;
    let boards = scene.cache().warmer("boards");
    let waiting =
        tokio::spawn(async move { boards.get_or_wait(&["JFK", "today"], Duration::from_secs(20)).await });

    let minute = Duration::from_mins(1);
    let first = scene.asked().await;
    scene.bring("JFK", &first.token, Content::Release, minute, minute).await;
    let second = scene.asked().await;
    scene.bring("JFK", &second.token, Content::Value(b"board".to_vec()), minute, minute).await;

    assert_ne!(first.token, second.token);
    assert_eq!(waiting.await.unwrap().unwrap().text(), Some("board"));
}

#[tokio::test]
async fn nobody_waits_for_what_nobody_will_load() {
    let scene = Scene::new().await;
    let description = Description { is_askable: false, ..scene.description() };
    scene.caches.describe("boards", &description).await.unwrap();
    let boards = scene.cache().warmer("boards");

    let begun = Instant::now();
    let read = boards.get_or_wait(&["JFK", "today"], Duration::from_mins(5)).await.unwrap();

    assert!(read.is_missing() && begun.elapsed() < Duration::from_mins(1));
}

#[tokio::test]
async fn what_nobody_loads_in_time_is_loaded_directly_and_not_cached() {
    let scene = Scene::new().await;
    let cache = scene.open(scene.settings().without_l1().wait(Duration::from_millis(50)));
    let boards = cache.warmer("boards");

    let load = async || Ok::<_, std::io::Error>(Some(b"direct".to_vec()));
    let read = boards.get_or(&["JFK", "today"], load).await.unwrap();

    assert_eq!((read.state, read.text()), (State::Direct, Some("direct")));
    assert!(boards.get(&["JFK", "today"]).await.unwrap().is_missing());

    let fails = async || Err::<Option<Vec<u8>>, _>("no database");
    let error = boards.get_or(&["JFK", "today"], fails).await.unwrap_err();
    assert!(matches!(&error, CacheError::Loader(cause) if cause.to_string() == "no database"), "{error}");

    scene.fill_for("EWR", "cached", Duration::from_mins(1), Duration::from_mins(1)).await;
    let never = async || Err::<Option<Vec<u8>>, _>("it is not called");
    assert_eq!(boards.get_or(&["EWR", "today"], never).await.unwrap().text(), Some("cached"));
    let error = boards.get_or(&["EWR"], never).await.unwrap_err();
    assert!(matches!(error, CacheError::Params { .. }), "{error}");
}
