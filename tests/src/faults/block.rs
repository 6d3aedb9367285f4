//! Handlers block every thread of their runtime for longer than their leases last.

use std::time::Instant;

use rand::RngExt as _;
use serde_json::json;

use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};

/// How long a thread is blocked. The lease is a second.
const BLOCK_MS: std::ops::Range<u64> = 1_200..2_500;
/// Jobs that block in each round: more than a worker has threads on a small machine.
const JOBS: usize = 8;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 8\nlease = \"1s\"");
    // Two of them, so that somebody is awake who could take a job back.
    let crew = Crew::start(stage.team(), 2);
    for _ in 0..plan.rounds {
        let mut jobs = stage.notes(|| plan.dice.random_range(0..100), JOBS / 2);
        jobs.extend(
            (0..JOBS).map(|_| stage.job("team.block", &json!({ "ms": plan.dice.random_range(BLOCK_MS) }))),
        );
        stage.enqueue(&jobs).await;
        stage.open_at_most(0).await;
    }
    stage.drained(&mut report, Instant::now()).await;
    let counts = stage.judge_all_good(&mut report, crew).await;
    let back = counts.totals.get("reclaimed").copied().unwrap_or(0);
    report.demand(back == 0, format!("{back} leases were lost"));
    for view in stage.done().await {
        report.demand(view.attempt == 1, format!("it began more than once: {view:?}"));
    }
    report
}
