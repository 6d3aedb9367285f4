//! Workers of two builds run side by side, while the newer one has a kind more and a newer payload of another.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::json;

use super::crew::Crew;
use super::kinds::GENERATION;
use super::stage::Stage;
use super::{Plan, Report};

/// Jobs of each sort that come in one round.
const JOBS: usize = 5;
/// For how long only the old build is there.
const ALONE_MS: std::ops::Range<u64> = 100..600;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 8\nlease = \"2s\"");
    let new_build = stage.team().env(GENERATION, "2");
    let mut old = Crew::start(stage.team(), 1);
    let mut waited = 0;
    for _ in 0..plan.rounds {
        let mut jobs = stage.notes(|| plan.dice.random_range(0..60), JOBS);
        for kind in ["team.letter", "team.fresh", "team.letter"] {
            jobs.extend((0..JOBS).map(|_| stage.job(kind, &json!({}))));
        }
        let newest = jobs.len() - JOBS..;
        for job in &mut jobs[newest] {
            job.kv = 2;
        }
        stage.enqueue(&jobs).await;
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(ALONE_MS))).await;
        // What the old build does not know waits for somebody who does.
        stage.open_at_most(2 * JOBS as u64).await;
        let counts = stage.queue.counts().await.expect("counts");
        let (there, unknown) = (counts.waiting + counts.running, 2 * JOBS as u64);
        report.demand(there == unknown, format!("{there} jobs of {unknown} wait for the new build"));
        waited += counts.waiting;
        let new = Crew::start(new_build.clone(), 1);
        stage.open_at_most(0).await;
        new.dismiss().await;
    }
    stage.drained(&mut report, Instant::now()).await;
    old.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
    stage.judge(&mut report).await;
    old.dismiss().await;
    report.demand(report.repeated == 0, format!("{} jobs ran twice", report.repeated));
    for view in stage.done().await {
        report.demand(view.attempt == 1, format!("an attempt was burned: {view:?}"));
    }
    report.note(format!("{waited} jobs waited for the new build"));
    report
}
