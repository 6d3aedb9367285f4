//! Keeping the queues in order, beside the claiming loop and on a connection of its own: due jobs become
//! ready, lost ones come back, the inbox is admitted, old outcomes go, numbers are published. Every worker does it; the
//! scripts see to it that doing it twice changes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brasa_shared::queue::{BATCH_MAX, Fleet, Queue, QueueError, Reclaimed, WorkerInfo};
use brasa_shared::store::Fault;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::server::Pulse;
use tokio_util::sync::CancellationToken;

use crate::meters::Meters;

/// How often due jobs and the inbox are looked at.
const ROUND: Duration = Duration::from_millis(150);
/// How often expired leases are looked at.
const RECLAIM_EVERY: Duration = Duration::from_millis(900);
/// How often the numbers are published and the worker says that it is alive.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// A worker that has not been seen for this long is gone for good, and so are all leases that it had.
const GONE_AFTER: Duration = Duration::from_mins(15);
/// Batches per round and queue.
const BATCHES_MAX: usize = 64;

/// What housekeeping works with.
pub(crate) struct Housekeeper {
    pub(crate) queues: Vec<Queue>,
    pub(crate) fleet: Fleet,
    pub(crate) info: WorkerInfo,
    pub(crate) meters: Arc<Meters>,
    pub(crate) crashes_max: u32,
    pub(crate) pulse: Pulse,
    pub(crate) stop: CancellationToken,
    pub(crate) unseen: HashMap<String, Instant>,
}

impl Housekeeper {
    /// Keeps house until told to stop, whatever Redis does.
    pub(crate) async fn run(mut self) {
        let (mut reclaimed, mut reported) = (None::<Instant>, None::<Instant>);
        let due = |last: Option<Instant>, every| last.is_none_or(|last| last.elapsed() >= every);
        loop {
            let reclaim = due(reclaimed, RECLAIM_EVERY);
            let report = due(reported, REPORT_EVERY);
            if let Err(error) = self.round(reclaim, report).await {
                metrics::redis_faults_total("housekeep").increment(1);
                tracing::warn!(error = %chain(&error), "housekeeping failed; trying again");
            } else {
                self.pulse.beat();
                reclaimed = if reclaim { Some(Instant::now()) } else { reclaimed };
                reported = if report { Some(Instant::now()) } else { reported };
            }
            // Jitter, so that a fleet does not look all at once.
            let pause = ROUND.mul_f64(0.75 + rand::random::<f64>() / 2.0);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn round(&mut self, reclaim: bool, report: bool) -> Result<(), QueueError> {
        for queue in &self.queues {
            // A full batch means that there is more; bounded, so that one queue does not keep the others waiting.
            for _ in 0..BATCHES_MAX {
                if queue.promote_due().await? < BATCH_MAX {
                    break;
                }
            }
            for _ in 0..BATCHES_MAX {
                if drain_inbox(queue).await? < BATCH_MAX {
                    break;
                }
            }
            if reclaim {
                self.reclaim(queue).await?;
            }
            if report {
                for _ in 0..BATCHES_MAX {
                    if queue.sweep().await? < BATCH_MAX {
                        break;
                    }
                }
                self.publish(queue).await?;
            }
        }
        if report {
            self.meters.tell(&self.fleet.minutes()).await;
            if let Err(error) = self.report().await {
                tracing::debug!(error = %chain(&*error), "could not report the worker");
            }
        }
        Ok(())
    }

    async fn reclaim(&self, queue: &Queue) -> Result<(), QueueError> {
        for _ in 0..BATCHES_MAX {
            let found = queue.reclaim_lost(self.crashes_max).await?;
            if found == Reclaimed::default() {
                break;
            }
            tracing::warn!(
                queue = queue.name(),
                returned = found.returned,
                quarantined = found.quarantined,
                "took jobs back from workers that did not renew their leases"
            );
            metrics::jobs_reclaimed_total(queue.name()).increment(found.returned);
            metrics::jobs_quarantined_total(queue.name()).increment(found.quarantined);
        }
        Ok(())
    }

    async fn publish(&self, queue: &Queue) -> Result<(), QueueError> {
        let counts = queue.counts().await?;
        let states = [
            ("waiting", counts.waiting),
            ("delayed", counts.delayed),
            ("running", counts.running),
            ("done", counts.done),
            ("dead", counts.dead),
        ];
        for (state, count) in states {
            #[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53 jobs")]
            metrics::queue_jobs(queue.name(), state).set(count as f64);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53 jobs")]
        metrics::queue_ready_jobs(queue.name()).set(queue.ready(&counts).await? as f64);
        let now = queue.clock().now().as_millisecond();
        let age_ms = counts.oldest_ms.map_or(0, |oldest| (now - oldest).max(0));
        #[expect(clippy::cast_precision_loss, reason = "an age in seconds")]
        metrics::queue_oldest_seconds(queue.name()).set(age_ms as f64 / 1_000.0);
        Ok(())
    }

    /// Says that this worker is alive, and forgets what queues remember of workers that are not.
    async fn report(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.fleet.report(&self.info).await?;
        let alive: Vec<String> = self.fleet.workers().await?.into_iter().map(|info| info.worker).collect();
        self.unseen.retain(|worker, _| !alive.contains(worker));
        for queue in &self.queues {
            let mut gone = queue.claimants().await?;
            gone.retain(|worker| {
                let since = self.unseen.entry(worker.clone()).or_insert_with(Instant::now);
                !alive.contains(worker) && since.elapsed() > GONE_AFTER
            });
            queue.forget_claimants(&gone).await?;
        }
        Ok(())
    }
}

/// A full Redis takes no new work: then the inbox waits, and nothing else has to wait for it.
async fn drain_inbox(queue: &Queue) -> Result<usize, QueueError> {
    match queue.drain_inbox().await {
        Err(error) if error.fault() == Some(Fault::OutOfMemory) => {
            metrics::redis_faults_total("inbox").increment(1);
            tracing::debug!(error = %chain(&error), "the inbox has to wait");
            Ok(0)
        }
        answer => answer,
    }
}
