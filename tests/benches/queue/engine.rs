//! The queue as the bench knows it. No other file of the family touches the product.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use brasa_jobs::{Catalog, Job, JobContext, JobResult, Policy, Reach};
use brasa_shared::clock::Clock;
use brasa_shared::config::Config;
use brasa_shared::queue::{Enqueued, Envelope, Fleet, Keep, Queue};
use brasa_shared::store::Store;
use brasa_tests::bench::protocol::Tally;
use brasa_worker::{Order, Pulses, Settings, Shutdown, run};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::OnceLock;

/// Jobs that are made at once while a backlog is enqueued, so that a million of them fit.
const BULK: u64 = 10_000;
/// The name of everything of the bench in Redis.
const NAME: &str = "bench";

static TALLY: OnceLock<&'static Tally> = OnceLock::new();

/// The queue of the bench.
#[derive(Clone)]
pub(super) struct Engine(Queue);

/// How the queue of a run stands.
pub(super) struct Standing {
    /// Jobs that are not at an end.
    pub(super) open: u64,
    /// Jobs in the dead letter.
    pub(super) dead: u64,
    /// Outcomes that were ever accepted.
    pub(super) done: u64,
}

impl Engine {
    /// The queue in this Redis, which keeps so many ended jobs.
    pub(super) fn open(url: &str, kept: u64) -> Result<Self> {
        let keep = Keep { count: kept, age_ms: 3_600_000, bytes: 0 };
        Ok(Self(Queue::new(Store::open(url)?, NAME, NAME, Clock::System).keeping(keep, keep)))
    }

    /// Enqueues jobs with these numbers, as many at once as it likes.
    pub(super) async fn enqueue_all(&self, count: u64, now_us: fn() -> u64) -> Result<()> {
        for from in (0..count).step_by(usize::try_from(BULK)?) {
            let ids = from..count.min(from + BULK);
            let jobs = ids.map(|id| envelope(id, now_us())).collect::<Result<Vec<_>>>()?;
            let answers = self.0.enqueue_all(&jobs).await?;
            ensure!(answers.iter().all(|answer| *answer == Enqueued::New), "a job was not new");
        }
        Ok(())
    }

    /// Enqueues one job.
    pub(super) async fn enqueue(&self, id: u64, ts: u64) -> Result<()> {
        ensure!(self.0.enqueue(&envelope(id, ts)?).await? == Enqueued::New, "job {id} was not new");
        Ok(())
    }

    /// Works until this process ends.
    pub(super) async fn work(self, tally: &'static Tally, concurrency: usize, lease: Duration) -> Result<()> {
        TALLY.get_or_init(|| tally);
        let store = self.0.store().clone();
        let reach = Reach::new(Arc::new(Config::default()), None, store.apart(), Clock::System);
        let settings = Settings {
            queues: vec![(self.0, 1)],
            fleet: Fleet::new(store, NAME, Clock::System),
            catalog: Catalog::default().with::<BenchJob>(),
            reach: Arc::new(reach),
            concurrency,
            lease,
            shutdown_grace: Duration::from_secs(5),
            crashes_max: 3,
            until_empty: false,
            order: Order::Weighted,
            isolation: None,
            is_isolated: false,
            outbox: None,
            cache: None,
            aggregates: None,
            writes: None,
            history: None,
        };
        run(settings, Pulses::default(), Shutdown::default()).await?;
        Ok(())
    }

    /// How it stands.
    pub(super) async fn standing(&self) -> Result<Standing> {
        let counts = self.0.counts().await?;
        let done = counts.totals.get("done").copied().unwrap_or_default();
        Ok(Standing { open: counts.open(), dead: counts.dead, done })
    }
}

/// A job of the bench; it belongs to the bench and not to the product.
#[derive(Deserialize)]
struct BenchJob {
    id: u64,
    ts: u64,
    #[expect(dead_code, reason = "a handler decodes its whole payload, here as elsewhere")]
    pad: String,
}

impl Job for BenchJob {
    const KIND: &'static str = "bench.job";
    const ABOUT: &'static str = "Does what the bench wants";
    const POLICY: Policy = Policy::new();

    async fn run(&self, _: &JobContext) -> JobResult<Value> {
        if let Some(tally) = TALLY.get() {
            tally.job(self.id, self.ts).await;
        }
        Ok(Value::Null)
    }
}

/// About 100 bytes of payload.
fn envelope(id: u64, ts: u64) -> Result<Envelope> {
    let args = json!({ "id": id, "ts": ts, "pad": "x".repeat(55) });
    Ok(Envelope::new(BenchJob::KIND, &args, Clock::System.now())?)
}
