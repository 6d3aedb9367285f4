//! Redis has no memory left, and evicts nothing: what is there is done, and nothing new is taken until there is room.

use std::time::{Duration, Instant};

use brasa_shared::queue::QueueError;
use brasa_shared::store::Fault;
use rand::RngExt as _;
use redis::cmd;

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::process::within;

/// Jobs that are there when memory is short. Each takes a moment, so that many of them are renewed meanwhile.
const JOBS: usize = 60;
/// How long a job takes. The lease is a second.
const JOB_MS: std::ops::Range<u64> = 50..1_500;
/// How long a producer waits before it gives up; memory is not waited for.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// How soon a queue takes again once there is room.
const TAKES_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 8\nlease = \"1s\"");
    let crew = Crew::start(stage.team(), 2);
    let (mut refused, mut slowest) = (0, Duration::ZERO);
    for _ in 0..plan.rounds {
        let jobs = stage.notes(|| plan.dice.random_range(JOB_MS), JOBS);
        stage.enqueue(&jobs).await;
        within(LIMIT, "jobs run", async || (stage.queue.counts().await.ok()?.running > 8).then_some(()))
            .await;
        limit(&stage, 1).await;
        let asked = Instant::now();
        let late = stage.notes(|| 0, 1);
        match stage.queue.enqueue_all(&late).await {
            Err(error) if is_full(&error) => refused += 1,
            answer => report.demand(false, format!("a full Redis said {answer:?}")),
        }
        report
            .demand(asked.elapsed() < REFUSED_WITHIN, format!("it was refused after {:?}", asked.elapsed()));
        // What is there is done without any more memory.
        stage.open_at_most(0).await;
        limit(&stage, 0).await;
        let freed = Instant::now();
        stage.enqueue(&late).await;
        within(LIMIT, "the late one is done", async || stage.lost().is_empty().then_some(())).await;
        slowest = slowest.max(freed.elapsed());
    }
    stage.drained(&mut report, Instant::now()).await;
    let counts = stage.judge_all_good(&mut report, crew).await;
    let back = counts.totals.get("reclaimed").copied().unwrap_or(0);
    report.demand(back == 0, format!("{back} leases were lost for want of memory"));
    report.demand(report.repeated == 0, format!("{} jobs ran twice", report.repeated));
    report
        .demand(slowest < TAKES_WITHIN, format!("it took {slowest:?} until a job was taken and done again"));
    report.note(format!(
        "{refused} times a job was refused; with room again one was done after {slowest:?} at most"
    ));
    report
}

fn is_full(error: &QueueError) -> bool {
    error.fault() == Some(Fault::OutOfMemory)
}

/// Lets Redis use so many bytes; 0 is no limit.
async fn limit(stage: &Stage, bytes: u64) {
    stage.world.redis::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes)).await;
}
