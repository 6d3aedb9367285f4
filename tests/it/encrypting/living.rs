//! Whatever a job may live through, its arguments stay sealed, and are what they were when it runs.

use std::sync::Arc;
use std::time::Duration;

use brasa_shared::queue::{Enqueued, Envelope, Flow, OnConflict, State, Telling, Waiting};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World};
use serde_json::{Value, json};

use super::{queue_with, record, ring, worker_with};

/// What a job returned, for somebody with the keys.
async fn result(world: &World, id: &str) -> Value {
    world.is(id, State::Done).await;
    let view = queue_with(world, ring(&[1])).show(id).await.unwrap().unwrap();
    view.outcome.and_then(|outcome| outcome.result).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_job_is_tried_again_snoozed_buried_and_revived_like_any_other() {
    let world = World::of_queues();
    let queue = queue_with(&world, ring(&[1]).required(true));
    let _worker = worker_with(&world, ring(&[1]).required(true));
    let mut jobs: Vec<Envelope> = ["retry", "snooze", "bury"]
        .map(|how| world.job("test.fail", &json!({ "how": how, "times": 1, "ms": 10 })))
        .to_vec();
    // What is kept as JSON, and not as plainly as most.
    jobs[1].priority = 4;
    for job in &jobs {
        queue.enqueue(job).await.unwrap();
    }

    assert_eq!(result(&world, &jobs[0].id).await["run"], 2);
    assert_eq!(result(&world, &jobs[1].id).await["run"], 2);
    world.is(&jobs[2].id, State::Dead).await;
    assert_eq!(queue.revive(&[jobs[2].id.clone()]).await.unwrap(), [true]);
    assert_eq!(result(&world, &jobs[2].id).await["run"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_flow_follow_one_another_sealed() {
    let world = World::of_queues();
    let queue = queue_with(&world, ring(&[1]).required(true));
    let steps = |word: &str| (0..3).map(|n| world.job("test.echo", &json!({ word: n }))).collect::<Vec<_>>();
    let chain = Flow::chain("chain", steps("step")).unwrap();
    let then = world.job("test.echo", &json!({ "then": 1 }));
    let group = Flow::group("group", steps("member"), then, true).unwrap();
    queue.enqueue_flow(&chain).await.unwrap();
    queue.enqueue_flow(&group).await.unwrap();
    let _worker = worker_with(&world, ring(&[1]).required(true));

    assert_eq!(result(&world, "chain.3").await["args"], json!({ "step": 2 }));
    assert_eq!(result(&world, "group.then").await["args"], json!({ "then": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_seal_does_not_open_does_not_hold_up_those_that_wait_for_any_end() {
    let world = World::of_queues();
    let keeper = queue_with(&world, ring(&[1]));
    let members = vec![world.job("test.echo", &json!({ "n": 1 }))];
    let then = world.job("test.echo", &json!({ "then": 1 }));
    keeper.enqueue_flow(&Flow::group("group", members, then, true).unwrap()).await.unwrap();
    let mut broken = record(&world, "group.1").await;
    // The member is JSON, for it says who waits for it: its seal is changed there.
    let text = String::from_utf8(broken.clone()).unwrap();
    let at = text.find("\"sealed\":\"").unwrap() + 60;
    broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
    super::overwrite(&world, "group.1", &broken).await;
    let _worker = worker_with(&world, ring(&[1]));

    world.is("group.1", State::Dead).await;
    assert_eq!(result(&world, "group.then").await["args"], json!({ "then": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_key_holds_others_off_and_redis_does_not_learn_it() {
    let world = World::of_queues();
    let (before, after) = (queue_with(&world, ring(&[1])), queue_with(&world, ring(&[1, 2])));
    let of = |n: u32, on_conflict| {
        let unique = Some("ann@canary.example".to_owned());
        Envelope { unique, on_conflict, ..world.job("test.echo", &json!({ "n": n })) }
    };
    let first = of(1, OnConflict::Keep);
    assert_eq!(before.enqueue(&first).await.unwrap(), Enqueued::New);
    let held = Enqueued::Held { by: first.id.clone() };
    assert_eq!(before.enqueue(&of(2, OnConflict::Keep)).await.unwrap(), held);
    // Also for those who seal with the next key already.
    assert_eq!(after.enqueue(&of(3, OnConflict::Keep)).await.unwrap(), held);
    let merged = Enqueued::Merged { into: first.id.clone() };
    assert_eq!(after.enqueue(&of(4, OnConflict::Replace)).await.unwrap(), merged);
    assert!(!world.all_of_redis().await.contains("canary"));
    after.reseal().await.unwrap();
    assert_eq!(after.enqueue(&of(5, OnConflict::Keep)).await.unwrap(), held);

    let _worker = worker_with(&world, ring(&[1, 2]));
    world.is(&first.id, State::Done).await;
    let view = after.show(&first.id).await.unwrap().unwrap();
    assert_eq!(view.outcome.unwrap().result.unwrap()["args"], json!({ "n": 4 }));
    assert_eq!(after.enqueue(&of(6, OnConflict::Keep)).await.unwrap(), Enqueued::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_to_the_history_is_sealed_on_its_way_and_read_by_whoever_writes_it_down() {
    let world = World::of_queues();
    let keyring = Arc::new(ring(&[1]));
    let telling = Telling { args: true, leave_out: Vec::new() };
    let teller = world.queue("default").telling(telling);
    let queue = teller.clone().sealing(Arc::clone(&keyring));
    // Somebody wants to know, and does not come.
    assert!(queue.bid_for_history("test", Duration::from_mins(5), 1 << 20).await.unwrap());
    let mut settings = world.settings(kinds(), "");
    settings.queues = vec![(queue.clone(), 1)];
    let job = world.job("test.echo", &json!({ "text": "canary" }));
    queue.enqueue(&job).await.unwrap();
    let worker = Worker::start(settings);
    assert_eq!(result(&world, &job.id).await["args"], json!({ "text": "canary" }));
    // One that a script ends by itself.
    let later = Envelope { due: Some(world.clock.now().as_millisecond() + 3_600_000), ..job.clone() };
    let later = Envelope { id: "later".to_owned(), ..later };
    queue.enqueue(&later).await.unwrap();
    queue.cancel("later", "ann", "").await.unwrap();
    worker.drain().await;

    assert!(!world.all_of_redis().await.contains("canary"));
    let told = |waiting: Vec<Waiting>| waiting.into_iter().flat_map(|entry| entry.ended).collect::<Vec<_>>();
    let ended = told(queue.history_waiting(10).await.unwrap());
    let by_id = |id: &str| ended.iter().find(|ended| ended.id == id).unwrap();
    assert_eq!(by_id(&job.id).args.as_deref(), Some("{\"text\":\"canary\"}"));
    assert!(by_id(&job.id).result.as_ref().unwrap().contains("canary"));
    assert_eq!(by_id("later").args.as_deref(), Some("{\"text\":\"canary\"}"));
    let strange = told(teller.history_waiting(10).await.unwrap());
    let ended = strange.iter().find(|ended| ended.id == job.id).unwrap();
    assert_eq!(ended.args.as_deref(), Some("{\"sealed_with\":\"k1\"}"));
    assert_eq!(ended.result.as_deref(), Some("{\"sealed_with\":\"k1\"}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_languages_push_is_sealed_on_its_way_in_or_by_themselves() {
    let world = World::of_queues();
    let queue = queue_with(&world, ring(&[1]));
    let plain = json!({ "id": "plain", "kind": "test.echo", "args": { "text": "canary" } }).to_string();
    let _: u64 = world.redis(redis::cmd("RPUSH").arg(&queue.keys().inbox).arg(plain)).await;
    while queue.drain_inbox().await.unwrap() > 0 {}
    assert!(!world.all_of_redis().await.contains("canary"));
    assert_eq!(queue.census().await.unwrap().jobs["k1"], 1);
    assert_eq!(queue.show("plain").await.unwrap().unwrap().args, json!({ "text": "canary" }));
}

#[tokio::test]
async fn where_there_are_no_keys_what_is_in_redis_is_what_it_always_was() {
    let world = World::of_queues();
    let id = world.enqueue("test.echo", json!({ "n": 1 })).await;
    assert_eq!(record(&world, &id).await, br#"test.echo{"n":1}"#);
    let census = world.queue("default").census().await.unwrap();
    assert_eq!((census.plain, census.jobs.len()), (1, 0));
    assert_eq!(world.queue("default").reseal().await.unwrap().anew, 0);
}
