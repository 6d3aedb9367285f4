//! `kill -9` at 25, 50 and 75 % of a backlog: what is lost, what runs twice, and how long it takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use brasa_tests::bench::protocol::{Mode, now_us};
use brasa_tests::bench::{Bar, Contestant, Row, Run, pause};

use super::engine::{Engine, Standing};
use super::field::{Everybody, Field, Measured, middle};
use super::plan::LEFT_OUT;

/// The lease of our jobs. Peers have what they have by default.
const LEASE_S: f64 = 5.0;
/// How long after the lease everything has to have run.
const GRACE_S: f64 = 5.0;
/// Jobs at once, at most.
const AT_ONCE: usize = 20;
/// How often the number of executions is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long no new job may run before those that have not are taken for lost. BullMQ needs a minute.
const LOST_AFTER: Duration = Duration::from_secs(100);
/// How long our queue may take to be empty once every job has run.
const EMPTY_WITHIN: Duration = Duration::from_mins(1);

/// What three kills did.
#[derive(Clone, Copy)]
struct Crash {
    never: f64,
    twice: f64,
    all_s: f64,
    empty_s: f64,
    accepted_twice: f64,
}

pub(super) fn rows(field: &Field) -> Vec<Row> {
    let what = "kill -9, three times";
    let all = if field.plan.are_peers_whole {
        field.everybody(what, 1, |who| crash(field, who))
    } else {
        let left_out = Err(LEFT_OUT.to_owned());
        Everybody { ours: field.us(what, 1, |who| crash(field, who)), peers: vec![("BullMQ", left_out)] }
    };
    let bar = Bar::AtMost(LEASE_S + GRACE_S);
    let mut rows = all.rows("kill -9: never executed", "jobs", Bar::AtMost(0.0), |crash| crash.never);
    let whole = Everybody {
        ours: if_all_ran("Brasa", &all.ours),
        peers: all.peers.iter().map(|(name, crash)| (*name, if_all_ran(name, crash))).collect(),
    };
    rows.extend(whole.rows("kill -9: last kill until all have run", "s", bar, |crash| crash.all_s));
    let alone = |measure: &str, unit, pick: fn(&Crash) -> f64| {
        Row::new(format!("kill -9: {measure}"), unit).ours(&middle(&all.ours, pick))
    };
    rows.push(alone("last kill until the queue is empty", "s", |crash| crash.empty_s).bar(bar));
    rows.push(alone("outcomes accepted twice", "jobs", |crash| crash.accepted_twice).bar(Bar::AtMost(0.0)));
    rows.push(alone("executed more than once", "jobs", |crash| crash.twice));
    rows.into_iter().map(|row| row.note("our lease is 5 s here; peers have their defaults")).collect()
}

/// Where jobs were lost, there is no time at which all had run.
fn if_all_ran(name: &str, crash: &Measured<Vec<Crash>>) -> Measured<Vec<Crash>> {
    let lost = crash.as_ref().ok().and_then(|crash| crash.first()).map_or(0.0, |crash| crash.never);
    if lost > 0.0 { Err(format!("{name} never ran {lost} of the jobs")) } else { crash.clone() }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of jobs and µs fit")]
fn crash(field: &Field, who: &Contestant) -> Result<Crash> {
    let jobs = field.plan.crash_jobs;
    let run = Run::new(field.stage, &field.redis, who)?.with("LEASE_MS", &(LEASE_S * 1_000.0));
    run.enqueue(jobs, None)?;
    let at_once = who.concurrency.min(AT_ONCE);
    for quarter in 1..=3 {
        let workers = run.start(Mode::Crash, 1, at_once)?;
        let executed = until_executed(&run, jobs * quarter / 4)?;
        ensure!(executed >= jobs * quarter / 4, "stood still after {executed} of {jobs} jobs");
        workers.kill();
    }
    let killed_us = now_us();
    let mut workers = run.start(Mode::Crash, 1, at_once)?;
    until_executed(&run, jobs)?;
    workers.check()?;
    let standing = if who.name == field.ours.name { Some(until_empty(&run)?) } else { None };
    let empty_us = now_us();
    workers.kill();
    let executions = run.executions();
    let last_us = executions.values().filter_map(|times| times.iter().min()).max().copied();
    let since = |us: u64| us.saturating_sub(killed_us) as f64 / 1e6;
    Ok(Crash {
        never: (jobs - executions.len() as u64) as f64,
        twice: executions.values().filter(|times| times.len() > 1).count() as f64,
        all_s: since(last_us.context("nothing ran")?),
        empty_s: since(empty_us),
        accepted_twice: standing
            .map_or(f64::NAN, |at| (at.open + at.dead + at.done).saturating_sub(jobs) as f64),
    })
}

/// Waits until so many different jobs have run, or no more come, and says how many.
fn until_executed(run: &Run, count: u64) -> Result<u64> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let executed = u64::try_from(run.executions().len())?;
        if executed >= count || since.elapsed() > LOST_AFTER {
            return Ok(executed);
        }
        if executed != last {
            (last, since) = (executed, Instant::now());
        }
        pause(LOOK_EVERY);
    }
}

/// Waits until no job of ours is open, or no longer, and says how the queue stands.
fn until_empty(run: &Run) -> Result<Standing> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    runtime.block_on(async {
        let engine = Engine::open(run.redis.url(), 0)?;
        loop {
            let standing = engine.standing().await?;
            if standing.open == 0 {
                return Ok(standing);
            }
            ensure!(begun.elapsed() < EMPTY_WITHIN, "{} jobs never came to their end", standing.open);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
}
