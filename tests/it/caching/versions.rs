//! A warmer that is defined otherwise: its values are loaded again, and versioned keys are switched when they are warm.

use brasa_tests::eventually;

use super::{caches, execute, get, start, with_things};

fn config(value: &str) -> String {
    format!(
        r#"
        [warm.thing]
        for_each = {{ sql = "select id from things", params = ["id"] }}
        sql = "select id, {value} as value from things where id = any($1)"
        key = "KEY:thing:{{@version}}:{{id}}"
        ttl = "1m"
        "#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_versioned_keys_go_over_to_a_version_when_all_of_it_is_warm() {
    let world = with_things().await;
    let worker = start(&world, &config("name"));
    let current = async || caches(&world).described("thing").await.unwrap().map(|known| known.current);
    let key = |version: &str, id: u32| format!("{}:thing:{version}:{id}", world.prefix);
    let mut first = String::new();
    eventually("the first version is warm", async || {
        first = current().await.unwrap_or_default();
        !first.is_empty() && get(&world, &key(&first, 50)).await.is_some()
    })
    .await;
    worker.drain().await;

    // The new one cannot be loaded yet: its readers stay where they are.
    execute(&world, "alter table things rename column size to bulk").await;
    let worker = start(&world, &config("bulk"));
    execute(&world, "alter table things rename column bulk to size").await;
    worker.drain().await;
    let worker = start(&world, &config("size"));

    let mut second = String::new();
    eventually("readers go over", async || {
        second = current().await.unwrap_or_default();
        second != first
    })
    .await;
    for id in 1..=50 {
        assert_eq!(get(&world, &key(&second, id)).await, Some((id * 10).to_string()));
        assert_eq!(get(&world, &key(&first, id)).await, Some(format!("\"thing {id}\"")));
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_keys_without_a_version_the_new_values_take_the_place_of_the_old_ones() {
    let world = with_things().await;
    let plain = |value: &str| config(value).replace("{@version}:", "");
    let key = format!("{}:thing:7", world.prefix);
    let worker = start(&world, &plain("name"));
    super::holds(&world, &key, Some("\"thing 7\"")).await;
    worker.drain().await;

    let worker = start(&world, &plain("size"));

    let mut seen = Vec::new();
    eventually("the new value is there", async || {
        let value = get(&world, &key).await;
        seen.push(value.clone());
        value.as_deref() == Some("70")
    })
    .await;
    assert!(seen.iter().all(Option::is_some), "there was a gap: {seen:?}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_deploy_goes_on_what_is_new_is_warmed_by_workers_that_know_it() {
    let world = with_things().await;
    // One that knows nothing of the warmer, and one that knows it as it was; both take jobs.
    let olds = [start(&world, ""), start(&world, &config("name"))];
    let current = async || caches(&world).described("thing").await.unwrap().map(|known| known.current);
    let mut first = String::new();
    eventually("the first version is warm", async || {
        first = current().await.unwrap_or_default();
        !first.is_empty() && get(&world, &format!("{}:thing:{first}:50", world.prefix)).await.is_some()
    })
    .await;
    // It takes no jobs by itself, so that the old ones come to them first.
    let mut new = super::settings(&world, &config("size"));
    let queues = std::mem::take(&mut new.queues);
    new.queues = vec![(world.queue("another"), 1)];
    let new = brasa_tests::Worker::start(new);
    eventually("an old worker has left the job to others", async || {
        let known = caches(&world).described("thing").await.unwrap().unwrap();
        known.version != first
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let known = caches(&world).described("thing").await.unwrap().unwrap();
    assert!(known.version != first && known.current == first, "{known:?}");

    let mut late = super::settings(&world, &config("size"));
    late.queues = queues;
    let late = brasa_tests::Worker::start(late);

    eventually("readers go over", async || current().await.unwrap() != first).await;
    let second = current().await.unwrap();
    assert_eq!(get(&world, &format!("{}:thing:{second}:7", world.prefix)).await.as_deref(), Some("70"));
    for worker in olds.into_iter().chain([new, late]) {
        worker.drain().await;
    }
}
