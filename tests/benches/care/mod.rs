//! How near the estimates of indexes come to the truth, how long a look at many of them takes, and what the application
//! feels meanwhile: on a private Postgres.

use std::time::Instant;

use anyhow::{Context as _, Result};
use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_tests::World;
use brasa_tests::bench::{Redis, Report, Row, Stage, say};
use brasa_tests::shapes::{SEEN, UNSEEN};
use sqlx::AssertSqlSafe;
use tokio::runtime::Runtime;

mod beside;
mod estimating;
mod looking;

/// Measures all of it, or what `PART` names.
pub(super) fn measure(stage: &Stage) -> Result<Report> {
    let ground = Ground::new(stage.is_quick)?;
    let only = std::env::var("PART").ok();
    let is_wanted = |what: &str| only.as_deref().is_none_or(|only| only == what);
    let mut report = Report::default();
    for (what, fixture) in [("shapes", &SEEN), ("unseen shapes", &UNSEEN)] {
        if is_wanted(what) {
            report.extend(answered(what, estimating::rows(&ground, what, fixture)));
        }
    }
    if is_wanted("looking") {
        report.extend(answered("looking", looking::rows(&ground)));
    }
    if is_wanted("beside") {
        report.extend(answered("beside", beside::rows(&ground)));
    }
    if is_wanted("prune") {
        report.extend(answered("prune", beside::prune(&ground)));
    }
    Ok(report)
}

fn answered(what: &str, rows: Result<Vec<Row>>) -> Vec<Row> {
    rows.unwrap_or_else(|error| vec![Row::new(what, "").ours(&Err(format!("{error:#}")))])
}

/// No process of ours but this one is measured.
pub(super) fn play(_: &[String]) -> Result<()> {
    anyhow::bail!("this family has no roles")
}

/// What everything is measured on.
struct Ground {
    runtime: Runtime,
    world: World,
    is_quick: bool,
    _servers: (Redis, PostgresServer),
}

impl Ground {
    fn new(is_quick: bool) -> Result<Self> {
        let runtime = Runtime::new().context("start a runtime")?;
        let postgres =
            PostgresServer::start(PostgresOptions::default()).context("start a Postgres for the bench")?;
        let redis = Redis::start(true)?;
        let world = runtime.block_on(World::on_servers(redis.url(), &postgres.url("postgres")));
        Ok(Self { runtime, world, is_quick, _servers: (redis, postgres) })
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Runs statements; returns how long they took, in seconds.
    fn sql(&self, text: &str) -> Result<f64> {
        let (text, began) = (text.to_owned(), Instant::now());
        self.wait(async { sqlx::raw_sql(AssertSqlSafe(text)).execute(&self.world.pool).await })?;
        Ok(began.elapsed().as_secs_f64())
    }
}
