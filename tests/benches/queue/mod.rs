//! The queue beside BullMQ, rusty-sidekiq and Sidekiq: how many jobs, how soon, at what cost, and what a crash does.
//!
//! Every worker and every enqueuer is a process of its own, ours as well, and every run has a private Redis that was
//! emptied for it. Ended jobs are kept by nobody, unless a row says so. A worker process has as many jobs at once as
//! suits it best: we 100, BullMQ 50, the others 10.

use anyhow::Result;
use brasa_tests::bench::{Redis, Report, Stage, bullmq, rusty_sidekiq, sidekiq};

mod crash;
mod drain;
mod engine;
mod enqueue;
mod field;
mod latency;
mod limits;
mod plan;
mod role;
mod sleeps;
mod throughput;

pub(crate) use role::play;

use field::Field;
use plan::Plan;

/// Measures all of it.
pub(super) fn measure(stage: &Stage) -> Result<Report> {
    let peers = stage.peers(&[bullmq, rusty_sidekiq, sidekiq]);
    let plan = if stage.is_quick { Plan::QUICK } else { Plan::FULL };
    let field = Field { stage, plan, redis: Redis::start(false)?, ours: field::ours()?, peers };
    let mut report = Report::default();
    let begin = limits::begin(&field.redis);
    let limits = limits::look(&field);
    report.extend(throughput::rows(&field));
    report.extend(enqueue::rows(&field));
    report.extend(latency::rows(&field));
    report.extend(sleeps::rows(&field));
    report.extend(crash::rows(&field));
    report.extend(limits::rows(&limits, &limits::look(&field)));
    report.push(limits::others(&begin, &field.redis));
    Ok(report)
}
