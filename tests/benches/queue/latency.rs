//! How soon a job begins: of an idle worker, and under load. What an idle worker costs is seen on the way.

use std::time::Duration;

use anyhow::{Result, ensure};
use brasa_tests::bench::protocol::Mode;
use brasa_tests::bench::usage::Memory;
use brasa_tests::bench::{Bar, Contestant, Row, Run, pause};

use super::field::{Everybody, Field, Measured};

/// How long a worker may take to start and to calm down.
const WARM_UP: Duration = Duration::from_secs(2);
/// Jobs per second of a worker that has next to nothing to do.
const IDLE_RATE: f64 = 200.0;
/// Jobs per second of one that has.
const LOAD_RATE: f64 = 4_000.0;
/// How much of a rate has to be reached for it to be that rate.
const REACHED: f64 = 0.97;

/// How long jobs waited, and what the worker was like before the first came.
struct Waits {
    p50_ms: f64,
    p99_ms: f64,
    idle_mb: f64,
    idle_cores: f64,
    reached: f64,
}

pub(super) fn rows(field: &Field) -> Vec<Row> {
    let idle = field.everybody("latency, idle", 1, |who| wait(field, who, IDLE_RATE, false));
    let mut rows = waits("push to start, idle, 200/s", &idle, [0.40, 1.0]);
    rows.extend(idle.rows("worker memory, idle", "MB", Bar::AtMost(15.0), |waits| waits.idle_mb));
    rows.extend(idle.rows("worker CPU, idle", "cores", Bar::AtMost(0.01), |waits| waits.idle_cores));
    let load = field.everybody("latency, under load", 1, |who| wait(field, who, LOAD_RATE, true));
    rows.extend(waits("due to start, 4,000/s", &load, [0.35, 1.5]));
    rows
}

/// The rows of one rate: the middle, and what one of a hundred is worse than.
fn waits(measure: &str, all: &Everybody<Waits>, [p50_ms, p99_ms]: [f64; 2]) -> Vec<Row> {
    let middle = all.rows(&format!("{measure}, p50"), "ms", Bar::AtMost(p50_ms), |waits| waits.p50_ms);
    let slow = all.rows(&format!("{measure}, p99"), "ms", Bar::AtMost(p99_ms), |waits| waits.p99_ms);
    let peers = all.peers.iter().cycle();
    let noted = |(row, (name, theirs)): (Row, &(&'static str, Measured<Vec<Waits>>))| {
        let notes = [slower("Brasa", &all.ours), slower(name, theirs)];
        notes.into_iter().flatten().fold(row, Row::note)
    };
    middle.into_iter().chain(slow).zip(peers).map(noted).collect()
}

/// What has to be said where the rate was not reached.
fn slower(name: &str, waits: &Measured<Vec<Waits>>) -> Option<String> {
    let reached = waits.as_ref().ok()?.first()?.reached;
    (reached < REACHED).then(|| format!("{name} took only {:.0} % of the rate", reached * 100.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rate by some seconds is a small number of jobs, and waits are µs"
)]
fn wait(field: &Field, who: &Contestant, rate: f64, is_meant: bool) -> Result<Waits> {
    let run = Run::new(field.stage, &field.redis, who)?;
    let mut workers = run.start(Mode::Latency, 1, who.concurrency)?;
    pause(WARM_UP);
    let before = workers.cpu_us();
    pause(Duration::from_secs_f64(field.plan.idle_s));
    let idle_cores = (workers.cpu_us() - before) / (field.plan.idle_s * 1e6);
    let idle_mb = workers.memory_mb(Memory::Now);
    workers.check()?;
    let [cold, warm] = [field.plan.cold_s, field.plan.latency_s].map(|seconds| (rate * seconds) as usize);
    let jobs = (cold + warm) as u64;
    let seconds = run.enqueue_at(rate, jobs, is_meant)?;
    workers.until(jobs)?;
    // The counts are written before the waits.
    pause(Duration::from_millis(100));
    let waits = run.waits_us(cold);
    ensure!(waits.len() >= warm, "only {} of {warm} jobs said how long they waited", waits.len());
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    let reached = jobs as f64 / seconds / rate;
    Ok(Waits { p50_ms: at(0.5), p99_ms: at(0.99), idle_mb, idle_cores, reached })
}
