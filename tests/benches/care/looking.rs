//! A look at two thousand indexes.

use std::time::Instant;

use anyhow::Result;
use brasa_jobs::database::indexes::{Scope, look_closer};
use brasa_tests::bench::{Bar, Row, middle};

use super::Ground;

/// Twenty tables with ten indexes each.
const TABLES: &str = "
    do $$ begin
        for n in $FIRST .. $FIRST + 19 loop
            execute format('create table many_%s as select i, i %% 7 as a, md5(i::text) as b, now() as c, i %% 90 as d
                from generate_series(1, 1000) i', n);
            execute format('create index on many_%s (i)', n);
            execute format('create index on many_%s (a)', n);
            execute format('create index on many_%s (b)', n);
            execute format('create index on many_%s (c)', n);
            execute format('create index on many_%s (d)', n);
            execute format('create index on many_%s (a, d)', n);
            execute format('create index on many_%s (lower(b))', n);
            execute format('create index on many_%s (i) where a = 3', n);
            execute format('create unique index on many_%s (i, b)', n);
            execute format('create index on many_%s (d, c) include (a)', n);
        end loop; end $$";

/// How often it is measured.
const REPEATS: usize = 7;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    for first in (1..=200).step_by(20) {
        ground.sql(&TABLES.replace("$FIRST", &first.to_string()))?;
    }
    ground.sql("analyze")?;
    let (mut times, mut count, mut known) = (Vec::new(), 0, 0);
    for _ in 0..REPEATS {
        let (began, found) = ground.wait(async {
            let mut connection = ground.world.pool.acquire().await?;
            let began = Instant::now();
            anyhow::Ok((began, look_closer(&mut connection, Scope::All).await?))
        })?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        count = found.len();
        known = found.iter().filter(|index| index.estimate.is_ok()).count();
    }
    Ok(vec![
        Row::new(format!("a look at {count} indexes"), "ms")
            .ours(&middle(&times))
            .bar(Bar::AtMost(500.0))
            .note(format!("with {known} estimates; from the first on: {times:.0?}")),
    ])
}
