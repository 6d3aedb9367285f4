//! Batched writes beside what people do without them: on a private Redis whose append-only file is written out every
//! second, and a private Postgres that keeps what it has committed.
//!
//! Whatever is compared is measured in turns, seven times, and the middle counts; the naive way of doing it is beside
//! each figure.

use anyhow::{Context as _, Result};
use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_shared::config::Write;
use brasa_shared::db::migrate;
use brasa_shared::db::writes::{StreamOf, take};
use brasa_shared::streams::{Room, Streams};
use brasa_tests::World;
use brasa_tests::bench::{Redis, Report, Row, Stage, say};
use sqlx::AssertSqlSafe;
use tokio::runtime::Runtime;

mod draining;
mod handing;
mod spoiling;

/// How often everything is measured.
const REPEATS: usize = 7;
/// How long the bench owns a stream.
const LEASE: std::time::Duration = std::time::Duration::from_hours(1);

const CONFIG: &str = r#"
[writes.visits]
table = "visits"

[writes.counts]
table = "counts"
mode = "counter"
key = ["page"]
"#;

const TABLES: &str =
    "create table visits (id bigint primary key, page text not null, visitor bigint not null,
        took_ms int not null, at timestamptz not null default now(), agent text not null);
    create index on visits (page);
    create table counts (page text primary key, hits bigint not null);
    insert into counts select '/' || n, 0 from generate_series(0, 99) n";

/// A part of it: what it is about, and how it is measured.
type Part = (&'static str, fn(&Ground) -> Result<Vec<Row>>);

/// Measures all of it.
pub(super) fn measure(_: &Stage) -> Result<Report> {
    let ground = Ground::new()?;
    let parts: [Part; 3] = [
        ("writing", draining::rows),
        ("handing over", handing::rows),
        ("rows that cannot be written", spoiling::rows),
    ];
    let mut report = Report::default();
    for (what, rows) in parts {
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
    _servers: (Redis, PostgresServer),
}

impl Ground {
    fn new() -> Result<Self> {
        let runtime = Runtime::new().context("start a runtime")?;
        let options = PostgresOptions { fsync: true, ..PostgresOptions::default() };
        let postgres = PostgresServer::start(options).context("start a Postgres for the bench")?;
        let redis = Redis::start(true)?;
        let world = runtime.block_on(World::on_servers(redis.url(), &postgres.url("postgres")));
        runtime.block_on(migrate(&world.pool))?;
        let ground = Self { runtime, world, _servers: (redis, postgres) };
        ground.sql(TABLES)?;
        Ok(ground)
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn sql(&self, text: &str) -> Result<()> {
        let text = text.to_owned();
        self.wait(async { sqlx::raw_sql(AssertSqlSafe(text)).execute(&self.world.pool).await })?;
        Ok(())
    }

    fn streams(&self) -> Streams {
        Streams::new(self.world.store.clone(), &self.world.prefix)
    }

    fn write(&self, name: &str) -> Result<Write> {
        self.world.config(CONFIG).writes.remove(name).context("a name of the configuration")
    }

    /// Puts rows into a stream.
    async fn add(&self, name: &str, rows: &[String]) -> Result<()> {
        let room = Room { entries: 10_000_000, drops_oldest: false };
        for rows in rows.chunks(500) {
            let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
            self.streams().add(name, 0, &rows, room).await?;
        }
        Ok(())
    }

    /// Writes everything that stands in a stream, as a worker does; returns the seconds, the rows and the dead.
    async fn drain(&self, name: &str) -> Result<(f64, i64, i64)> {
        let write = self.write(name)?;
        let stream = StreamOf { name: name.to_owned(), part: 0 };
        let mut connection = self.world.pool.acquire().await?;
        let table = brasa_jobs::writes::Table::look(&mut connection, &write).await?;
        let taken = take(&mut connection, &stream, "bench", LEASE).await?;
        let mut standing = taken.context("the stream is ours")?;
        let flusher =
            brasa_jobs::writes::Flusher { write: &write, table: &table, stream: &stream, lease: LEASE };
        let (mut rows, mut dead) = (0, 0);
        let begun = std::time::Instant::now();
        let streams = self.streams();
        let mut gatherer = brasa_jobs::writes::Gatherer::new(&streams, &write, &stream);
        let mut batch = gatherer.gather(standing.place, standing.place, &table).await?;
        while let Some(last) = batch.last() {
            let flush = flusher.flush(&mut connection, &standing, &batch);
            let (written, next) = tokio::join!(flush, gatherer.gather(last, standing.place, &table));
            let (now, done) = written?;
            (standing, rows, dead) = (now, rows + done.rows, dead + done.dead);
            batch = next?;
        }
        gatherer.tidy(standing.place).await;
        Ok((begun.elapsed().as_secs_f64(), rows, dead))
    }
}

/// A visit, as an application hands it over.
fn visit(id: usize) -> String {
    format!(
        r#"{{"id": {id}, "page": "/page/{}", "visitor": {}, "took_ms": {}, "agent": "Mozilla/5.0 (X11; Linux x86_64)"}}"#,
        id % 1_000,
        id * 7_919 % 100_003,
        id % 977
    )
}
