//! Values whose time to be loaded again has come.

use std::time::Duration;

use brasa_shared::cache::{Content, Entry, Filled, Filling, Gather, params_of};
use brasa_tests::World;

use super::caches;
use super::engine::{MINUTE, filling, scene, source};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_kept_is_due_again_when_it_would_have_been() {
    let (_world, caches, entry) = scene().await;
    let namespace = caches.namespace("w");
    let fill = async |content: Content, due: Option<Duration>| {
        namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
        let filling = Filling { content, due, ..filling(&entry, "t", "", &[]) };
        namespace.fill(&source("10:10:", false), &[filling]).await.unwrap()
    };
    assert_eq!(fill(Content::Value(b"1".to_vec()), Some(Duration::ZERO)).await, [Filled::Filled]);
    let soon = Duration::from_millis(1);
    let due = async || namespace.due(10, soon, Gather::default()).await.unwrap().params;
    assert_eq!(due().await, std::slice::from_ref(&entry.params));

    assert_eq!(fill(Content::Release, None).await, [Filled::Released]);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(due().await, std::slice::from_ref(&entry.params));

    assert_eq!(fill(Content::Release, Some(MINUTE)).await, [Filled::Released]);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(due().await.is_empty());
    assert_eq!(namespace.extent().await.unwrap().warm, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_due_wait_for_others_until_there_are_enough_or_one_has_waited_for_long() {
    let world = World::of_queues();
    let caches = caches(&world);
    assert!(caches.begin_epoch("run", 1).await.unwrap());
    let namespace = caches.namespace("w");
    let put = async |name: &str| {
        let entry = Entry { key: format!("{}:{name}", world.prefix), params: params_of(&[name]) };
        namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
        let filling = Filling { due: Some(Duration::ZERO), ..filling(&entry, "t", "", &[]) };
        namespace.fill(&source("10:10:", false), &[filling]).await.unwrap();
        entry.params
    };
    let one = put("one").await;
    let due = async |patience, enough| namespace.due(10, MINUTE, Gather { patience, enough }).await.unwrap();
    let waits = due(MINUTE, 2).await;
    assert!(waits.params.is_empty(), "{waits:?}");
    let next = waits.next.unwrap();
    assert!(
        next > Duration::from_secs(50) && next <= MINUTE,
        "looks again when it has waited for long: {next:?}"
    );
    let other = put("other").await;
    assert_eq!(due(MINUTE, 2).await.params, [one, other], "they are enough");

    let last = put("last").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(due(Duration::from_millis(5), 2).await.params, [last], "it has waited for long");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_value_is_due_next_is_told_by_the_clock_that_it_is_judged_by() {
    // Far from the clock of this machine.
    let world = World::with_manual_clock();
    let caches = caches(&world);
    caches.begin_epoch("run", 1).await.unwrap();
    let entry = Entry { key: format!("{}:it", world.prefix), params: params_of(&["it"]) };
    let namespace = caches.namespace("w");
    namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
    let filling = Filling { due: Some(MINUTE), ..filling(&entry, "t", "1", &[]) };
    namespace.fill(&source("10:10:", false), &[filling]).await.unwrap();

    assert_eq!(namespace.due(10, MINUTE, Gather::default()).await.unwrap().next, Some(MINUTE));

    world.advance(Duration::from_secs(20));
    assert_eq!(
        namespace.due(10, MINUTE, Gather::default()).await.unwrap().next,
        Some(Duration::from_secs(40))
    );
    assert_eq!(caches.namespace("other").due(10, MINUTE, Gather::default()).await.unwrap().next, None);
    assert_eq!(caches.now_ms().await.unwrap(), world.clock.now().as_millisecond());
}
