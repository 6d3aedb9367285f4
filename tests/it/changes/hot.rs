//! The keys that are asked for most, and that outlive the cache.

use brasa_shared::db::changes::{HotKey, load_hot, save_hot};

use super::Scene;

fn key(params: &[&str], hits: f64, cost_us: i64, bytes: i64) -> HotKey {
    HotKey { params: params.iter().map(|&param| param.to_owned()).collect(), hits, cost_us, bytes }
}

#[tokio::test]
async fn hot_keys_come_back_with_those_first_that_save_most_time_for_their_size() {
    let scene = Scene::with("select 1").await;
    let pool = &scene.world.pool;
    let (large, often, slow) = (
        key(&["large"], 10.0, 1_000, 100_000),
        key(&["often", "ñ\"{},\\"], 100.0, 1_000, 1_000),
        key(&[], 1.0, 90_000, 0),
    );

    save_hot(pool, "departures", &[large.clone(), often.clone(), slow.clone()]).await.unwrap();
    save_hot(pool, "other", std::slice::from_ref(&often)).await.unwrap();

    assert_eq!(load_hot(pool, "departures", 10).await.unwrap(), [slow.clone(), often.clone(), large]);
    assert_eq!(load_hot(pool, "departures", 1).await.unwrap(), [slow]);
    assert_eq!(load_hot(pool, "other", 10).await.unwrap(), [often]);
    assert!(load_hot(pool, "nothing", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_saved_takes_the_place_of_what_was_saved_before() {
    let scene = Scene::with("select 1").await;
    let pool = &scene.world.pool;
    save_hot(pool, "other", &[key(&["a"], 1.0, 1, 1)]).await.unwrap();
    save_hot(pool, "departures", &[key(&["a"], 1.0, 1, 1), key(&["b"], 1.0, 1, 1)]).await.unwrap();

    let now = [key(&["c"], 9.0, 1, 1), key(&["b"], 5.0, 2, 3)];
    save_hot(pool, "departures", &now).await.unwrap();
    assert_eq!(load_hot(pool, "departures", 10).await.unwrap(), now);

    save_hot(pool, "departures", &[]).await.unwrap();
    assert!(load_hot(pool, "departures", 10).await.unwrap().is_empty());
    assert_eq!(load_hot(pool, "other", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_odd_key_does_not_keep_the_others_from_being_saved() {
    let scene = Scene::with("select 1").await;
    let pool = &scene.world.pool;

    let keys = [
        key(&[&"x".repeat(5_000)], 1.0, 1, 1),
        key(&["a\0b"], 1.0, 1, 1),
        key(&["twice"], 1.0, 1, 1),
        key(&["twice"], 2.0, 1, 1),
        key(&["nan"], f64::NAN, 1, 1),
        key(&["endless"], f64::INFINITY, i64::MAX, -5),
        key(&["huge"], f64::MAX, i64::MAX, 1),
    ];
    save_hot(pool, "departures", &keys).await.unwrap();

    let loaded = load_hot(pool, "departures", 10).await.unwrap();
    let names: Vec<_> = loaded.iter().map(|key| (key.params[0].as_str(), key.hits)).collect();
    assert_eq!(names, [("huge", 1e18), ("twice", 2.0), ("endless", 0.0), ("nan", 0.0)]);
}
