//! Aggregates beside what people do without them: on a private Redis, and a private Postgres that keeps what it has
//! committed.
//!
//! Whatever is compared is measured in turns, seven times, and the middle counts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_jobs::aggregates::{Fault, Folding, Pace, build, fold, install, switch};
use brasa_shared::db::aggregates::{State, Version, versions};
use brasa_shared::db::migrate;
use brasa_tests::World;
use brasa_tests::bench::{Redis, Report, Row, Stage, say};
use sqlx::AssertSqlSafe;
use tokio::runtime::Runtime;

mod building;
mod folding;
mod reading;
mod writing;

/// How often everything is measured.
const REPEATS: usize = 7;

/// A part of it: what it is about, and how it is measured.
type Part = (&'static str, fn(&Ground) -> Result<Vec<Row>>);

/// Measures all of it, or what `PART` names.
pub(super) fn measure(stage: &Stage) -> Result<Report> {
    let ground = Ground::new(stage.is_quick)?;
    let parts: [Part; 4] = [
        ("the application's writes", writing::rows),
        ("moving changes", folding::rows),
        ("building", building::rows),
        ("reading", reading::rows),
    ];
    let only = std::env::var("PART").ok();
    let mut report = Report::default();
    for (what, rows) in parts.into_iter().filter(|(what, _)| only.as_deref().is_none_or(|only| only == *what))
    {
        say(what);
        match rows(&ground) {
            Ok(rows) => report.extend(rows),
            Err(error) => report.push(Row::new(what, "").ours(&Err(format!("{error:#}")))),
        }
    }
    Ok(report)
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
        let options = PostgresOptions { fsync: true, ..PostgresOptions::default() };
        let postgres = PostgresServer::start(options).context("start a Postgres for the bench")?;
        let redis = Redis::start(true)?;
        let world = runtime.block_on(World::on_servers(redis.url(), &postgres.url("postgres")));
        runtime.block_on(migrate(&world.pool))?;
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

    /// Installs an aggregate and builds what is from before; returns how long its longest transaction took.
    fn keep(&self, text: &str, name: &str) -> Result<Duration> {
        self.wait(async {
            let config = self.world.config(text);
            let mut connection = self.world.pool.acquire().await?;
            install(&mut connection, name, &config.aggregates[name], false).await?;
            let version = self.version(name).await?;
            let (mut pace, mut longest) = (Pace::default(), Duration::ZERO);
            loop {
                let step = build(&mut connection, &version, pace).await?;
                longest = longest.max(step.took);
                pace = pace.after(step.computing);
                if step.is_done {
                    break;
                }
            }
            switch(&mut connection, &version, None).await?;
            Ok(longest)
        })
    }

    async fn version(&self, name: &str) -> Result<Version> {
        let mut connection = self.world.pool.acquire().await?;
        let found = versions(&mut connection, Some(name)).await?;
        found
            .into_iter()
            .rfind(|version| version.state != State::Old)
            .context("an aggregate that is installed")
    }

    /// Moves what changed into the groups; returns how long that took, in seconds, and how many rows of the log it was.
    fn fold(&self, name: &str, most: usize) -> Result<(f64, i64)> {
        self.wait(async {
            let version = self.version(name).await?;
            let mut connection = self.world.pool.acquire().await?;
            let (began, mut rows) = (Instant::now(), 0);
            loop {
                match fold(&mut connection, &version, Folding { most, publish: None, frozen_after: None })
                    .await
                {
                    Ok(folded) if folded.rows == 0 => return Ok((began.elapsed().as_secs_f64(), rows)),
                    Ok(folded) => rows += folded.rows,
                    Err(Fault::Busy) => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
        })
    }
}
