//! The processes of ours that are measured; `tests/src/bench/protocol.rs` says how they are talked to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use brasa_tests::bench::protocol::{Tally, now_us, setting};
use tokio::runtime::{Handle, Runtime};

use super::engine::Engine;

/// The lease of a worker that is told none: that of the product.
const LEASE_MS: u64 = 30_000;

/// Is a worker, or an enqueuer.
pub(crate) fn play(words: &[String]) -> Result<()> {
    // As the product's own: a thread per core.
    let runtime = Runtime::new().context("start a runtime")?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["worker"] => runtime.block_on(work()),
        ["enqueue", count, mode] => runtime.block_on(enqueue(count.parse()?, mode, 0)),
        ["enqueue", count, mode, callers] => {
            runtime.block_on(enqueue(count.parse()?, mode, callers.parse()?))
        }
        _ => bail!("the roles are: worker | enqueue COUNT MODE [CALLERS]"),
    }
}

async fn work() -> Result<()> {
    let engine = Engine::open(&setting::<String>("REDIS_URL")?, setting("KEEP").unwrap_or(0))?;
    let lease = Duration::from_millis(setting("LEASE_MS").unwrap_or(LEASE_MS));
    engine.work(Tally::start()?, setting("CONC")?, lease).await
}

async fn enqueue(count: u64, mode: &str, many: u64) -> Result<()> {
    let engine = Engine::open(&setting::<String>("REDIS_URL")?, 0)?;
    // Connecting is no part of it.
    engine.standing().await?;
    let begun = Instant::now();
    match mode {
        "bulk" => engine.enqueue_all(count, now_us).await?,
        "callers" => callers(engine, count, many).await?,
        "paced" | "open" => paced(engine, mode == "open").await?,
        _ => bail!("no mode {mode}"),
    }
    println!("enqueued {count} in {:.4}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// So many tasks enqueue one job after the other, all over one queue.
async fn callers(engine: Engine, count: u64, many: u64) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let callers = (0..many).map(|_| {
        let (engine, next) = (engine.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                if id >= count {
                    return Ok(());
                }
                engine.enqueue(id, now_us()).await?;
            }
        })
    });
    join(callers.collect()).await
}

/// Enqueues when it is told to, whatever becomes of the earlier ones.
async fn paced(engine: Engine, is_open: bool) -> Result<()> {
    println!("ready");
    let runtime = Handle::current();
    let pushes = tokio::task::spawn_blocking(move || {
        let mut pushes = Vec::new();
        for line in io::stdin().lines() {
            let line = line?;
            let (id, meant_us) = line.split_once(' ').context("a line has two numbers")?;
            let (id, meant_us): (u64, u64) = (id.parse()?, meant_us.parse()?);
            let engine = engine.clone();
            pushes.push(runtime.spawn(async move {
                let ts = if is_open { meant_us } else { now_us() };
                engine.enqueue(id, ts).await
            }));
        }
        Ok::<_, anyhow::Error>(pushes)
    });
    join(pushes.await??).await
}

async fn join(tasks: Vec<tokio::task::JoinHandle<Result<()>>>) -> Result<()> {
    for task in tasks {
        task.await??;
    }
    Ok(())
}
