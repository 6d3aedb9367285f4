//! The inbox: one plain list that any language pushes envelopes to.

use std::time::Duration;

use brasa_shared::queue::{Enqueued, Queue, State};
use brasa_tests::World;
use brasa_tests::hand::Hand;
use redis::cmd;
use serde_json::{Value, json};

/// Pushes as another language would.
async fn push(world: &World, entries: &[&[u8]]) {
    let _: u64 = world.redis(cmd("RPUSH").arg(&world.queue("default").keys().inbox).arg(entries)).await;
}

async fn push_json(world: &World, entry: &Value) {
    push(world, &[entry.to_string().as_bytes()]).await;
}

/// Admits everything; returns how many calls it took.
async fn drain(queue: &Queue) -> usize {
    let mut calls = 0;
    while queue.drain_inbox().await.unwrap() > 0 {
        calls += 1;
    }
    calls
}

#[tokio::test]
async fn a_job_needs_only_an_id_and_a_kind_to_be_pushed() {
    let world = World::of_queues();
    push_json(&world, &json!({ "id": "order-1", "kind": "sql.run", "args": { "n": 7 } })).await;
    assert_eq!(world.counts().await.waiting, 1);

    assert_eq!(drain(&world.queue("default")).await, 1);

    let view = world.show("order-1").await;
    assert_eq!((view.state, view.args), (State::Waiting, json!({ "n": 7 })));
    assert_eq!(Hand::new("w", &["sql.run"]).claim_one(&world.queue("default")).await.id, "order-1");
}

#[tokio::test]
async fn an_id_that_is_pushed_twice_is_one_job() {
    let world = World::of_queues();
    let queue = world.queue("default");
    for n in [1, 2, 3] {
        push_json(&world, &json!({ "id": "order-1", "kind": "sql.run", "args": { "n": n } })).await;
    }

    drain(&queue).await;

    assert_eq!((world.counts().await.waiting, world.counts().await.totals["enqueued"]), (1, 1));
    assert_eq!(world.show("order-1").await.args, json!({ "n": 1 }));
}

#[tokio::test]
async fn an_id_is_the_same_through_every_door() {
    let world = World::of_queues();
    let (queue, job) = (world.queue("default"), world.job("sql.run", &json!({})));
    push_json(&world, &json!({ "id": job.id, "kind": "sql.run" })).await;
    drain(&queue).await;

    assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::Known);
}

#[tokio::test]
async fn a_malformed_entry_among_a_thousand_good_ones_is_parked_alone() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let mut entries: Vec<_> =
        (0..1_000).map(|n| json!({ "id": format!("job-{n}"), "kind": "sql.run" }).to_string()).collect();
    entries.insert(500, r#"{"id": "cut off", "ki"#.to_owned());
    push(&world, &entries.iter().map(String::as_bytes).collect::<Vec<_>>()).await;

    assert_eq!(drain(&queue).await, 8);

    let counts = world.counts().await;
    assert_eq!((counts.waiting, counts.dead), (1_000, 1));
    let parked = queue.list(State::Dead, 10).await.unwrap().remove(0);
    assert_eq!(parked.unreadable.as_deref(), Some(r#"{"id": "cut off", "ki"#));
    assert!(parked.outcome.unwrap().reason.unwrap().contains("the envelope is not one of ours"));
}

#[tokio::test]
async fn every_way_to_be_malformed_is_parked_with_its_reason() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let long = json!({ "id": "a", "kind": "x", "args": { "text": "x".repeat(300_000) } }).to_string();
    let cases: &[(&[u8], &str)] = &[
        (b"", "no envelope"),
        (b"hello", "not one of ours"),
        (b"[]", "not one of ours"),
        (b"{}", "missing field `kind`"),
        (br#"{"kind":"x"}"#, "missing field `id`"),
        (br#"{"id":"a"}"#, "missing field `kind`"),
        (br#"{"id":7,"kind":"x"}"#, "invalid type"),
        (br#"{"id":"a b","kind":"x"}"#, "cannot be an id"),
        (br#"{"id":"a","kind":"Upper"}"#, "kind"),
        (br#"{"id":"a","kind":"x","args":[]}"#, "must be a JSON object"),
        (br#"{"id":"a","kind":"x","v":9}"#, "version 9"),
        (br#"{"id":"a","kind":"x","due":"tomorrow"}"#, "invalid type"),
        (b"\xff\xfe\x00", "not one of ours"),
        (b"\x28\xb5\x2f\xfdbroken", "cannot be decompressed"),
        (long.as_bytes(), "pass a reference"),
    ];
    for (entry, reason) in cases {
        push(&world, &[entry]).await;
        assert_eq!(drain(&queue).await, 1);

        let parked = queue.list(State::Dead, 1).await.unwrap().remove(0);
        let said = parked.outcome.unwrap().reason.unwrap();
        assert!(said.contains(reason), "{said}");
        assert_eq!(queue.forget(&[parked.id]).await.unwrap(), [true]);
    }
}

#[tokio::test]
async fn a_parked_entry_cannot_be_revived_but_forgotten() {
    let world = World::of_queues();
    let queue = world.queue("default");
    push(&world, &[b"hello"]).await;
    drain(&queue).await;
    let id = queue.list(State::Dead, 1).await.unwrap().remove(0).id;

    assert_eq!(queue.revive(std::slice::from_ref(&id)).await.unwrap(), [false]);
    assert_eq!(queue.forget(&[id]).await.unwrap(), [true]);
    assert_eq!(world.counts().await.dead, 0);
}

#[tokio::test]
async fn a_pushed_job_may_be_due_later() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let due = (world.clock.now() + Duration::from_mins(1)).as_millisecond();
    push_json(&world, &json!({ "id": "later", "kind": "sql.run", "due": due })).await;

    drain(&queue).await;

    assert_eq!(world.state("later").await, Some(State::Delayed));
    world.advance(Duration::from_mins(1));
    assert_eq!(queue.promote_due().await.unwrap(), 1);
}

#[tokio::test]
async fn a_pushed_job_respects_unique_keys() {
    let world = World::of_queues();
    let queue = world.queue("default");
    push_json(&world, &json!({ "id": "one", "kind": "sql.run", "unique": "key" })).await;
    push_json(&world, &json!({ "id": "two", "kind": "sql.run", "unique": "key" })).await;

    drain(&queue).await;

    assert_eq!((world.state("one").await, world.state("two").await), (Some(State::Waiting), None));
}

#[tokio::test]
async fn a_pushed_job_of_an_unknown_kind_waits_and_can_be_seen() {
    let world = World::of_queues();
    push_json(&world, &json!({ "id": "a", "kind": "team.invent", "kv": 3 })).await;

    drain(&world.queue("default")).await;

    assert_eq!(world.counts().await.waiting_by_class["team.invent@3"], 1);
}

#[tokio::test]
async fn two_who_drain_the_inbox_lose_and_double_nothing() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let entries: Vec<_> =
        (0..1_000).map(|n| json!({ "id": format!("job-{n}"), "kind": "sql.run" }).to_string()).collect();
    push(&world, &entries.iter().map(String::as_bytes).collect::<Vec<_>>()).await;

    // Nothing moved means that it is empty, or that the other one was faster.
    let drain_all = async || {
        let mut moved = 0;
        while world.redis::<u64>(cmd("LLEN").arg(&queue.keys().inbox)).await > 0 {
            moved += queue.drain_inbox().await.unwrap();
        }
        moved
    };
    let (one, two) = tokio::join!(drain_all(), drain_all());

    assert_eq!(one + two, 1_000);
    assert_eq!(world.counts().await.waiting, 1_000);
}
