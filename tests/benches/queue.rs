//! `make bench`: what one worker does in a second, and how soon an idle one begins, with all guarantees on.
//!
//! Everything is set beside a limit of the same run: the same client asking the same Redis to run a script
//! that does nothing. Processor time per job is the steady figure on a noisy machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench reports rounded figures to a terminal and stops at the first fault"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use brasa::servers::{RedisOptions, RedisServer};
use brasa_jobs::{Catalog, Job, JobContext, JobResult, Policy, Reach};
use brasa_shared::clock::Clock;
use brasa_shared::config::Config;
use brasa_shared::queue::{Envelope, Fleet, Keep, Queue};
use brasa_shared::store::Store;
use brasa_worker::{Order, Pulses, Settings, Shutdown, run};
use serde::Deserialize;
use serde_json::{Value, json};

/// Jobs per throughput run.
const JOBS: usize = 100_000;
/// Calls of the script that does nothing.
const CALLS: usize = 100_000;
/// Callers at once, and jobs at once.
const AT_ONCE: usize = 100;
/// Jobs pushed one by one to an idle worker.
const PUSHES: usize = 500;

static BEGUN: LazyLock<Mutex<Vec<Instant>>> = LazyLock::new(Mutex::default);
static RAN: AtomicU64 = AtomicU64::new(0);

/// Does nothing; belongs to the bench and not to the product.
#[derive(Deserialize)]
struct Noop {
    #[serde(default)]
    timed: bool,
}

impl Job for Noop {
    const KIND: &'static str = "bench.noop";
    const ABOUT: &'static str = "Does nothing";
    const POLICY: Policy = Policy::new();

    async fn run(&self, _: &JobContext) -> JobResult<Value> {
        RAN.fetch_add(1, Ordering::Relaxed);
        if self.timed {
            BEGUN.lock().unwrap().push(Instant::now());
        }
        Ok(Value::Null)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let store = Store::open(redis.url()).unwrap();
    let limit = script_calls(&store).await;
    println!("limit: {limit:.0} calls/s of a script that does nothing, {AT_ONCE} callers\n");
    println!("{:<34} {:>10} {:>9} {:>16} {:>17}", "", "jobs/s", "of limit", "redis µs/job", "worker µs/job");
    for kept in [0, 1_000] {
        let queue = queue(&store, &format!("keep{kept}"), kept);
        let jobs: Vec<_> = (0..JOBS).map(|_| job(&json!({ "pad": "x".repeat(80) }))).collect();
        measure(&format!("enqueue in bulk (keep {kept})"), limit, redis.pid(), queue.enqueue_all(&jobs))
            .await
            .unwrap();
        let shutdown = Shutdown::default();
        let drained = run(settings(&store, &queue, true), Pulses::default(), shutdown);

        measure(&format!("drain a backlog (keep {kept})"), limit, redis.pid(), drained).await.unwrap();
    }
    assert_eq!(RAN.load(Ordering::Relaxed), 2 * JOBS as u64);
    latency(&store).await;
}

fn queue(store: &Store, name: &str, kept: u64) -> Queue {
    let keep = Keep { count: kept, age_ms: 3_600_000, bytes: 0 };
    Queue::new(store.clone(), "bench", name, Clock::System).keeping(keep, keep)
}

fn job(args: &Value) -> Envelope {
    Envelope::new(Noop::KIND, args, Clock::System.now()).unwrap()
}

fn settings(store: &Store, queue: &Queue, until_empty: bool) -> Settings {
    let reach =
        Reach { config: Arc::new(Config::default()), db: None, cache: store.apart(), clock: Clock::System };
    Settings {
        queues: vec![(queue.clone(), 1)],
        fleet: Fleet::new(store.clone(), "bench", Clock::System),
        catalog: Catalog::default().with::<Noop>(),
        reach: Arc::new(reach),
        concurrency: AT_ONCE,
        lease: Duration::from_secs(30),
        shutdown_grace: Duration::from_secs(5),
        crashes_max: 3,
        until_empty,
        order: Order::Weighted,
        isolation: None,
        is_isolated: false,
        outbox: None,
    }
}

async fn script_calls(store: &Store) -> f64 {
    let code = "return 1";
    let hash = redis::Script::new(code).get_hash().to_owned();
    let begun = Instant::now();
    let callers = (0..AT_ONCE).map(|_| {
        let (store, hash) = (store.clone(), hash.clone());
        tokio::spawn(async move {
            let mut call = redis::cmd("EVALSHA");
            call.arg(&hash).arg(0);
            for _ in 0..CALLS / AT_ONCE {
                let _one: i64 = store.run_script("do nothing", &call, code).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    CALLS as f64 / begun.elapsed().as_secs_f64()
}

async fn measure<T>(what: &str, limit: f64, redis: u32, work: impl Future<Output = T>) -> T {
    let (ours, theirs, begun) = (cpu_us("self"), cpu_us(&redis.to_string()), Instant::now());
    let result = work.await;
    let rate = JOBS as f64 / begun.elapsed().as_secs_f64();
    let per_job = |before: f64, after: f64| (after - before) / JOBS as f64;
    let (ours, theirs) = (per_job(ours, cpu_us("self")), per_job(theirs, cpu_us(&redis.to_string())));
    println!("{what:<34} {rate:>10.0} {:>8.2}x {theirs:>16.2} {ours:>17.2}", rate / limit);
    result
}

/// Processor time of a process so far, in µs; the kernel counts in hundredths of a second.
fn cpu_us(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|&place| fields[place].parse::<f64>().unwrap()).sum();
    ticks * 10_000.0
}

/// From just before the push to the first line of the handler, while the worker has nothing else to do.
async fn latency(store: &Store) {
    let queue = queue(store, "idle", 0);
    let shutdown = Shutdown::default();
    let worker = tokio::spawn(run(settings(store, &queue, false), Pulses::default(), shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut waits = Vec::with_capacity(PUSHES);
    for _ in 0..PUSHES {
        let pushed = Instant::now();
        queue.enqueue(&job(&json!({ "timed": true }))).await.unwrap();
        let begun = loop {
            if let Some(begun) = BEGUN.lock().unwrap().pop() {
                break begun;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        };
        waits.push(begun.duration_since(pushed));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    shutdown.ask();
    worker.await.unwrap().unwrap();
    waits.sort();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "\npush to start, idle worker: p50 {:?}, p99 {:?}, most {:?} ({PUSHES} pushes)",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
