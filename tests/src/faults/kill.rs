//! Workers are killed at random moments while they work.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};

/// How long the lease of a killed worker keeps its jobs.
const LEASE: Duration = Duration::from_secs(2);
/// How much later everything has to have run.
const SLACK: Duration = Duration::from_secs(5);
/// Jobs that come between two kills.
const JOBS: usize = 20;
/// Open jobs at which no more come.
const BACKLOG: u64 = 100;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 8\nlease = \"2s\"");
    let count = plan.dice.random_range(2..=4);
    let mut crew = Crew::start(stage.team(), count);
    for _ in 0..plan.rounds {
        stage.open_at_most(BACKLOG).await;
        // Long enough for most kills to hit one: a few rounds are to prove something, too.
        let jobs = stage.notes(|| plan.dice.random_range(0..150), JOBS);
        stage.enqueue(&jobs).await;
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(0..200))).await;
        crew.kill_any(&mut plan.dice).await;
    }
    let last = Instant::now();
    stage.drained_within(&mut report, last, LEASE + SLACK).await;
    let counts = stage.judge_all_good(&mut report, crew).await;
    let back = counts.totals.get("reclaimed").copied().unwrap_or(0);
    report.demand(back > 0, "no kill hit a job: that proves nothing");
    report.note(format!("{count} workers; {back} times a job was taken back from one that was killed"));
    report
}
