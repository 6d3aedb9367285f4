//! Workers are killed while rows of a source change in every way; its aggregates are compared with it all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brasa_jobs::aggregates::{install, waiting};
use brasa_shared::db::aggregates::{State, versions};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinSet;

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::process::{Brasa, within};

/// How many write at once.
const WRITERS: u64 = 4;
/// How many rows change between two kills, at least.
const CHANGES: u64 = 4_000;

/// One that is kept by what changed, and one whose groups are computed again.
const CONFIG: &str = r#"
[outbox]
enabled = false
[aggregates.sums]
source = "sales"
time = "at"
by = ["shop"]
measures = { n = "count(*)", units = "sum(units)", revenue = "sum(total)" }
[aggregates.peaks]
source = "sales"
time = "at"
by = ["shop"]
measures = { n = "count(*)", top = "max(total)", half = "percentile(0.5, units)" }
"#;

const TABLES: &str =
    "create table sales (id bigint generated always as identity primary key, at timestamptz not null,
        shop int, units int, total numeric);
    create index on sales (at);
    create table journal (id bigint generated always as identity primary key)";

/// What both do not have in common with the source, in one snapshot.
const DIFFERENCES: &str = "with
    a as (select date_trunc('day', at, 'UTC') as bucket, shop, count(*) as n, sum(total) as revenue, sum(units) as units
          from sales group by 1, 2),
    b as (select date_trunc('day', at, 'UTC') as bucket, shop, percentile_cont(0.5) within group (order by units) as half,
          count(*) as n, max(total) as top from sales group by 1, 2)
    select (select count(*) from (select * from a except all select bucket, shop, n, revenue, units from brasa.agg_sums) x)
        + (select count(*) from (select bucket, shop, n, revenue, units from brasa.agg_sums except all select * from a) x)
        + (select count(*) from (select * from b except all select bucket, shop, half, n, top from brasa.agg_peaks) x)
        + (select count(*) from (select bucket, shop, half, n, top from brasa.agg_peaks except all select * from b) x)";

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let stage = Stage::with_outbox("").await;
    let world = &stage.world;
    world.execute(TABLES).await;
    let config = world.config(CONFIG);
    for (name, aggregate) in &config.aggregates {
        let mut connection = world.pool.acquire().await.expect("a connection");
        install(&mut connection, name, aggregate, false).await.expect("an aggregate is installed");
    }
    let mut crew = Crew::start(stage.as_team(Brasa::configured(world, CONFIG)), 2);
    within(LIMIT, "both are built", async || shown(&stage, "sums").await.zip(shown(&stage, "peaks").await))
        .await;

    let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let pool = world.another_pool(1, Duration::from_secs(30));
        writers.spawn(write(pool, plan.seed ^ writer, Arc::clone(&stop), Arc::clone(&changes)));
    }
    let follower = tokio::spawn(follow(world.another_pool(1, Duration::from_secs(30)), Arc::clone(&stop)));
    let mut compared = 0_u32;
    for round in 1..=u64::from(plan.rounds) {
        within(LIMIT, "rows change", async || {
            (changes.load(Ordering::Relaxed) >= round * CHANGES).then_some(())
        })
        .await;
        if round % 10 == 0 {
            let wrong = differences(&stage).await;
            compared += 1;
            report.demand(wrong == 0, format!("{wrong} groups were wrong in the middle of round {round}"));
        }
        crew.kill_any(&mut plan.dice).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer ends");
    }
    let began = Instant::now();
    for name in ["sums", "peaks"] {
        within(LIMIT, "everything is moved", async || (shown(&stage, name).await? == 0).then_some(())).await;
    }
    report.drained = began.elapsed();
    let wrong = differences(&stage).await;
    report.demand(wrong == 0, format!("{wrong} groups are wrong"));
    report.executions = usize::try_from(changes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    let (counted, all) = follower.await.expect("the follower ends");
    report.note(format!(
        "{} rows changed, {compared} comparisons in the middle of it; who counts by a watermark of max(id) lost {} of {all} rows",
        report.executions,
        all - counted
    ));
    crew.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
    crew.dismiss().await;
    report
}

/// How many rows of the log wait, of an aggregate that is shown.
async fn shown(stage: &Stage, name: &str) -> Option<i64> {
    let mut connection = stage.world.pool.acquire().await.expect("a connection");
    let found = versions(&mut connection, Some(name)).await.expect("what is known");
    let version = found.into_iter().find(|version| version.state == State::Live)?;
    Some(waiting(&mut connection, &version).await.expect("what waits").0)
}

async fn differences(stage: &Stage) -> i64 {
    let mut transaction = stage.world.pool.begin().await.expect("a transaction");
    // It computes everything anew, beside a storm.
    let patience = sqlx::query("set local statement_timeout = '5min'");
    patience.execute(&mut *transaction).await.expect("a setting");
    sqlx::query_scalar(DIFFERENCES).fetch_one(&mut *transaction).await.expect("a comparison")
}

/// Changes rows in transactions some of which are taken back, in whole or in part.
async fn write(pool: PgPool, seed: u64, stop: Arc<AtomicBool>, changes: Arc<AtomicU64>) {
    let mut dice = StdRng::seed_from_u64(seed);
    while !stop.load(Ordering::Relaxed) {
        let mut sql = "begin; insert into journal default values".to_owned();
        for _ in 0..dice.random_range(1..4) {
            let (day, branch, n) =
                (dice.random_range(0..30), dice.random_range(0..20), dice.random_range(1..60));
            let at = format!("timestamptz '2026-03-01Z' + interval '1 day' * {day}");
            let ids = format!(
                "id between (select max(id) from sales) - {} and (select max(id) from sales) - {}",
                branch * n + n,
                branch * n
            );
            let statement = match dice.random_range(0..8) {
                0..=2 => format!(
                    "insert into sales (at, shop, units, total) select {at}, nullif({branch}, 0), x, x / 7.0 from generate_series(1, {n}) x"
                ),
                3..=4 => format!("update sales set units = units + 1, total = total - 0.01 where {ids}"),
                5 => format!("update sales set shop = {branch}, at = {at} where {ids}"),
                6 => format!("delete from sales where {ids}"),
                _ => format!(
                    "savepoint s; insert into sales (at, shop) values ({at}, -1); rollback to savepoint s"
                ),
            };
            sql = format!("{sql}; {statement}");
        }
        let is_kept = dice.random_range(0..20) > 0;
        let end = if is_kept { "commit" } else { "rollback" };
        let outcome = sqlx::raw_sql(AssertSqlSafe(format!("{sql}; {end}"))).execute(&pool).await;
        match outcome {
            Ok(done) if is_kept => drop(changes.fetch_add(done.rows_affected(), Ordering::Relaxed)),
            Ok(_) => {}
            // Two of them may lock rows in a circle; one of them is told to go.
            Err(_) => drop(sqlx::raw_sql("rollback").execute(&pool).await),
        }
    }
}

/// Counts rows as people do who have not thought of transactions that overtake one another. Returns how many it counted,
/// and how many there are.
async fn follow(pool: PgPool, stop: Arc<AtomicBool>) -> (i64, i64) {
    let (mut last, mut counted) = (0_i64, 0_i64);
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        if is_last {
            // Whoever wrote has ended by then.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let next = "select count(*), coalesce(max(id), $1) from journal where id > $1";
        let found = sqlx::query_as::<_, (i64, i64)>(next).bind(last).fetch_one(&pool).await.expect("a count");
        (counted, last) = (counted + found.0, found.1);
        if is_last {
            let all =
                sqlx::query_scalar("select count(*) from journal").fetch_one(&pool).await.expect("a count");
            return (counted, all);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
