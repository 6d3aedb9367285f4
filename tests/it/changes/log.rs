//! Taking changes out of the log.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{LONG, Scene, shown};

/// Puts changes into the log, each with a number for a key.
async fn put(scene: &mut Scene, first: u32, last: u32) {
    scene.run(&format!("select brasa.invalidate_key(n::text) from generate_series({first}, {last}) n")).await;
}

#[tokio::test]
async fn changes_are_taken_in_their_order_and_gone_when_the_cache_knows() {
    let mut scene = Scene::with("select 1").await;
    assert!(scene.log.exists().await.unwrap());
    assert!(scene.log.is_empty().await.unwrap());
    put(&mut scene, 1, 5).await;
    assert!(!scene.log.is_empty().await.unwrap());

    let taken = scene.log.take(3).await.unwrap();
    let texts: Vec<_> = taken.changes.iter().map(shown).collect();
    assert_eq!(texts, ["key: 1", "key: 2", "key: 3"]);
    taken.done().await.unwrap();

    assert_eq!(scene.log.waiting().await.unwrap().rows, 2);
    assert_eq!(scene.logged().await, ["key: 4", "key: 5"]);
    assert!(scene.log.is_empty().await.unwrap());
    assert!(scene.log.take(3).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn what_a_taker_drops_is_in_the_log_again() {
    let mut scene = Scene::with("select 1").await;
    put(&mut scene, 1, 2).await;

    let taken = scene.log.take(10).await.unwrap();
    assert_eq!(taken.changes.len(), 2);
    drop(taken);

    assert_eq!(scene.logged().await, ["key: 1", "key: 2"]);
}

#[tokio::test]
async fn two_takers_share_the_log_without_overlap() {
    let mut scene = Scene::with("select 1").await;
    put(&mut scene, 1, 100).await;

    let (one, two) = (scene.log.take(30).await.unwrap(), scene.log.take(30).await.unwrap());
    let rest = scene.log.take(1_000).await.unwrap();
    let all: BTreeSet<_> =
        [&one, &two, &rest].iter().flat_map(|taken| taken.changes.iter().map(shown)).collect();

    assert_eq!((one.changes.len(), two.changes.len(), rest.changes.len(), all.len()), (30, 30, 40, 100));
    assert!(scene.log.take(10).await.unwrap().changes.is_empty());
    assert!(!scene.log.is_empty().await.unwrap());
    // Writers do not wait for takers.
    put(&mut scene, 101, 101).await;
    drop(two);
    one.done().await.unwrap();
    rest.done().await.unwrap();
    assert_eq!(scene.log.waiting().await.unwrap().rows, 31);
}

#[tokio::test]
async fn takers_that_run_beside_writers_miss_nothing_and_take_nothing_twice() {
    let scene = Scene::with("select 1").await;
    let writer = |first: u32| {
        let pool = scene.world.pool.clone();
        tokio::spawn(async move {
            for n in first..first + 100 {
                let query = sqlx::query("select brasa.invalidate_key($1)").bind(n.to_string());
                query.execute(&pool).await.unwrap();
            }
        })
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let taker = || {
        let (log, told) = (scene.log.clone(), told.clone());
        tokio::spawn(async move {
            for round in 1_u32.. {
                let taken = log.take(7).await.unwrap();
                let lines: Vec<_> = taken.changes.iter().map(shown).collect();
                // Every third time the cache does not answer.
                if round % 3 > 0 {
                    taken.done().await.unwrap();
                    told.lock().unwrap().extend(lines);
                }
                if told.lock().unwrap().len() >= 300 {
                    break;
                }
            }
        })
    };

    let tasks = [taker(), taker(), writer(0), writer(1_000), writer(2_000)];
    for task in tasks {
        tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    }

    assert!(scene.log.is_empty().await.unwrap());
    let told = told.lock().unwrap();
    let different: BTreeSet<_> = told.iter().collect();
    assert_eq!((told.len(), different.len()), (300, 300));
}

#[tokio::test]
async fn how_much_waits_is_told_with_the_age_of_the_oldest() {
    let mut scene = Scene::with("select 1").await;
    assert_eq!(scene.log.waiting().await.unwrap().oldest, None);
    put(&mut scene, 1, 3).await;
    scene.run("update brasa.cache_log set at = at - interval '1 hour' where keys = '{2}'").await;

    let waiting = scene.log.waiting().await.unwrap();

    let hour = Duration::from_hours(1);
    assert_eq!(waiting.rows, 3);
    assert!(waiting.oldest.is_some_and(|age| age >= hour && age < hour + LONG), "{waiting:?}");
    let ages: Vec<_> = scene.take_all().await.iter().map(|change| change.age >= hour).collect();
    assert_eq!(ages, [false, true, false]);
}

#[tokio::test]
async fn a_look_at_a_log_that_was_full_goes_through_its_index() {
    let mut scene = Scene::with("select 1").await;
    put(&mut scene, 1, 20_000).await;
    scene.run("analyze brasa.cache_log").await;
    scene.take_all().await;
    scene.log.is_empty().await.unwrap();

    let explain = "explain select id from brasa.cache_log order by id limit 1";
    let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *scene.app).await.unwrap();

    assert!(lines.iter().any(|line| line.contains("Index")), "{lines:#?}");
}
