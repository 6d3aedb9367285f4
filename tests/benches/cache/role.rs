//! The processes that are measured: a worker with a cache to look after, and readers of several kinds.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use brasa_jobs::{Reach, catalog};
use brasa_shared::cache::{Asking, Cache, Caches, Entry, Standing, Warmed, params_of};
use brasa_shared::clock::Clock;
use brasa_shared::config::Config;
use brasa_shared::db::changes::ChangeLog;
use brasa_shared::db::{self, PoolLimits};
use brasa_shared::queue::{Fleet, Queue};
use brasa_shared::store::Store;
use brasa_tests::bench::protocol::setting;
use brasa_worker::{Order, Pulses, Settings, Shutdown, run};
use rand::RngExt as _;
use redis::aio::MultiplexedConnection;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::runtime::Runtime;

/// How often a reader looks whether somebody has brought what it waits for, in ms.
const LOOK_MS: u64 = 5;

/// Is a worker, or readers.
pub(crate) fn play(words: &[String]) -> Result<()> {
    let runtime = Runtime::new().context("start a runtime")?;
    match words {
        [role] if role == "worker" => runtime.block_on(work()),
        [role] if role == "read" => runtime.block_on(read()),
        [role] if role == "refresh" => runtime.block_on(refresh()),
        _ => bail!("the roles are: worker | read | refresh"),
    }
}

fn pool(connections_max: u32) -> Result<PgPool> {
    let limits = PoolLimits {
        connections_max,
        acquire_timeout: Duration::from_mins(1),
        statement_timeout: Duration::from_mins(1),
    };
    Ok(db::pool(&setting::<String>("DATABASE_URL")?, limits)?)
}

async fn work() -> Result<()> {
    let path: String = setting("CONFIG")?;
    let config = Config::read(Path::new(&path), &|name| std::env::var(name).ok())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let store = Store::open(&setting::<String>("REDIS_URL")?)?;
    let prefix = config.redis.prefix.clone();
    let queue = Queue::new(store.clone(), &prefix, "default", Clock::System);
    let reach = Reach::new(Arc::new(config), Some(pool(8)?), store.apart(), Clock::System);
    let settings = Settings {
        queues: vec![(queue.clone(), 1)],
        fleet: Fleet::new(store, &prefix, Clock::System),
        catalog: catalog(),
        reach: Arc::new(reach),
        concurrency: 4,
        lease: Duration::from_secs(30),
        shutdown_grace: Duration::from_secs(1),
        crashes_max: 3,
        until_empty: false,
        order: Order::Weighted,
        isolation: None,
        is_isolated: false,
        outbox: None,
        cache: Some(brasa_worker::cache::Settings { queue, changes: ChangeLog::of(pool(2)?) }),
        aggregates: None,
        writes: None,
        history: None,
    };
    run(settings, Pulses::default(), Shutdown::default()).await?;
    Ok(())
}

/// Loads the same values as the warmer of `reading.rs` about every second, in batches, with SETs that guarantee nothing.
async fn refresh() -> Result<()> {
    let (base, count): (String, i32) = (setting("BASE")?, setting("COUNT")?);
    let client = redis::Client::open(setting::<String>("REDIS_URL")?)?;
    let mut line = client.get_multiplexed_async_connection().await?;
    let pool = pool(1)?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        for first in (1..=count).step_by(200) {
            let query = "select n, to_json(repeat('x', 500))::text from generate_series($1, $2) n";
            let query = sqlx::query_as(query).bind(first).bind((first + 199).min(count));
            let rows: Vec<(i32, String)> = query.fetch_all(&pool).await?;
            let mut sets = redis::pipe();
            for (n, value) in rows {
                sets.set_ex(format!("{base}{n}"), value, 3_600).ignore();
            }
            sets.query_async::<()>(&mut line).await?;
        }
    }
}

/// How readers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Plain GETs.
    Plain,
    /// The whole protocol in one script, as snippets in other languages have it: what is missing is asked for, and
    /// waited for.
    Whole,
    /// The same with the reader for Rust, without and with values in the process.
    Cache,
    CacheL1,
    /// As people do without us: what is missing is loaded by whoever misses it.
    Blind,
    /// The same, where the readers of a process wait for one of them.
    BlindShared,
    /// No cache at all.
    Sql,
}

/// What readers are told.
#[derive(Clone)]
struct Told {
    mode: Mode,
    warmer: String,
    /// The key without its parameter, which is a number from 1 to `count`.
    base: String,
    count: u32,
    /// How much more often the first are read than the last: the exponent of Zipf's law; 0 is evenly.
    zipf: f64,
    seconds: f64,
    pause: Duration,
    ttl_ms: u64,
    sql: String,
}

fn told() -> Result<Told> {
    let mode: String = setting("MODE")?;
    Ok(Told {
        mode: match mode.as_str() {
            "plain" => Mode::Plain,
            "whole" => Mode::Whole,
            "cache" => Mode::Cache,
            "cache-l1" => Mode::CacheL1,
            "blind" => Mode::Blind,
            "blind-shared" => Mode::BlindShared,
            "sql" => Mode::Sql,
            other => bail!("no mode {other}"),
        },
        warmer: setting("WARMER").unwrap_or_default(),
        base: setting("BASE").unwrap_or_default(),
        count: setting("COUNT").unwrap_or(1),
        zipf: setting("ZIPF").unwrap_or(0.0),
        seconds: setting("SECONDS")?,
        pause: Duration::from_micros(setting("PAUSE_US").unwrap_or(0)),
        ttl_ms: setting("TTL_MS").unwrap_or(1_000),
        sql: setting("SQL").unwrap_or_default(),
    })
}

/// What one reader reads with.
struct Reader {
    told: Arc<Told>,
    weights: Arc<Vec<f64>>,
    caches: Caches,
    warmed: Warmed,
    connection: MultiplexedConnection,
    pool: PgPool,
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Seen {
    took_us: Vec<u32>,
    misses: u64,
    errors: u64,
}

async fn read() -> Result<()> {
    let told = Arc::new(told()?);
    let tasks: usize = setting("TASKS").unwrap_or(1);
    let connections: usize = setting("CONNECTIONS").unwrap_or(4);
    let url: String = setting("REDIS_URL")?;
    let client = redis::Client::open(url.as_str())?;
    let store = Store::open(&url)?;
    let prefix: String = setting("PREFIX")?;
    let pool = pool(setting("POOL").unwrap_or(10))?;
    let mut lines = Vec::new();
    for _ in 0..connections.min(tasks).max(1) {
        lines.push((client.get_multiplexed_async_connection().await?, store.apart()));
    }
    let builder = Cache::builder().wait(Duration::from_secs(10)).patience(Duration::from_secs(10));
    let builder = if told.mode == Mode::CacheL1 { builder } else { builder.without_l1() };
    let cache = builder.open(&url, &prefix)?;
    let weights = Arc::new(weights(told.count, told.zipf));
    let turn = Arc::default();
    let until = Instant::now() + Duration::from_secs_f64(told.seconds);
    let mut readers = tokio::task::JoinSet::new();
    for n in 0..tasks {
        let (connection, store) = lines[n % lines.len()].clone();
        let reader = Reader {
            told: Arc::clone(&told),
            weights: Arc::clone(&weights),
            caches: Caches::new(store, &prefix, Clock::System),
            warmed: cache.warmer(&told.warmer),
            connection,
            pool: pool.clone(),
            turn: Arc::clone(&turn),
        };
        readers.spawn(reader.run(until));
    }
    let mut all = Seen::default();
    while let Some(seen) = readers.join_next().await {
        let seen = seen?;
        all.took_us.extend(seen.took_us);
        all.misses += seen.misses;
        all.errors += seen.errors;
    }
    all.took_us.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (all.took_us.len() as f64 * share) as usize;
        all.took_us.get(place.min(all.took_us.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    println!(
        "{}",
        json!({ "reads": all.took_us.len(), "misses": all.misses, "errors": all.errors,
                "p50_us": at(0.5), "p95_us": at(0.95), "p99_us": at(0.99) })
    );
    Ok(())
}

/// The running sums of how often each number is read.
fn weights(count: u32, zipf: f64) -> Vec<f64> {
    let mut sum = 0.0;
    (1..=count)
        .map(|n| {
            sum += f64::from(n).powf(-zipf);
            sum
        })
        .collect()
}

impl Reader {
    async fn run(mut self, until: Instant) -> Seen {
        let mut seen = Seen::default();
        while Instant::now() < until {
            let n = self.any();
            let begun = Instant::now();
            match self.once(n).await {
                Ok(is_hit) => seen.misses += u64::from(!is_hit),
                Err(_) => seen.errors += 1,
            }
            seen.took_us.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
            if !self.told.pause.is_zero() {
                tokio::time::sleep(self.told.pause).await;
            }
        }
        seen
    }

    fn any(&self) -> usize {
        let all = self.weights.last().copied().unwrap_or(1.0);
        let drawn = rand::rng().random_range(0.0..all);
        self.weights.partition_point(|sum| *sum <= drawn) + 1
    }

    /// Reads once; returns whether it was there.
    async fn once(&mut self, n: usize) -> Result<bool> {
        let key = format!("{}{n}", self.told.base);
        match self.told.mode {
            Mode::Plain => Ok(self.get(&key).await?.is_some()),
            Mode::Whole => self.whole(&key, n).await,
            Mode::Cache | Mode::CacheL1 => {
                let read = self.warmed.get_or_wait(&[n.to_string()], Duration::from_secs(10)).await?;
                anyhow::ensure!(!read.is_missing(), "nobody brought it");
                Ok(true)
            }
            Mode::Sql => self.load(n).await.map(|_| true),
            Mode::Blind => self.blind(&key, n).await,
            Mode::BlindShared => {
                if self.get(&key).await?.is_some() {
                    return Ok(true);
                }
                let turn = Arc::clone(&self.turn);
                let _turn = turn.lock().await;
                self.blind(&key, n).await.map(|_| false)
            }
        }
    }

    async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(redis::cmd("GET").arg(key).query_async(&mut self.connection).await?)
    }

    async fn load(&self, n: usize) -> Result<String> {
        let query = sqlx::query_scalar(AssertSqlSafe(self.told.sql.clone()));
        Ok(query.bind(i32::try_from(n)?).fetch_one(&self.pool).await?)
    }

    async fn blind(&mut self, key: &str, n: usize) -> Result<bool> {
        if self.get(key).await?.is_some() {
            return Ok(true);
        }
        let value = self.load(n).await?;
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("PX").arg(self.told.ttl_ms);
        set.query_async::<()>(&mut self.connection).await?;
        Ok(false)
    }

    async fn whole(&self, key: &str, n: usize) -> Result<bool> {
        let namespace = self.caches.namespace(&self.told.warmer);
        let entry = Entry { key: key.to_owned(), params: params_of(&[n.to_string()]) };
        let mut is_hit = true;
        loop {
            let token = format!("{:x}", rand::random::<u64>());
            let asking =
                Asking { token: Some(&token), lease: Duration::from_secs(10), is_counted: is_hit, hot: 0 };
            match namespace.read(&entry, asking).await?.standing {
                Standing::Fresh | Standing::Stale | Standing::None => return Ok(is_hit),
                Standing::Asked | Standing::Busy | Standing::Missing => is_hit = false,
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }
}
