//! Workers stand still for longer than their leases last, and go on as if nothing had been.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};
use crate::process::{Signal, within};

/// How much longer than its lease, which is a second, a worker stands still: at least, and at most.
const STILL_MS: std::ops::Range<u64> = 1_200..2_500;
/// Jobs that come while one stands still.
const JOBS: usize = 30;
/// Workers: one stands still, the others take its jobs.
const WORKERS: usize = 3;
/// Open jobs at which no more come.
const BACKLOG: u64 = 60;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 4\nlease = \"1s\"\ncrashes_max = 100\nisolate = false");
    let mut crew = Crew::start(stage.team(), WORKERS);
    for _ in 0..plan.rounds {
        stage.open_at_most(BACKLOG).await;
        let jobs = stage.notes(|| plan.dice.random_range(20..400), JOBS);
        stage.enqueue(&jobs).await;
        within(super::LIMIT, "jobs run", async || {
            let counts = stage.queue.counts().await.ok()?;
            (counts.running >= WORKERS as u64).then_some(())
        })
        .await;
        let late = crew.any(&mut plan.dice);
        late.signal(Signal::Stop);
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(STILL_MS))).await;
        late.signal(Signal::Continue);
    }
    let last = Instant::now();
    stage.drained(&mut report, last).await;
    let counts = stage.judge_all_good(&mut report, crew).await;
    let back = counts.totals.get("reclaimed").copied().unwrap_or(0);
    report.demand(back > 0, "nobody lost a lease: that proves nothing");
    report.note(format!("{back} times a job was taken back from a worker that stood still"));
    report
}
