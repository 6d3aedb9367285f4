//! A worker is killed at its first write to Redis, at its second, at its third, and so on: right before the write
//! reaches Redis, and right after.

use std::time::Instant;

use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::Proxy;
use crate::process::{Signal, within};

/// Jobs that a victim has to run.
const JOBS: usize = 30;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 4\nlease = \"1s\"\ncrashes_max = 100\nisolate = false");
    let (mut struck, mut before) = (0, 0);
    for nth in 1..=plan.rounds {
        let jobs = stage.notes(|| plan.dice.random_range(0..15), JOBS);
        stage.enqueue(&jobs).await;
        let passes = nth % 2 == plan.rounds % 2;
        let proxy = Proxy::to(stage.redis.url()).await;
        let mut victim = stage.team_through(&proxy.url()).start(["worker"]);
        let pid = victim.pid();
        proxy.at_write(nth, passes, move || {
            // It may have ended by itself, which the case would notice.
            let _was_there = Signal::Kill.send(pid);
        });
        let is_struck = within(LIMIT, "the worker is killed or has nothing to do", async || {
            let is_struck = !proxy.is_waiting_for_a_write();
            let is_idle = stage.queue.counts().await.is_ok_and(|counts| counts.open() == 0);
            (is_struck || is_idle).then_some(is_struck)
        })
        .await;
        struck += u32::from(is_struck);
        before += u32::from(is_struck && !passes);
        victim.kill().await;
    }
    let last = Instant::now();
    let crew = Crew::start(stage.team(), 2);
    stage.drained(&mut report, last).await;
    stage.judge(&mut report).await;
    crew.dismiss().await;
    let counts = stage.queue.counts().await.expect("counts");
    report.demand(counts.dead == 0, format!("{} good jobs are in the dead letter", counts.dead));
    report.demand(struck > 0, "no write was the last: that proves nothing");
    let back = counts.totals.get("reclaimed").copied().unwrap_or(0);
    report.note(format!(
        "{struck} workers were killed at a write, {before} of them before it arrived; {back} jobs were taken back"
    ));
    report
}
