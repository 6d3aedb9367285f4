//! rusty-sidekiq, as `tests/src/bench/protocol.rs` asks for it: `worker` | `enqueue COUNT MODE [CALLERS]`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, process, thread};

use serde::{Deserialize, Serialize};
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Worker};

/// Callers at once where it enqueues a backlog: it has no way to enqueue in bulk.
const CALLERS: u64 = 50;

#[path = "../../../../src/bench/nap.rs"]
mod nap;

static COUNT: AtomicU64 = AtomicU64::new(0);
static FIRST: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU64 = AtomicU64::new(0);
static WAITS: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static MODE: OnceLock<String> = OnceLock::new();
static IDS: OnceLock<File> = OnceLock::new();

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Payload {
    id: u64,
    ts: u64,
    pad: String,
}

impl Payload {
    fn new(id: u64, ts: u64) -> Self {
        Self { id, ts, pad: "x".repeat(55) }
    }
}

#[derive(Clone)]
struct BenchJob;

#[async_trait::async_trait]
impl Worker<Payload> for BenchJob {
    async fn perform(&self, job: Payload) -> sidekiq::Result<()> {
        let begun = now_us();
        let _ = FIRST.compare_exchange(0, begun, Relaxed, Relaxed);
        match MODE.get().map(String::as_str) {
            Some("lat") => WAITS.lock().unwrap().push(begun.saturating_sub(job.ts)),
            Some("sleep10") => nap::nap(Duration::from_millis(10)).await,
            Some("crash") => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                IDS.get().unwrap().write_all(format!("{} {}\n", job.id, now_us()).as_bytes()).unwrap();
            }
            _ => {}
        }
        LAST.fetch_max(now_us(), Relaxed);
        COUNT.fetch_add(1, Relaxed);
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = env::args().collect();
    let concurrency: u32 = env::var("CONC").unwrap().parse().unwrap();
    let manager = RedisConnectionManager::new(env::var("REDIS_URL").unwrap()).unwrap();
    let is_enqueuer = args[1] == "enqueue";
    let connections = if is_enqueuer { CALLERS as u32 } else { concurrency + 5 };
    let pool = bb8::Pool::builder().max_size(connections).build(manager).await.unwrap();
    if is_enqueuer {
        let many = args.get(4).map_or(0, |many| many.parse().unwrap());
        return enqueue(pool, args[2].parse().unwrap(), &args[3], many).await;
    }
    tell();
    let config = ProcessorConfig::default().num_workers(concurrency as usize);
    let mut processor = Processor::new(pool, vec!["default".into()]).with_config(config);
    processor.register(BenchJob);
    processor.run().await;
}

async fn enqueue(pool: RedisPool, count: u64, mode: &str, many: u64) {
    let begun = Instant::now();
    match mode {
        "bulk" => callers(pool, count, CALLERS).await,
        "callers" => callers(pool, count, many).await,
        _ => paced(pool, mode == "open").await,
    }
    println!("enqueued {count} in {:.4}", begun.elapsed().as_secs_f64());
}

async fn callers(pool: RedisPool, count: u64, many: u64) {
    let next = Arc::new(AtomicU64::new(0));
    let callers = (0..many).map(|_| {
        let (pool, next) = (pool.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let id = next.fetch_add(1, Relaxed);
                if id >= count {
                    return;
                }
                BenchJob::perform_async(&pool, Payload::new(id, now_us())).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

async fn paced(pool: RedisPool, is_open: bool) {
    println!("ready");
    let runtime = tokio::runtime::Handle::current();
    let pushing = tokio::task::spawn_blocking(move || {
        let mut pushes = Vec::new();
        for line in std::io::stdin().lines() {
            let line = line.unwrap();
            let (id, meant_us) = line.split_once(' ').unwrap();
            let (id, meant_us): (u64, u64) = (id.parse().unwrap(), meant_us.parse().unwrap());
            let pool = pool.clone();
            pushes.push(runtime.spawn(async move {
                let ts = if is_open { meant_us } else { now_us() };
                BenchJob::perform_async(&pool, Payload::new(id, ts)).await.unwrap();
            }));
        }
        pushes
    });
    for push in pushing.await.unwrap() {
        push.await.unwrap();
    }
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

fn tell() {
    let folder = env::var("STATS_DIR").unwrap();
    let mode = env::var("MODE").unwrap();
    let append = |name: String| OpenOptions::new().create(true).append(true).open(name).unwrap();
    if mode == "crash" {
        IDS.set(append(format!("{folder}/ids"))).unwrap();
    }
    MODE.set(mode).unwrap();
    let own = format!("{folder}/{}", process::id());
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(20));
            let count = COUNT.load(Relaxed);
            if count == 0 {
                continue;
            }
            fs::write(
                format!("{own}.tmp"),
                format!("{count} {} {}\n", FIRST.load(Relaxed), LAST.load(Relaxed)),
            )
            .unwrap();
            fs::rename(format!("{own}.tmp"), format!("{own}.stat")).unwrap();
            let waits = std::mem::take(&mut *WAITS.lock().unwrap());
            if !waits.is_empty() {
                let lines: String = waits.iter().map(|wait| format!("{wait}\n")).collect();
                append(format!("{own}.lat")).write_all(lines.as_bytes()).unwrap();
            }
        }
    });
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        process::exit(0)
    });
}
