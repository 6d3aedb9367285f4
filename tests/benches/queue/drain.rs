//! A backlog, and the workers that run it down.

use std::time::Duration;

use anyhow::Result;
use brasa_tests::bench::protocol::Mode;
use brasa_tests::bench::usage::Memory;
use brasa_tests::bench::{Contestant, Redis, Run, Stage, pause};

/// How long the last outcomes may take to be in Redis once the last job has run.
const SETTLE: Duration = Duration::from_millis(100);

/// A backlog, and how it is worked on.
#[derive(Clone, Copy)]
pub(super) struct Load {
    /// Jobs that wait when the workers start.
    pub(super) jobs: u64,
    /// Worker processes.
    pub(super) processes: usize,
    /// Ended jobs that are kept; only we obey.
    pub(super) kept: u64,
}

/// What running it down was like.
pub(super) struct Drain {
    /// Jobs per second, from the first begin to the last end.
    pub(super) rate: f64,
    /// Jobs per second while they were enqueued in bulk.
    pub(super) bulk_rate: f64,
    /// Bytes that a waiting job takes in Redis.
    pub(super) waiting_bytes: f64,
    /// Processor time of Redis per job, in µs.
    pub(super) redis_us: f64,
    /// Processor time of the workers per job, in µs.
    pub(super) worker_us: f64,
    /// The most memory that the workers ever held, in MB.
    pub(super) peak_mb: f64,
}

/// Enqueues a backlog of no-op jobs and then starts the workers.
#[expect(clippy::cast_precision_loss, reason = "numbers of jobs fit")]
pub(super) fn drain(stage: &Stage, redis: &Redis, who: &Contestant, load: Load) -> Result<Drain> {
    let run = Run::new(stage, redis, who)?.with("KEEP", &load.kept);
    let jobs = load.jobs as f64;
    let empty = redis.used_bytes()?;
    let bulk_rate = jobs / run.enqueue(load.jobs, None)?;
    let waiting_bytes = (redis.used_bytes()? - empty) / jobs;
    let mut workers = run.start(Mode::Noop, load.processes, who.concurrency)?;
    // Starting is no part of what a job costs.
    let begun = workers.until(1)?;
    let before = (redis.cpu_us(), workers.cpu_us());
    let ended = workers.until(load.jobs)?;
    pause(SETTLE);
    let per_job = |after: f64, before: f64| (after - before) / (ended.count - begun.count).max(1) as f64;
    Ok(Drain {
        rate: ended.count as f64 / ended.took().as_secs_f64(),
        bulk_rate,
        waiting_bytes,
        redis_us: per_job(redis.cpu_us(), before.0),
        worker_us: per_job(workers.cpu_us(), before.1),
        peak_mb: workers.memory_mb(Memory::Peak),
    })
}
