//! Workers that wait are killed, relieved and frozen while single jobs are handed over to them.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};
use crate::process::Signal;

/// How long the lease of a lost worker keeps its jobs. Nobody is handed anything under a shorter one.
const LEASE: Duration = Duration::from_secs(5);
/// How much later everything has to have run.
const SLACK: Duration = Duration::from_secs(5);
/// Jobs of a round, one after the other.
const JOBS: u64 = 40;
/// How long a worker is frozen, while jobs go on coming: until after the lease of what it was handed.
const FROZEN: Duration = Duration::from_secs(7);
/// Workers: each is idle most of the time.
const WORKERS: usize = 3;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 4\nlease = \"5s\"\ncrashes_max = 100\nisolate = false");
    let mut crew = Crew::start(stage.team(), WORKERS);
    for round in 0..plan.rounds {
        let before = plan.dice.random_range(0..JOBS);
        enqueue(&mut stage, &mut plan, before).await;
        match round % 3 {
            0 => crew.kill_any(&mut plan.dice).await,
            1 => crew.relieve_any(&mut plan.dice).await,
            _ => freeze_any(&mut stage, &mut plan, &mut crew).await,
        }
        enqueue(&mut stage, &mut plan, JOBS - before).await;
    }
    let last = Instant::now();
    stage.drained_within(&mut report, last, LEASE + SLACK).await;
    let counts = stage.judge_all_good(&mut report, crew).await;
    let total = |name: &str| counts.totals.get(name).copied().unwrap_or(0);
    let (enqueued, handed) = (total("enqueued"), total("handed"));
    report.demand(handed * 4 > enqueued, format!("only {handed} of {enqueued} jobs were handed over"));
    report.note(format!(
        "{handed} of {enqueued} jobs were handed over; {} were taken back",
        total("reclaimed")
    ));
    report
}

/// Enqueues jobs one by one, hardly faster than they are done.
async fn enqueue(stage: &mut Stage, plan: &mut Plan, count: u64) {
    for _ in 0..count {
        let job = stage.notes(|| plan.dice.random_range(0..10), 1);
        stage.enqueue(&job).await;
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(0..8))).await;
    }
}

async fn freeze_any(stage: &mut Stage, plan: &mut Plan, crew: &mut Crew) {
    let frozen = crew.any(&mut plan.dice);
    frozen.signal(Signal::Stop);
    let begun = Instant::now();
    while begun.elapsed() < FROZEN {
        enqueue(stage, plan, 10).await;
    }
    frozen.signal(Signal::Continue);
}
