//! The private Redis of a bench, and how fast it could be.

use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use brasa::servers::{RedisOptions, RedisServer};

use super::usage;

/// A script that does nothing, and its name.
const NOTHING: &str = "return 1";

/// A private Redis.
#[derive(Debug)]
pub struct Redis(RedisServer);

impl Redis {
    /// Starts one; with an append-only file that is written out every second, or without.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(append_only: bool) -> Result<Self> {
        let server = RedisServer::start(RedisOptions { append_only, ..RedisOptions::default() });
        Ok(Self(server.context("start a Redis for the bench")?))
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Its processor time so far, in µs.
    pub fn cpu_us(&self) -> f64 {
        usage::cpu_us(&[self.0.pid()])
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// It is out of reach.
    pub fn flush(&self) -> Result<()> {
        let mut connection = self.connect()?;
        redis::cmd("FLUSHALL").arg("SYNC").exec(&mut connection).context("flush Redis")?;
        // Else the memory of the last run would be handed back during the next one.
        redis::cmd("MEMORY").arg("PURGE").exec(&mut connection).context("purge the memory of Redis")
    }

    /// Bytes that its data takes.
    ///
    /// # Errors
    /// It is out of reach.
    pub fn used_bytes(&self) -> Result<f64> {
        let info: String = redis::cmd("INFO")
            .arg("memory")
            .query(&mut self.connect()?)
            .context("ask Redis for its memory")?;
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.trim().parse().ok()).ok_or_else(|| anyhow!("Redis tells no memory"))
    }

    fn connect(&self) -> Result<redis::Connection> {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).context("connect to Redis")
    }
}

/// How many calls per second this Redis can answer at all: a script that does nothing, from `callers` connections,
/// `pipelined` calls per round trip.
///
/// # Errors
/// Redis is out of reach.
#[expect(clippy::cast_precision_loss, reason = "numbers of calls fit")]
pub fn script_calls(at: &Redis, callers: usize, pipelined: usize, calls: usize) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let client = redis::Client::open(at.url())?;
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg(NOTHING).query(&mut client.get_connection()?)?;
    let mut pipe = redis::pipe();
    for _ in 0..pipelined {
        pipe.cmd("EVALSHA").arg(&hash).arg(0).ignore();
    }
    let rounds = calls / callers / pipelined;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..callers {
            connections.push(client.get_multiplexed_async_connection().await?);
        }
        let begun = Instant::now();
        let tasks = connections.into_iter().map(|mut connection| {
            let pipe = pipe.clone();
            tokio::spawn(async move {
                for _ in 0..rounds {
                    pipe.exec_async(&mut connection).await?;
                }
                Ok::<(), redis::RedisError>(())
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await??;
        }
        Ok((rounds * callers * pipelined) as f64 / begun.elapsed().as_secs_f64())
    })
}
