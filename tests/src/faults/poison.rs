//! Jobs that take their process down, in the middle of others that do not.

use std::collections::BTreeMap;
use std::time::Instant;

use brasa_shared::queue::{JobView, State};
use rand::RngExt as _;
use serde_json::json;

use super::book::Book;
use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};

/// The ways of going down, and one that only looks like it.
const KINDS: [&str; 4] = ["team.abort", "team.overflow", "team.hog", "team.panic"];
/// A failure like any other.
const PANIC: &str = "team.panic";
/// Good jobs that come with each bad one.
const JOBS: usize = 10;
/// Open jobs at which no more come.
const BACKLOG: u64 = 60;
/// How often a job may be lost before it is put away, and how often one that panics is tried.
const TIMES: usize = 3;
/// What a worker may take, in KiB; one that does nothing takes a fraction of it.
const MEMORY_KIB: u64 = 4 * 1024 * 1024;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 4\nlease = \"2s\"");
    let mut crew = Crew::start(stage.team().within_memory(MEMORY_KIB), 2);
    let (mut poison, mut fallen) = (BTreeMap::new(), 0);
    for round in 0..plan.rounds as usize {
        fallen += stage.open_at_most_by(BACKLOG, &mut crew).await;
        let jobs = stage.notes(|| plan.dice.random_range(0..60), JOBS);
        stage.enqueue(&jobs[..JOBS / 2]).await;
        let bad = stage.job(KINDS[round % KINDS.len()], &json!({}));
        stage.queue.enqueue(&bad).await.expect("a bad job is enqueued like a good one");
        poison.insert(bad.id, bad.kind);
        stage.enqueue(&jobs[JOBS / 2..]).await;
    }
    let last = Instant::now();
    fallen += stage.open_at_most_by(0, &mut crew).await;
    report.drained = last.elapsed();
    stage.judge(&mut report).await;
    crew.dismiss().await;
    let book = stage.book();
    let dead = stage.queue.list(State::Dead, poison.len() + report.acknowledged).await.expect("the dead");
    for view in &dead {
        match poison.remove(&view.id) {
            None => report.demand(false, format!("a good job was quarantined: {view:?}")),
            Some(kind) => judge(&mut report, view, &kind, &book),
        }
    }
    report.demand(poison.is_empty(), format!("these are not in the dead letter: {poison:?}"));
    let crashed = dead.iter().flat_map(|view| &view.trail).filter(|line| line.contains(" crashed ")).count();
    report.note(format!(
        "workers fell {fallen} times; {crashed} crashes were witnessed in a process of their own"
    ));
    report
}

/// What a bad job must have gone through.
fn judge(report: &mut Report, view: &JobView, kind: &str, book: &Book) {
    let lost = |line: &&String| line.contains(" lost ") || line.contains(" crashed ");
    let crashes = view.trail.iter().filter(lost).count();
    let reason = view.outcome.as_ref().and_then(|outcome| outcome.reason.as_deref()).unwrap_or_default();
    let is_well = if kind == PANIC {
        reason.contains("panicked")
    } else {
        let began = book.begun(&view.id).len();
        reason.contains("quarantined") && crashes == TIMES && (1..=TIMES).contains(&began)
    };
    report.demand(is_well, format!("{kind} began {:?}: {view:?}", book.begun(&view.id)));
}
