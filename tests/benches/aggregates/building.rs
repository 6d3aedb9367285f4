//! Ten years of real flights, built while somebody writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use brasa_jobs::aggregates::check;
use brasa_tests::bench::{Bar, Row};
use brasa_tests::flights;
use sqlx::AssertSqlSafe;

use super::Ground;

const AGGREGATES: &str = r#"
[aggregates.delays]
source = "history"
time = "time_hour"
tz = "America/New_York"
by = ["carrier"]
measures = { flights = "count(*)", delay = "sum(arr_delay)", mean = "avg(arr_delay)" }

[aggregates.percentiles]
source = "history"
time = "time_hour"
tz = "America/New_York"
by = ["origin"]
measures = { p50 = "percentile(0.5, arr_delay)", p95 = "percentile(0.95, arr_delay)", worst = "max(arr_delay)" }
"#;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    load(ground)?;
    let mut rows = Vec::new();
    for (name, what) in
        [("delays", "delays per carrier and day"), ("percentiles", "percentiles per origin and day")]
    {
        let stop = Arc::new(AtomicBool::new(false));
        let pool = ground.wait(async { ground.world.another_pool(1, std::time::Duration::from_secs(5)) });
        let writer = ground.runtime.spawn(write(pool, Arc::clone(&stop)));
        let began = std::time::Instant::now();
        let longest = ground.keep(AGGREGATES, name)?;
        let took = began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let written = ground.wait(writer)??;
        ground.fold(name, 50_000)?;
        let checked = ground.wait(async {
            let mut connection = ground.world.pool.acquire().await?;
            anyhow::Ok(check(&mut connection, &ground.version(name).await?, false, |_, _| true).await?)
        })?;
        let (compared, wrong) = (checked.compared, i32::try_from(checked.wrong)?);
        rows.push(
            Row::new(format!("3.4 million flights, {what}: the longest transaction"), "ms")
                .ours(&Ok(longest.as_secs_f64() * 1e3))
                .bar(Bar::AtMost(500.0))
                .note(format!("built in {took:.1} s, beside {written} statements that changed rows")),
        );
        rows.push(
            Row::new("groups that differ from the source then", "")
                .ours(&Ok(f64::from(wrong)))
                .bar(Bar::AtMost(0.0))
                .note(format!("of {compared}")),
        );
    }
    Ok(rows)
}

async fn write(pool: sqlx::PgPool, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let sql = format!(
            "update history set arr_delay = arr_delay + 1 where id between {0} and {0} + 9",
            written * 9_973 % 3_000_000
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&pool).await?;
        written += 1;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    Ok(written)
}

fn load(ground: &Ground) -> Result<()> {
    ground.wait(flights::load(&ground.world.pool))?;
    ground.sql(
        "create table history as select row_number() over () as id, (time_hour + y * interval '1 year')::timestamptz as
             time_hour, carrier, origin, dest, arr_delay::int from flights, generate_series(0, 9) y;
         create index on history (time_hour); alter table history add primary key (id)",
    )?;
    ground.sql("vacuum analyze history")?;
    Ok(())
}
