//! The story that Brasa was made for, on real data: a list and a dashboard that take the database seconds, and what
//! 1,000 readers at once wait for when they are warm.

use anyhow::Result;
use brasa_tests::bench::{Bar, Row, median};

use super::ground::{Ground, until};

/// A list with everything that a page shows, of flights ten years long; and a dashboard over all of them.
const TABLES: &str = "drop table if exists history;
    create table history as select f.*, y as copy from flights f, generate_series(1, 6) y;
    analyze history";
const LIST: &str = "select jsonb_agg(l)::text from (select h.carrier, a.name, h.dest, count(*) as flights,
    avg(h.arr_delay) as delay, percentile_cont(0.9) within group (order by h.arr_delay) as p90,
    percentile_cont(0.5) within group (order by h.dep_delay) as p50
    from history h join airlines a using (carrier) where h.month % 12 = $1 % 12
        or h.day % 2 = $1 % 2 group by 1, 2, 3 order by 4 desc limit 100) l";
const DASHBOARD: &str = "select jsonb_object_agg(origin, l)::text from (select origin, count(*) as flights,
    count(*) filter (where dep_time is null) as cancelled, avg(arr_delay) as delay from history
    where copy > $1 % 2 group by 1) l";

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    ground.sql(TABLES)?;
    ground.forget()?;
    let loader = |sql: &str| sql.replace("$1", "k.n").replace('\n', " ").replace("::text", "");
    let config = format!(
        r#"
        [warm.list]
        for_each = {{ sql = "select generate_series(1, 4) as n", params = ["n"] }}
        sql = """select k.n, ({}) as value from unnest($1::int[]) k(n)"""
        key = "KEY:page:list:{{n}}"
        ttl = "1h"
        batch = 1
        [warm.dashboard]
        for_each = {{ sql = "select generate_series(1, 4) as n", params = ["n"] }}
        sql = """select k.n, ({}) as value from unnest($1::int[]) k(n)"""
        key = "KEY:page:dashboard:{{n}}"
        ttl = "1h"
        batch = 1
        "#,
        loader(LIST),
        loader(DASHBOARD)
    );
    let worker = ground.worker(&config)?;
    until("both are warm", || {
        let warm =
            |name: &str| ground.wait(ground.namespace(name).stats()).map(|stats| stats.get("fill_filled"));
        Ok(warm("list")? >= 4 && warm("dashboard")? >= 4)
    })?;
    let mut rows = Vec::new();
    for (name, sql, limit_ms) in [("list", LIST, 16.0), ("dashboard", DASHBOARD, 16.0)] {
        rows.push(row(ground, name, sql, limit_ms)?);
    }
    drop(worker);
    Ok(rows)
}

fn row(ground: &Ground, name: &str, sql: &str, limit_ms: f64) -> Result<Row> {
    let (mut warm, mut direct) = (vec![], vec![]);
    let base = ground.key(&format!("page:{name}:"));
    let rounds = if ground.is_quick { 2 } else { ground.repeats };
    for _ in 0..rounds {
        let settings = [
            ("MODE", "plain"),
            ("BASE", base.as_str()),
            ("COUNT", "4"),
            ("TASKS", "1000"),
            ("CONNECTIONS", "8"),
            ("SECONDS", "5"),
            // What a person does between two pages.
            ("PAUSE_US", "1000000"),
        ];
        let found = ground.readers(&settings)?.found()?;
        anyhow::ensure!(found.misses == 0.0 && found.errors == 0.0, "{found:?}");
        warm.push(found.p95_us / 1_000.0);
        let settings = [("MODE", "sql"), ("SQL", sql), ("COUNT", "4"), ("TASKS", "1"), ("SECONDS", "4")];
        direct.push(ground.readers(&settings)?.found()?.p50_us / 1_000.0);
    }
    Ok(Row::new(format!("the {name}, warm, p95 of 1,000 readers at once"), "ms")
        .ours(&Ok(median(warm)))
        .beside("its query, one reader, p50", &Ok(median(direct)))
        .bar(Bar::AtMost(limit_ms)))
}
