//! What the application's own statements feel while everything is warmed: pgbench, by itself and beside a warmer that
//! would take whole minutes of the database.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use brasa_tests::bench::{Bar, Row, middle, ratios};
use serde_json::json;

use super::ground::{Ground, until};

/// Costly statements without an end.
const HEAVY: &str = r#"
    [warm.heavy]
    for_each = { sql = "select generate_series(1, 100000) as n", params = ["n"] }
    sql = "select n, (select sum(arr_delay) from flights where time_hour between '2013-01-01'::timestamptz + n % 300 * interval '1 day' and '2013-01-02'::timestamptz + n % 300 * interval '1 day') as value from unnest($1::int[]) n"
    key = "KEY:heavy:{n}"
    ttl = "1h"
    batch = 20
    warm_on = []
"#;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let program = pgbench()?;
    run(ground, &program, &["-i", "-q", "-s", "10"])?;
    let seconds = if ground.is_quick { 4 } else { 10 };
    ground.forget()?;
    let (mut alone, mut beside, mut naive) = (vec![], vec![], vec![]);
    for _ in 0..ground.repeats {
        alone.push(p95(ground, &program, seconds)?);
        let worker = ground.worker(HEAVY)?;
        let id = ground.wait(ground.world.enqueue("cache.warm", json!({ "name": "heavy" })));
        until("it warms", || Ok(ground.wait(ground.namespace("heavy").stats())?.get("fill_filled") > 0))?;
        beside.push(p95(ground, &program, seconds)?);
        let state = ground.wait(ground.world.show(&id));
        ensure!(state.outcome.is_none(), "the warmer was through before it was measured");
        drop(worker);
        ground.forget()?;
        naive.push(unbounded(ground, &program, seconds)?);
    }
    let (ratio, words) = ratios(&beside, &alone);
    let (unbound, more) = ratios(&naive, &alone);
    let row =
        Row::new("p95 of pgbench while a costly warmer runs, the middle ratio of pairs", "x").ours(&ratio);
    Ok(vec![
        Row::new("p95 of pgbench while a costly warmer runs", "ms")
            .ours(&middle(&beside))
            .beside("pgbench alone", &middle(&alone))
            .note(words),
        row.beside("eight loaders without a budget", &unbound).bar(Bar::AtMost(1.5)).note(more),
    ])
}

fn pgbench() -> Result<PathBuf> {
    let mut found = Vec::new();
    for place in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        found.push(place.path().join("bin/pgbench"));
    }
    found.push(PathBuf::from("pgbench"));
    found.into_iter().find(|path| path.is_file()).context("pgbench is not installed")
}

fn run(ground: &Ground, program: &PathBuf, args: &[&str]) -> Result<PathBuf> {
    let folder = ground.world.folder().join(format!("pgbench-{:x}", rand::random::<u32>()));
    std::fs::create_dir_all(&folder)?;
    let status = Command::new(program)
        .args(args)
        .arg(&ground.world.database_url)
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "pgbench ended with {status}");
    Ok(folder)
}

/// The 95th percentile of the latency of transactions, in ms.
fn p95(ground: &Ground, program: &PathBuf, seconds: u32) -> Result<f64> {
    let seconds = seconds.to_string();
    // At a rate that the machine bears, so that what is measured is not a queue of pgbench's own.
    let folder = run(ground, program, &["-n", "-c", "4", "-j", "1", "-R", "150", "-l", "-T", &seconds])?;
    let mut took = Vec::new();
    for file in std::fs::read_dir(&folder)? {
        for line in std::fs::read_to_string(file?.path())?.lines() {
            // Client, number, latency in µs from when it was scheduled, …, and at the end how late it began.
            if let Some(us) = line.split(' ').nth(2).and_then(|us| us.parse::<f64>().ok()) {
                took.push(us / 1_000.0);
            }
        }
    }
    ensure!(took.len() > 100, "pgbench did only {} transactions", took.len());
    took.sort_by(f64::total_cmp);
    Ok(took[took.len() * 95 / 100])
}

/// The same beside loaders that know no budget.
fn unbounded(ground: &Ground, program: &PathBuf, seconds: u32) -> Result<f64> {
    let sql = "select (select sum(arr_delay)::text from flights where time_hour between '2013-01-01'::timestamptz \
               + $1 % 300 * interval '1 day' and '2013-01-02'::timestamptz + $1 % 300 * interval '1 day')";
    let readers = ground.readers(&[
        ("MODE", "sql"),
        ("SQL", sql),
        ("COUNT", "300"),
        ("TASKS", "8"),
        ("POOL", "8"),
        ("SECONDS", &(seconds + 1).to_string()),
    ])?;
    let found = p95(ground, program, seconds);
    drop(readers);
    found
}
