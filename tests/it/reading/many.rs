//! Many values in one round trip.

use std::time::Duration;

use brasa_shared::cache::{State, Why};

use super::Scene;

#[tokio::test]
async fn fresh_old_absent_and_missing_values_are_read_together_and_in_order() {
    let scene = Scene::new().await;
    scene.fill("JFK", "fresh").await;
    scene.fill_for("EWR", "old", Duration::ZERO, Duration::from_mins(1)).await;
    scene.fill_none("XXX").await;
    scene.fill("LGA", "gone").await;
    scene.invalidate_tag("origin:LGA").await;
    let cache = scene.cache();
    let boards = cache.warmer("boards");

    let wanted = ["EWR", "JFK", "XXX", "BOS", "LGA", "JFK"].map(|origin| [origin, "today"]);
    let reads = boards.get_many(&wanted).await.unwrap();

    let states: Vec<State> = reads.iter().map(|read| read.state).collect();
    let expected = [
        State::Stale,
        State::Fresh,
        State::None,
        State::Missing(Why::Cold),
        State::Missing(Why::Invalidated),
        State::Fresh,
    ];
    assert_eq!(states, expected);
    assert_eq!((reads[0].text(), reads[5].text()), (Some("old"), Some("fresh")));
    let mut asked: Vec<String> = scene.asks().await.into_iter().map(|ask| ask.params).collect();
    asked.sort();
    assert_eq!(asked, ["BOS", "EWR", "LGA"].map(|origin| scene.entry(origin).params));
    assert_eq!(scene.counted(&cache, "read_fresh").await, 2);
}

#[tokio::test]
async fn more_values_than_one_round_trip_takes_are_read_too() {
    let scene = Scene::new().await;
    let names: Vec<String> = (0..600).map(|n| format!("A{n}")).collect();
    for name in names.iter().step_by(50) {
        scene.fill(name, name).await;
    }
    let wanted: Vec<[&str; 2]> = names.iter().map(|name| [name.as_str(), "today"]).collect();

    let reads = scene.cache().warmer("boards").get_many(&wanted).await.unwrap();

    for (place, (name, read)) in names.iter().zip(&reads).enumerate() {
        let expected = place.is_multiple_of(50).then_some(name.as_str());
        assert_eq!(read.text(), expected);
    }
    assert_eq!(scene.boards.extent().await.unwrap().asked, 588);
    assert!(scene.cache().warmer("boards").get_many::<[&str; 2], _>(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn values_of_this_process_are_among_them() {
    let scene = Scene::new().await;
    scene.fill("JFK", "here").await;
    scene.fill("EWR", "there").await;
    let cache = scene.keeping();
    scene.kept(&cache, "JFK").await;
    let before = scene.counted(&cache, "read_l1").await;

    let wanted = ["EWR", "JFK"].map(|origin| [origin, "today"]);
    let reads = cache.warmer("boards").get_many(&wanted).await.unwrap();

    assert_eq!((reads[0].text(), reads[1].text()), (Some("there"), Some("here")));
    assert_eq!(scene.counted(&cache, "read_l1").await, before + 1);
}
