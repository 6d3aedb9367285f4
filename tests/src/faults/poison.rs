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
/// How often a job is lost before it is put away: twice in company, once with its parent as a witness.
const TIMES: usize = 3;
/// The same where bad jobs take the witnesses of other bad ones down.
const TIMES_UNSEEN: usize = 5;
/// What a worker may take, in KiB; one that does nothing takes a fraction of it.
const MEMORY_KIB: u64 = 4 * 1024 * 1024;

/// What was enqueued to do harm: its kind, and how often it may at most.
type Poison = BTreeMap<String, (String, usize)>;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 4\nlease = \"1s\"");
    let mut crew = Crew::start(stage.team().within_memory(MEMORY_KIB), 2);
    let (mut poison, mut fallen) = (Poison::new(), 0);
    for round in 0..plan.rounds {
        // The first half comes as fast as workers get over it, the other half one after the other.
        let is_storm = round < plan.rounds / 2;
        fallen += stage.open_at_most_by(if is_storm { BACKLOG } else { 0 }, &mut crew).await;
        let jobs = stage.notes(|| plan.dice.random_range(0..60), JOBS);
        stage.enqueue(&jobs[..JOBS / 2]).await;
        let bad = stage.job(KINDS[round as usize % KINDS.len()], &json!({}));
        stage.queue.enqueue(&bad).await.expect("a bad job is enqueued like a good one");
        poison.insert(bad.id, (bad.kind, if is_storm { TIMES_UNSEEN } else { TIMES }));
        stage.enqueue(&jobs[JOBS / 2..]).await;
    }
    let last = Instant::now();
    fallen += stage.open_at_most_by(0, &mut crew).await;
    report.drained = last.elapsed();
    stage.judge(&mut report).await;
    crew.dismiss().await;
    let dead = stage.queue.list(State::Dead, poison.len() + report.acknowledged).await.expect("the dead");
    judge(&mut report, &dead, poison, &stage.book());
    report.note(format!("workers fell {fallen} times"));
    report
}

/// Holds what bad jobs went through against what they may.
fn judge(report: &mut Report, dead: &[JobView], mut poison: Poison, book: &Book) {
    let (mut seen, mut unseen) = (0, 0);
    for view in dead {
        let Some((kind, most)) = poison.remove(&view.id) else {
            report.demand(false, format!("a good job was quarantined: {view:?}"));
            continue;
        };
        let witnessed = view.trail.iter().filter(|line| line.contains(" crashed ")).count();
        let crashes = witnessed + view.trail.iter().filter(|line| line.contains(" lost ")).count();
        let reason = view.outcome.as_ref().and_then(|outcome| outcome.reason.as_deref()).unwrap_or_default();
        let began = book.begun(&view.id).len();
        let is_well = if kind == PANIC {
            reason.contains("panicked")
        } else {
            (seen, unseen) = (seen + witnessed, unseen + usize::from(crashes > TIMES));
            reason.contains("quarantined") && (TIMES..=most).contains(&crashes) && (1..=most).contains(&began)
        };
        report.demand(is_well, format!("{kind} began {began} times: {view:?}"));
    }
    report.demand(poison.is_empty(), format!("these are not in the dead letter: {poison:?}"));
    report.note(format!(
        "{seen} crashes were witnessed; {unseen} jobs needed more than {TIMES}, for their witness was taken down"
    ));
}
