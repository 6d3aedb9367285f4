//! Workers are asked to end while they run long jobs, with and without the time to finish them.

use std::time::{Duration, Instant};

use brasa_shared::queue::State;
use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};
use crate::process::{Brasa, Running, Signal, within};

/// Jobs that run when the worker is asked to end.
const JOBS: usize = 4;
/// How long they take. The lease is a second, so they are renewed while the worker drains.
const JOB_MS: std::ops::Range<u64> = 1_100..1_500;
/// How long a worker may take beyond its grace.
const SLACK: Duration = Duration::from_secs(3);

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 4\nlease = \"1s\"\nshutdown_grace = \"10s\"");
    let hasty = Brasa::configured(
        &stage.world,
        "[worker]\nconcurrency = 4\nlease = \"1s\"\nshutdown_grace = \"100ms\"\n\
         [queues.default]\nkeep_done = { count = 1000000, age = \"12h\" }\n",
    );
    let hasty = stage.as_team(hasty);
    let patient = stage.team();
    let mut slowest = Duration::ZERO;
    for round in 0..plan.rounds {
        let jobs = stage.notes(|| plan.dice.random_range(JOB_MS), JOBS);
        let is_hasty = round % 2 == 1;
        let worker = if is_hasty { &hasty } else { &patient }.start(["worker"]);
        stage.enqueue(&jobs).await;
        run_all(&stage).await;
        // Another one waits for whatever comes free.
        let crew = Crew::start(patient.clone(), usize::from(!is_hasty));
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(0..300))).await;
        slowest = slowest.max(end(&mut report, worker).await);
        if is_hasty {
            demand_untouched(&mut report, &stage, &jobs).await;
            let successor = Crew::start(patient.clone(), 1);
            stage.open_at_most(0).await;
            successor.dismiss().await;
        }
        stage.open_at_most(0).await;
        crew.dismiss().await;
    }
    stage.drained(&mut report, Instant::now()).await;
    stage.judge(&mut report).await;
    report.demand(report.repeated == 0, format!("{} jobs had their effect twice", report.repeated));
    for view in stage.done().await {
        report.demand(view.attempt == 1, format!("an attempt was burned: {view:?}"));
    }
    report.note(format!("the slowest worker ended {slowest:?} after it was asked to"));
    report
}

async fn run_all(stage: &Stage) {
    within(super::LIMIT, "the jobs run", async || {
        let counts = stage.queue.counts().await.ok()?;
        (counts.running == JOBS as u64).then_some(())
    })
    .await;
}

/// Asks the worker to end, and waits until it has; how long that took.
async fn end(report: &mut Report, worker: Running) -> Duration {
    let asked = Instant::now();
    worker.signal(Signal::Terminate);
    let ended = worker.ended(super::LIMIT).await;
    let took = asked.elapsed();
    report.demand(ended.code == Some(0), format!("it ended otherwise: {ended:?}"));
    report.demand(took < Duration::from_millis(JOB_MS.end) + SLACK, format!("it took {took:?} to end"));
    took
}

/// Jobs that could not be finished wait as if nobody had had them.
async fn demand_untouched(report: &mut Report, stage: &Stage, jobs: &[brasa_shared::queue::Envelope]) {
    for job in jobs {
        let view = stage.queue.show(&job.id).await.ok().flatten();
        let is_untouched = view.as_ref().is_some_and(|view| {
            let is_back = view.state == State::Waiting && view.attempt == 0 && view.trail.is_empty();
            is_back || view.state == State::Done
        });
        report.demand(is_untouched, format!("handed back with a stain: {view:?}"));
    }
}
