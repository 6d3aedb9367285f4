//! A worker is killed at its first write to Redis, at its second, at its third, and so on: right before the write
//! reaches Redis, and right after.

use std::time::Instant;

use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::Proxy;
use crate::process::{Signal, within};

/// Jobs that a victim has to run, at least, and how many writes make one more.
const JOBS: usize = 20;
const WRITES: usize = 2;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 4\nlease = \"1s\"\ncrashes_max = 100\nisolate = false");
    let mut before = 0;
    for nth in 1..=plan.rounds {
        let count = JOBS + nth as usize / WRITES;
        let jobs = stage.notes(|| plan.dice.random_range(0..15), count);
        stage.enqueue(&jobs).await;
        let passes = nth % 2 == plan.rounds % 2;
        let proxy = Proxy::to(stage.redis.url()).await;
        let mut victim = stage.team_through(&proxy.url()).start(["worker"]);
        let pid = victim.pid();
        proxy.at_write(nth, passes, move || {
            // It may have ended by itself, which the case would notice.
            let _was_there = Signal::Kill.send(pid);
        });
        // Somebody who has no jobs any more keeps house, and writes too.
        within(LIMIT, "the worker is killed at a write", async || {
            (!proxy.is_waiting_for_a_write()).then_some(())
        })
        .await;
        before += u32::from(!passes);
        victim.kill().await;
    }
    let last = Instant::now();
    let crew = Crew::start(stage.team(), 2);
    stage.drained(&mut report, last).await;
    stage.judge(&mut report).await;
    crew.dismiss().await;
    let counts = stage.queue.counts().await.expect("counts");
    report.demand(counts.dead == 0, format!("{} good jobs are in the dead letter", counts.dead));
    let back = counts.totals.get("reclaimed").copied().unwrap_or(0);
    report.note(format!(
        "{before} of the workers were killed before the write arrived; {back} jobs were taken back"
    ));
    report
}
