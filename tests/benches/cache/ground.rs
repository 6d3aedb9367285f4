//! What everything is measured on: a Redis, a Postgres with the flights, and processes that are told what to do.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_shared::cache::{Caches, Namespace};
use brasa_shared::db::migrate;
use brasa_tests::bench::{Redis, Stage};
use brasa_tests::{World, flights};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::runtime::Runtime;

use super::REPEATS;

/// How long anything may take that must happen.
const LIMIT: Duration = Duration::from_mins(2);

/// What everything is measured on.
pub(super) struct Ground {
    pub(super) runtime: Runtime,
    pub(super) world: World,
    pub(super) is_quick: bool,
    pub(super) repeats: usize,
    _servers: (Redis, PostgresServer),
}

/// What a reader's process has found.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Found {
    pub(super) reads: f64,
    pub(super) misses: f64,
    pub(super) errors: f64,
    pub(super) p50_us: f64,
    pub(super) p95_us: f64,
    pub(super) p99_us: f64,
}

/// A process of ours that runs.
pub(super) struct Process(Child);

impl Ground {
    pub(super) fn new(stage: &Stage) -> Result<Self> {
        let runtime = Runtime::new().context("start a runtime")?;
        let options = PostgresOptions {
            fsync: true,
            extra: vec![
                ("track_functions".to_owned(), "all".to_owned()),
                ("max_connections".to_owned(), "600".to_owned()),
            ],
        };
        let postgres = PostgresServer::start(options).context("start a Postgres for the bench")?;
        let redis = Redis::start(false)?;
        let world = runtime.block_on(World::on_servers(redis.url(), &postgres.url("postgres")));
        let servers = (redis, postgres);
        let ground = Self { runtime, world, is_quick: stage.is_quick, repeats: REPEATS, _servers: servers };
        ground.runtime.block_on(load(&ground.world.pool))?;
        Ok(ground)
    }

    /// Does something that waits.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Runs a statement.
    pub(super) fn sql(&self, text: &str) -> Result<()> {
        let text = text.to_owned();
        self.wait(async { sqlx::raw_sql(AssertSqlSafe(text)).execute(&self.world.pool).await })?;
        Ok(())
    }

    /// One number from the database.
    pub(super) fn number(&self, text: &str) -> Result<f64> {
        let text = text.to_owned();
        Ok(self.wait(async { sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&self.world.pool).await })?)
    }

    /// The cache.
    pub(super) fn caches(&self) -> Caches {
        Caches::new(self.world.store.clone(), &self.world.prefix, self.world.clock.clone())
    }

    /// The values of a warmer.
    pub(super) fn namespace(&self, name: &str) -> Namespace {
        self.caches().namespace(name)
    }

    /// A key of this bench.
    pub(super) fn key(&self, rest: &str) -> String {
        format!("{}:{rest}", self.world.prefix)
    }

    /// The configuration with the keys of this bench: `KEY` stands for what they begin with.
    pub(super) fn config(&self, text: &str) -> String {
        text.replace("KEY", &self.world.prefix)
    }

    /// Begins a worker process with this configuration, and waits until it looks after the cache.
    pub(super) fn worker(&self, config: &str) -> Result<Process> {
        let path = self.world.write_config(&self.config(config));
        let process = self.process("worker", &[("CONFIG", &path.display().to_string())])?;
        until("a worker looks after the cache", || {
            let attendant = self.wait(self.caches().attendant());
            Ok(attendant?.is_some() && self.wait(self.caches().epoch())?.is_some())
        })?;
        Ok(process)
    }

    /// Begins a process that refreshes values without any guarantee.
    pub(super) fn refresher(&self, settings: &[(&str, &str)]) -> Result<Process> {
        self.process("refresh", settings)
    }

    /// Begins readers, which are told by settings what to read and how.
    pub(super) fn readers(&self, settings: &[(&str, &str)]) -> Result<Process> {
        self.process("read", settings)
    }

    fn process(&self, role: &str, settings: &[(&str, &str)]) -> Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["cache", role]).stdout(Stdio::piped()).stdin(Stdio::null());
        command.env("REDIS_URL", &self.world.redis_url).env("DATABASE_URL", &self.world.database_url);
        command.env("PREFIX", &self.world.prefix).env("RUST_LOG", "error");
        for (name, value) in settings {
            command.env(name, value);
        }
        Ok(Process(command.spawn().with_context(|| format!("start `cache {role}`"))?))
    }

    /// Forgets the cache, so that the next part begins with nothing.
    pub(super) fn forget(&self) -> Result<()> {
        self.wait(async {
            self.world.store.run::<String>("forget", redis::cmd("FLUSHALL").arg("SYNC")).await
        })?;
        Ok(())
    }
}

/// Waits until something holds.
pub(super) fn until(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < LIMIT, "it never happened that {what}");
        brasa_tests::bench::pause(Duration::from_millis(5));
    }
    Ok(())
}

impl Process {
    /// What it found, once it has ended by itself.
    pub(super) fn found(mut self) -> Result<Found> {
        let mut text = String::new();
        if let Some(mut out) = self.0.stdout.take() {
            std::io::Read::read_to_string(&mut out, &mut text)?;
        }
        let status = self.0.wait()?;
        if !status.success() {
            bail!("readers ended with {status}");
        }
        serde_json::from_str(text.trim()).with_context(|| format!("readers said {text:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).map_or_else(drop, drop);
    }
}

async fn load(pool: &PgPool) -> Result<()> {
    migrate(pool).await?;
    flights::load(pool).await?;
    let indexes = std::fs::read_to_string(flights::file("indexes.sql"))?;
    sqlx::raw_sql(AssertSqlSafe(indexes)).execute(pool).await?;
    flights::copy(pool, "airlines", &std::fs::read(flights::file("data/airlines.csv"))?).await?;
    sqlx::raw_sql("vacuum analyze").execute(pool).await?;
    Ok(())
}
