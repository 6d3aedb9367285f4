//! What following changes costs, against computing everything again.

use anyhow::{Result, ensure};
use brasa_tests::bench::{Bar, Row, middle, ratios};

use super::{Ground, REPEATS};

/// How many rows change in a round.
const CHANGED: u32 = 10_000;

/// 20,000 groups: a hundred days, and two hundred shops.
fn table(ground: &Ground, name: &str, rows: u32) -> Result<()> {
    ground.sql(&format!(
        "create table {name} (id bigint generated always as identity, at timestamptz not null, shop int not null,
             units int not null, total numeric not null);
         insert into {name} (at, shop, units, total)
         select timestamptz '2026-01-01Z' + (n % 100) * interval '1 day' + (n % 86400) * interval '1 second', n / 100 % 200,
             n % 10, (n % 1000) / 100.0 from generate_series(1, {rows}) n;
         create index on {name} (at)"
    ))?;
    ground.sql(&format!("vacuum analyze {name}"))?;
    let text = format!(
        "[aggregates.{name}]\nsource = \"{name}\"\ntime = \"at\"\nby = [\"shop\"]\n\
         measures = {{ n = \"count(*)\", units = \"sum(units)\", revenue = \"sum(total)\" }}\n"
    );
    ground.keep(&text, name)?;
    Ok(())
}

/// Ten thousand rows one by one, so that each has a row in the log: of the last day, or of all of them.
fn change(ground: &Ground, name: &str, days: u32) -> Result<()> {
    ground.sql(&format!(
        "do $$ begin for n in 1..{CHANGED} loop
             insert into {name} (at, shop, units, total) values
                 (timestamptz '2026-04-10Z' - n % {days} * interval '1 day', n / 100 % 200, 1, 1); end loop; end $$"
    ))?;
    Ok(())
}

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let sizes: [u32; 2] = if ground.is_quick { [200_000, 2_000_000] } else { [1_000_000, 10_000_000] };
    table(ground, "middling", 2_000_000)?;
    ground.sql(
        "create materialized view refreshed as select date_trunc('day', at) as day, shop, count(*) as n, sum(units) as units,
             sum(total) as revenue from middling group by 1, 2;
         create unique index on refreshed (day, shop)",
    )?;
    let (mut ours, mut refreshes, mut scattered) = (vec![], vec![], vec![]);
    for _ in 0..REPEATS {
        change(ground, "middling", 1)?;
        let (took, rows) = ground.fold("middling", 50_000)?;
        ensure!(rows == i64::from(CHANGED), "{rows} rows of the log");
        ours.push(took * 1e3);
        refreshes.push(ground.sql("refresh materialized view concurrently refreshed")? * 1e3);
        change(ground, "middling", 100)?;
        scattered.push(ground.fold("middling", 50_000)?.0 * 1e3);
    }
    let (ratio, words) = ratios(&refreshes, &ours);
    let mut rows = vec![
        Row::new("10,000 changes of the last day, of 2 million rows, moved", "ms")
            .ours(&middle(&ours))
            .beside("REFRESH … CONCURRENTLY", &middle(&refreshes))
            .note(words),
        Row::new("REFRESH against it, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtLeast(100.0)),
        Row::new("10,000 changes of 10,000 groups, moved", "ms")
            .ours(&middle(&scattered))
            .beside("REFRESH … CONCURRENTLY", &middle(&refreshes)),
    ];
    table(ground, "smaller", sizes[0])?;
    table(ground, "larger", sizes[1])?;
    let (mut small, mut large) = (vec![], vec![]);
    for _ in 0..REPEATS {
        for (name, took) in [("smaller", &mut small), ("larger", &mut large)] {
            change(ground, name, 1)?;
            took.push(ground.fold(name, 50_000)?.0 * 1e3);
        }
    }
    let (ratio, words) = ratios(&large, &small);
    rows.push(
        Row::new(format!("10,000 changes of {} million rows, moved", f64::from(sizes[1]) / 1e6), "ms")
            .ours(&middle(&large))
            .beside("of a tenth of them", &middle(&small))
            .note(words),
    );
    rows.push(Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtMost(1.3)));
    ground.sql("drop table smaller, larger cascade")?;
    Ok(rows)
}
