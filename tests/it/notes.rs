//! What a running job says about itself, and what is kept of what it returned.

use std::time::Duration;

use brasa_jobs::{Catalog, Job, JobContext, JobResult, Policy};
use brasa_shared::queue::{LOG_MAX, Note, State};
use brasa_tests::hand::{Hand, LEASE_OVER, done, held, reclaim};
use brasa_tests::{Worker, World, eventually};
use serde::Deserialize;
use serde_json::{Value, json};

const KIND: &str = "sql.run";

#[expect(clippy::unnecessary_wraps, reason = "it is an argument as it is")]
fn note(share: f64, text: &str) -> Option<Note> {
    Some(Note { share, text: text.to_owned(), at: 0 })
}

/// Logs this many lines with this text, and returns as many bytes as it is told to.
#[derive(Debug, Deserialize)]
struct Talk {
    lines: usize,
    text: String,
    #[serde(default)]
    returns: usize,
    #[serde(default)]
    fails: bool,
}

impl Job for Talk {
    const KIND: &'static str = "test.talk";
    const ABOUT: &'static str = "Says much about itself";
    const POLICY: Policy = Policy::new().attempts(1);

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        for n in 0..self.lines {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            ctx.progress((n + 1) as f64 / self.lines as f64, &format!("line {n}")).await;
            ctx.log(&format!("{n} {}", self.text)).await;
        }
        if self.fails {
            return Err(brasa_jobs::JobError::retry("as it was told to"));
        }
        Ok(if self.returns == 0 { Value::Null } else { json!("x".repeat(self.returns)) })
    }
}

fn worker(world: &World) -> Worker {
    Worker::start(world.settings(Catalog::default().with::<Talk>(), ""))
}

#[tokio::test]
async fn a_holder_says_how_far_it_is_and_what_it_does() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    let job = Hand::new("w", &[KIND]).claim_one(&queue).await;

    assert!(queue.note(&held(&job), note(0.25, "a quarter"), "one\n").await.unwrap());
    assert!(queue.note(&held(&job), None, "two\n").await.unwrap());

    let view = world.show(&id).await;
    assert_eq!(view.note.map(|note| (note.share, note.text)), Some((0.25, "a quarter".to_owned())));
    assert_eq!(view.log, ["one", "two"]);
}

#[tokio::test]
async fn a_stale_holder_notes_nothing() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    let late = Hand::new("late", &[KIND]).claim_one(&queue).await;
    world.advance(LEASE_OVER);
    reclaim(&queue).await;
    assert!(!queue.note(&held(&late), note(0.5, "nobody's"), "late\n").await.unwrap());
    let job = Hand::new("w", &[KIND]).claim_one(&queue).await;
    assert!(!queue.note(&held(&late), note(0.5, "nobody's"), "late\n").await.unwrap());
    queue.finish(&[done(&job)]).await.unwrap();

    assert!(!queue.note(&held(&job), note(0.5, "too late"), "late\n").await.unwrap());

    let view = world.show(&id).await;
    assert_eq!((view.note, view.log.len()), (None, 0));
}

#[tokio::test]
async fn a_log_keeps_its_latest_lines_and_no_more_bytes_than_it_may() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let id = world.enqueue(KIND, json!({})).await;
    let job = Hand::new("w", &[KIND]).claim_one(&queue).await;
    for n in 0..1_000 {
        queue.note(&held(&job), None, &format!("line {n:04} {}\n", "x".repeat(80))).await.unwrap();
    }

    let view = world.show(&id).await;
    assert!(view.log.iter().map(|line| line.len() + 1).sum::<usize>() <= LOG_MAX);
    assert!(view.log.len() > 100 && view.log.last().unwrap().starts_with("line 0999"));
}

#[tokio::test]
async fn notes_and_logs_go_with_their_job() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    world.enqueue(KIND, json!({})).await;
    let job = Hand::new("w", &[KIND]).claim_one(&queue).await;
    queue.note(&held(&job), note(1.0, "all"), "one\n").await.unwrap();
    queue.finish(&[done(&job)]).await.unwrap();
    world.advance(Duration::from_hours(2));
    queue.sweep().await.unwrap();

    let k = queue.keys();
    let left: u64 = world.redis(redis::cmd("EXISTS").arg(&k.notes).arg(&k.logs)).await;
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_said_is_there_when_it_has_ended() {
    let world = World::of_queues();
    let worker = worker(&world);
    for fails in [false, true] {
        let id = world.enqueue("test.talk", json!({ "lines": 3, "text": "of text", "fails": fails })).await;
        let ended = if fails { State::Dead } else { State::Done };
        world.is(&id, ended).await;

        let view = world.show(&id).await;
        assert_eq!(view.note.map(|note| note.share), Some(1.0));
        assert_eq!(view.log.len(), 3);
        assert!(view.log[2].ends_with("2 of text"), "{:?}", view.log);
    }
    worker.drain().await;
}

/// A log is cut between characters, whatever they are, and a handler never fails for what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_may_log_more_than_is_kept_in_any_script() {
    let world = World::of_queues();
    let worker = worker(&world);
    for text in ["x".repeat(333), "é".repeat(333), "日本語".repeat(111), "🔥".repeat(777)] {
        let id = world.enqueue("test.talk", json!({ "lines": 200, "text": text })).await;
        world.is(&id, State::Done).await;

        let log = world.show(&id).await.log;
        assert!(log.last().unwrap().contains("199 "), "{:?}", log.last());
        assert!(log.iter().map(|line| line.len() + 1).sum::<usize>() <= LOG_MAX + 8);
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_that_is_longer_than_a_log_is_kept_in_part() {
    let world = World::of_queues();
    let worker = worker(&world);
    let id = world.enqueue("test.talk", json!({ "lines": 1, "text": "é".repeat(LOG_MAX) })).await;
    world.is(&id, State::Done).await;

    let log = world.show(&id).await.log;
    assert_eq!(log.len(), 1);
    assert!(log[0].contains("ééé"), "{}", log[0].len());
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_large_is_not_kept_and_the_job_is_done() {
    let world = World::of_queues();
    let worker = worker(&world);
    let small = world.enqueue("test.talk", json!({ "lines": 0, "text": "", "returns": 65_000 })).await;
    let large = world.enqueue("test.talk", json!({ "lines": 0, "text": "", "returns": 70_000 })).await;
    eventually("both are done", async || world.counts().await.done == 2).await;

    assert_eq!(world.result(&small).await.as_str().map(str::len), Some(65_000));
    let outcome = world.show(&large).await.outcome.unwrap();
    assert_eq!(outcome.result, None);
    assert!(outcome.reason.unwrap().contains("at most 64 KiB"));
    worker.drain().await;
}
