//! Redis is killed and started again while jobs are enqueued and run.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{Plan, Report};

/// Jobs that come between two faults.
const JOBS: usize = 40;
/// Open jobs at which no more come.
const BACKLOG: u64 = 120;
/// How soon something has to be done once Redis answers again; workers look at most a second apart.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 8\nlease = \"5s\"\ncrashes_max = 100");
    let mut crew = Crew::start(stage.team(), 2);
    let mut slowest = Duration::ZERO;
    for _ in 0..plan.rounds {
        stage.open_at_most(BACKLOG).await;
        let jobs = stage.notes(|| plan.dice.random_range(0..40), JOBS);
        stage.enqueue(&jobs[..JOBS / 2]).await;
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(0..150))).await;
        stage.kill_redis().await;
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(0..300))).await;
        stage.redis.restart().expect("Redis starts again");
        let back = Instant::now();
        let executed = stage.book().executions();
        stage.enqueue(&jobs[JOBS / 2..]).await;
        crate::process::within(super::LIMIT, "something is done again", async || {
            (stage.book().executions() > executed).then_some(())
        })
        .await;
        slowest = slowest.max(back.elapsed());
    }
    let last = Instant::now();
    stage.drained(&mut report, last).await;
    crew.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
    stage.judge(&mut report).await;
    crew.dismiss().await;
    report.demand(slowest < FIRST_WITHIN, format!("the first job came {slowest:?} after Redis was back"));
    report.note(format!("the first job came at most {slowest:?} after Redis was back"));
    report
}
