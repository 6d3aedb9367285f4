//! Callers that enqueue at the same time share a round trip, and each has the answer to its own job.

use std::time::Duration;

use brasa_shared::queue::{Enqueued, Envelope, QueueError};
use brasa_shared::store::Store;
use brasa_tests::{Proxy, World};
use serde_json::json;

const KIND: &str = "sql.run";

fn unique(world: &World, key: &str) -> Envelope {
    let mut job = world.job(KIND, &json!({}));
    job.unique = Some(key.to_owned());
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_who_enqueue_at_once_have_each_their_own_answer() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let holder = unique(&world, "taken");
    queue.enqueue(&holder).await.unwrap();
    let known = world.job(KIND, &json!({}));
    queue.enqueue(&known).await.unwrap();

    let calls: Vec<_> = (0..200)
        .map(|n| {
            let mut job = match n % 5 {
                1 => unique(&world, "taken"),
                2 => known.clone(),
                _ => world.job(KIND, &json!({ "n": n })),
            };
            if n % 5 == 3 {
                job.id = "not an id".to_owned();
            }
            let queue = queue.clone();
            (n, job.id.clone(), tokio::spawn(async move { queue.enqueue(&job).await }))
        })
        .collect();

    for (n, id, call) in calls {
        let answer = call.await.unwrap();
        match n % 5 {
            1 => assert_eq!(answer.unwrap(), Enqueued::Held { by: holder.id.clone() }),
            2 => assert_eq!(answer.unwrap(), Enqueued::Known),
            3 => assert!(matches!(answer, Err(QueueError::Envelope { .. })), "{answer:?}"),
            _ => {
                assert_eq!(answer.unwrap(), Enqueued::New);
                assert!(world.state(&id).await.is_some());
            }
        }
    }
    assert_eq!(world.counts().await.waiting, 2 + 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_share_round_trips() {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let far = world.queue("default").over(Store::open(&proxy.url()).unwrap());
    far.enqueue(&world.job(KIND, &json!({}))).await.unwrap();

    // What comes while the way is blocked goes together.
    proxy.freeze();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (queue, job) = (far.clone(), world.job(KIND, &json!({})));
            tokio::spawn(async move { queue.enqueue(&job).await.unwrap() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.thaw();

    for call in calls {
        assert_eq!(call.await.unwrap(), Enqueued::New);
    }
    assert_eq!(world.counts().await.waiting, 101);
}

/// Whoever takes the others along may be dropped at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_take_nobody_along() {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let far = world.queue("default").over(Store::open(&proxy.url()).unwrap());
    far.enqueue(&world.job(KIND, &json!({}))).await.unwrap();
    for round in 0..10 {
        proxy.freeze();
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let (queue, job) = (far.clone(), world.job(KIND, &json!({ "round": round })));
                let id = job.id.clone();
                (id, tokio::spawn(async move { queue.enqueue(&job).await.unwrap() }))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        // The first of them is the one that is under way.
        for (_, call) in calls.iter().step_by(7) {
            call.abort();
        }
        proxy.thaw();
        for (n, (id, call)) in calls.into_iter().enumerate() {
            if n % 7 == 0 {
                drop(call.await);
                continue;
            }
            let answer =
                tokio::time::timeout(Duration::from_secs(15), call).await.expect("an answer").unwrap();
            // One that had been taken along by somebody who gave up is sent again, and known by then.
            assert!(matches!(answer, Enqueued::New | Enqueued::Known), "{answer:?}");
            assert!(world.state(&id).await.is_some());
        }
    }
}
