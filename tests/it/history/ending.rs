//! Every way in which a job can end.

use std::collections::BTreeMap;

use brasa_shared::queue::{Cancelled, State, Telling, Tick, Verdict};
use brasa_tests::hand::{Hand, LEASE_OVER};
use brasa_tests::kinds::{at_the_gate, at_the_gate_now, obedient_at_the_gate};
use brasa_tests::{World, eventually};
use serde_json::json;

use super::{ROOM, endings, rows, scene, start, start_plainly, waiting, wanted};

/// Jobs that workers bring to their end, with how.
async fn ended_by_workers(world: &World) -> Vec<(String, &'static str)> {
    let queue = world.queue("default");
    let mut late = world.job("test.echo", &json!({}));
    late.expires = Some(1);
    queue.enqueue(&late).await.unwrap();
    let stopped = world.enqueue("test.gate", obedient_at_the_gate(world)).await;
    eventually("it runs", async || at_the_gate_now(world).await == 1).await;
    assert_eq!(queue.cancel(&stopped, "somebody", "enough").await.unwrap(), Cancelled::Asked);
    vec![
        (world.enqueue("test.echo", json!({ "n": 1 })).await, "done"),
        (world.enqueue("test.fail", json!({ "how": "retry", "times": 1 })).await, "done"),
        (world.enqueue("test.fail", json!({ "how": "retry" })).await, "dead"),
        (world.enqueue("test.fail", json!({ "how": "bury" })).await, "dead"),
        (world.enqueue("test.fail", json!({ "how": "discard" })).await, "cancelled"),
        (world.enqueue("test.panic", json!({ "times": 9 })).await, "dead"),
        (late.id, "expired"),
        (stopped, "cancelled"),
    ]
}

/// Jobs that scripts bring to their end without a handler, with how.
async fn ended_by_scripts(world: &World) -> Vec<(String, &'static str)> {
    let queue = world.queue("default");
    // Of a kind that no worker knows, so that only we hold them.
    let hand = Hand::new("hand", &["test.unknown"]);
    let mut held = Vec::new();
    for _ in 0..2 {
        world.enqueue("test.unknown", json!({})).await;
        held.push(hand.claim_one(&queue).await.id);
    }
    assert_eq!(queue.cancel(&held[1], "somebody", "").await.unwrap(), Cancelled::Asked);
    let later = world.queue_seen("default", LEASE_OVER);
    // Lost in company, each takes a quarter of a crash.
    while queue.counts().await.unwrap().running > 0 {
        later.reclaim_lost(0).await.unwrap();
    }

    let waits = world.enqueue("test.unknown", json!({})).await;
    assert_eq!(queue.cancel(&waits, "somebody", "of no use").await.unwrap(), Cancelled::Cancelled);
    let mut due = world.job("test.echo", &json!({}));
    due.due = Some(world.clock.now().as_millisecond() + 3_600_000);
    queue.enqueue(&due).await.unwrap();
    queue.cancel(&due.id, "somebody", "").await.unwrap();

    let mut replaced = Vec::new();
    for minute in 1..=2 {
        let instant = jiff::Timestamp::from_second(1_767_225_600 + 60 * minute).unwrap();
        let mut job = world.job("test.unknown", &json!({}));
        job.schedule = Some("report".to_owned());
        let tick =
            Tick { schedule: "report", instant, overlap: "replace", job: &job, withheld: None, why: "" };
        assert_eq!(queue.tick(&tick).await.unwrap(), Verdict::Fired);
        replaced.push(job.id);
    }

    let mut junk = redis::cmd("ZADD");
    junk.arg(&queue.keys().delayed).arg(1).arg("junk");
    world.redis::<()>(&junk).await;
    let ends = [
        (&held[0], "dead"),
        (&held[1], "cancelled"),
        (&waits, "cancelled"),
        (&due.id, "cancelled"),
        (&replaced[0], "cancelled"),
    ];
    let mut ends: Vec<(String, &'static str)> =
        ends.into_iter().map(|(id, ending)| (id.clone(), ending)).collect();
    ends.push(("junk".to_owned(), "dead"));
    ends
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_found_once_whoever_brought_it_about() {
    let world = scene().await;
    let queue = world.queue("default");
    let worker = start_plainly(&world);
    wanted(&queue).await;
    let mut expected = ended_by_workers(&world).await;
    let by_scripts = ended_by_scripts(&world).await;
    let (lost, waited) = (by_scripts[0].0.clone(), by_scripts[2].0.clone());
    expected.extend(by_scripts);
    world.redis::<()>(redis::cmd("RPUSH").arg(&queue.keys().inbox).arg("nonsense")).await;
    let all = i64::try_from(expected.len() + 1).unwrap();

    eventually("all are written down", async || rows(&world).await >= all).await;
    worker.drain().await;

    let mut found = endings(&world).await;
    let pushed: Vec<String> = found.keys().filter(|id| id.starts_with("unreadable-")).cloned().collect();
    assert_eq!(pushed.len(), 1, "{found:?}");
    assert_eq!(found.remove(&pushed[0]).unwrap(), ["dead"]);
    let expected: BTreeMap<String, Vec<String>> =
        expected.into_iter().map(|(id, ending)| (id, vec![ending.to_owned()])).collect();
    assert_eq!(found, expected);
    assert_eq!(waiting(&queue).await, 0);
    let of = async |id: &str| {
        let sql = "select reason, worker, attempt, started_at is null from brasa.history where id = $1";
        let row: (Option<String>, String, i32, bool) =
            sqlx::query_as(sql).bind(id).fetch_one(&world.pool).await.unwrap();
        (row.0.unwrap_or_default(), row.1, row.2, row.3)
    };
    let (reason, by, attempt, never_ran) = of(&lost).await;
    assert!(reason.contains("quarantined") && by == "hand" && attempt == 1 && !never_ran, "{reason} {by}");
    let (reason, by, attempt, never_ran) = of(&waited).await;
    assert_eq!((reason.as_str(), by.as_str(), attempt, never_ran), ("by somebody: of no use", "", 0, true));
    assert!(of("junk").await.0.contains("no envelope"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_died_and_was_started_again_has_ended_twice() {
    let world = scene().await;
    let queue = world.queue("default");
    let worker = start_plainly(&world);
    let id = world.enqueue("test.fail", json!({ "how": "bury", "times": 1 })).await;
    world.is(&id, State::Dead).await;
    assert_eq!(queue.revive(std::slice::from_ref(&id)).await.unwrap(), [true]);
    world.is(&id, State::Done).await;

    eventually("both ends are written down", async || rows(&world).await == 2).await;
    assert_eq!(endings(&world).await[&id], ["dead", "done"]);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_job_is_kept_and_its_arguments_only_if_somebody_says_so() {
    for args in [false, true] {
        let world = scene().await;
        let telling = Telling { args, leave_out: vec!["test.second".to_owned()] };
        let worker = start(&world, &telling, world.pool.clone(), ROOM);
        let mut job = world.job("test.echo", &json!({ "password": "hunter2" }));
        (job.share, job.trace) = (Some("me".to_owned()), Some("00-1-2-01".to_owned()));
        world.queue("default").enqueue(&job).await.unwrap();
        let failed = world.enqueue("test.fail", json!({ "how": "bury", "ms": 4_711 })).await;
        let mut left_out = world.job("test.second", &json!({}));
        left_out.kv = 2;
        world.queue("default").enqueue(&left_out).await.unwrap();
        world.is(&left_out.id, State::Done).await;
        eventually("they are written down", async || rows(&world).await == 2).await;
        worker.drain().await;

        let row = world
            .rows(
                "select *, ended_at >= started_at and started_at >= enqueued_at as in_order
                   from brasa.history where kind = 'test.echo'",
            )
            .await;
        let (row, view) = (&row[0], world.show(&job.id).await);
        assert_eq!(
            (&row["share"], &row["trace"], &row["queue"]),
            (&json!("me"), &json!("00-1-2-01"), &json!("default"))
        );
        assert_eq!((&row["attempt"], &row["in_order"]), (&json!(1), &json!(true)));
        assert_eq!(row["worker"], json!(view.worker));
        assert_eq!(row["result"]["attempt"], json!(1));
        let known = if args { json!({ "password": "hunter2" }) } else { json!(null) };
        assert_eq!(row["args"], known);

        // A reason says what it said before, and nothing more.
        let row = world.rows("select * from brasa.history where kind = 'test.fail'").await;
        assert_eq!(row[0]["reason"], json!(world.buried(&failed).await));
        assert_eq!(row[0].to_string().contains("4711"), args);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_writes_it_down_nothing_is_told() {
    let world = World::of_queues();
    let queue = world.queue("default").telling(Telling::default());
    let id = world.enqueue("test.gate", at_the_gate(&world)).await;
    queue.cancel(&id, "somebody", "").await.unwrap();
    assert_eq!(waiting(&queue).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_cannot_hold_is_written_as_it_can() {
    let world = scene().await;
    let worker = start(&world, &Telling { args: true, leave_out: Vec::new() }, world.pool.clone(), ROOM);
    let args = json!({ "text": "a\u{0}b", "long": "x".repeat(5_000) });
    let id = world.enqueue("test.echo", args).await;
    let odd = world.enqueue("test.echo", json!({ "text": "a\u{0}b" })).await;
    world.is(&id, State::Done).await;
    world.is(&odd, State::Done).await;
    eventually("they are written down", async || rows(&world).await == 2).await;
    worker.drain().await;

    let row = world.rows(&format!("select args, result from brasa.history where id = '{id}'")).await;
    assert!(row[0]["args"]["bytes_left_out"].as_u64().is_some_and(|bytes| bytes > 5_000), "{row}");
    let row = world.rows(&format!("select args from brasa.history where id = '{odd}'")).await;
    assert_eq!(row[0]["args"]["text"], "a\u{fffd}b");
}
