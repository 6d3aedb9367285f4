//! What the application's own statements feel while everything is warmed: pgbench, by itself and beside a warmer that
//! would take whole minutes of the database.

use anyhow::{Result, ensure};
use brasa_tests::bench::{Bar, Pgbench, Row, middle, ratios};
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
    let pgbench = Pgbench::new(ground.world.folder(), &ground.world.database_url)?;
    let seconds = if ground.is_quick { 4 } else { 10 };
    ground.forget()?;
    let (mut alone, mut beside, mut naive) = (vec![], vec![], vec![]);
    for _ in 0..ground.repeats {
        alone.push(p95(&pgbench, seconds)?);
        let worker = ground.worker(HEAVY)?;
        let id = ground.wait(ground.world.enqueue("cache.warm", json!({ "name": "heavy" })));
        until("it warms", || Ok(ground.wait(ground.namespace("heavy").stats())?.get("fill_filled") > 0))?;
        beside.push(p95(&pgbench, seconds)?);
        let state = ground.wait(ground.world.show(&id));
        ensure!(state.outcome.is_none(), "the warmer was through before it was measured");
        drop(worker);
        ground.forget()?;
        naive.push(unbounded(ground, &pgbench, seconds)?);
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

/// The 95th percentile of the latency of transactions, in ms.
fn p95(pgbench: &Pgbench, seconds: u32) -> Result<f64> {
    Ok(pgbench.run(&["-c", "4"], ("150", seconds), || Ok(()))?.percentile(95))
}

/// The same beside loaders that know no budget.
fn unbounded(ground: &Ground, pgbench: &Pgbench, seconds: u32) -> Result<f64> {
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
    let found = p95(pgbench, seconds);
    drop(readers);
    found
}
