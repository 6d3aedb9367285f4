//! Redis comes back without the last second of what it had written, as after a loss of power.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::crew::Crew;
use super::outbox::{commit, rows};
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::process::within;

/// How much is lost at least.
const WINDOW: Duration = Duration::from_secs(1);
/// How often the length of the file is recorded.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much later than they are enqueued jobs are due, so that they are open at the cut.
const LATER_MS: std::ops::Range<u32> = 0..2_500;
/// For how long jobs come before a cut.
const SPELL_MS: std::ops::Range<u64> = 1_200..2_000;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let worker = "concurrency = 8\nlease = \"2s\"\ncrashes_max = 100\nisolate = false";
    let mut stage = Stage::with_outbox(worker).await;
    let mut crew = Crew::start(stage.team(), 2);
    let reconciler = stage.reconciler();
    // Plain jobs, by when their enqueuer was told; and what was lost, from when until when.
    let (mut told, mut gaps) = (BTreeMap::new(), Vec::new());
    for _ in 0..plan.rounds {
        let spell = Duration::from_millis(plan.dice.random_range(SPELL_MS));
        let lengths = write(&mut plan, &mut stage, spell, &mut told).await;
        let killed = Instant::now();
        stage.redis.kill().expect("Redis is killed");
        let cut = lengths.iter().rev().find(|(at, _)| killed - *at >= WINDOW).or(lengths.first());
        let (from, length) = *cut.expect("the length of the file is known");
        shorten(&log_file(stage.data()), length);
        gaps.push((from, killed));
        stage.redis.restart().expect("Redis starts with what is left");
    }
    let last = Instant::now();
    within(LIMIT, "the outbox is empty", async || (rows(&stage.world.pool).await == 0).then_some(())).await;
    stage.drained(&mut report, last).await;
    reconciler.drain().await;
    crew.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
    stage.judge(&mut report).await;
    crew.dismiss().await;
    // What Redis forgets it may do again, and counts anew.
    report.stale_accepted = 0;
    let is_excused = |id: &String| {
        let at: Option<&Instant> = told.get(id);
        at.is_some_and(|at| gaps.iter().any(|(from, until)| from <= at && at <= until))
    };
    let (excused, missing): (Vec<_>, Vec<_>) = stage.lost().into_iter().partition(is_excused);
    report.lost = missing.len();
    report.demand(!excused.is_empty(), "no plain job was lost, so nothing was cut: that proves nothing");
    let outbox = report.acknowledged - told.len();
    let longest = gaps.iter().map(|(from, until)| *until - *from).max().unwrap_or_default();
    report.note(format!("of {outbox} jobs through the outbox {} were lost", missing.len()));
    report.note(format!(
        "of {} plain jobs {} were lost, all of them acknowledged within a cut of {longest:?} at most",
        told.len(),
        excused.len()
    ));
    report
}

/// Enqueues through the outbox and beside it for a while, and records how long the file was when.
async fn write(
    plan: &mut Plan,
    stage: &mut Stage,
    spell: Duration,
    told: &mut BTreeMap<String, Instant>,
) -> Vec<(Instant, u64)> {
    let (begun, mut lengths) = (Instant::now(), Vec::new());
    let log = log_file(stage.data());
    while begun.elapsed() < spell || lengths.is_empty() {
        let at = Instant::now();
        if stage.is_written_down().await {
            lengths.push((at, fs::metadata(&log).expect("the file is there").len()));
        }
        stage.acknowledge_one(commit(&stage.world.pool, plan.dice.random_range(LATER_MS)).await);
        let mut jobs = stage.notes(|| 0, 2);
        for job in &mut jobs {
            let later_ms = i64::from(plan.dice.random_range(LATER_MS));
            job.due = Some(stage.world.clock.now().as_millisecond() + later_ms);
        }
        stage.enqueue(&jobs).await;
        told.extend(jobs.into_iter().map(|job| (job.id, Instant::now())));
        tokio::time::sleep(LOOK_EVERY.saturating_sub(at.elapsed())).await;
    }
    lengths
}

/// The file to which Redis appends.
fn log_file(data: &Path) -> PathBuf {
    let folder = data.join("appendonlydir");
    let files = fs::read_dir(&folder).expect("Redis keeps an append-only file");
    let mut files = files.map(|file| file.expect("a file").path());
    files.find(|path| path.to_string_lossy().ends_with(".incr.aof")).expect("Redis appends to a file")
}

fn shorten(file: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(file).expect("the file can be written");
    file.set_len(length).expect("the file is cut");
}
