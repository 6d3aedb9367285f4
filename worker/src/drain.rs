//! How a worker is told to end.

use std::sync::Arc;
use std::time::Duration;

use brasa_shared::queue::{Queue, QueueError, is_suspect};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::leases::Leases;
use crate::outbox::Outbox;
use crate::run::HAND_BACK;

/// Two tokens: the first asks for a drain, the second for an end at once.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Claim nothing more; let running jobs finish within the grace period.
    pub drain: CancellationToken,
    /// Stop running jobs now and hand them back.
    pub now: CancellationToken,
}

impl Shutdown {
    /// Asks for a drain, or where one is under way, for an end at once.
    pub fn ask(&self) {
        if self.drain.is_cancelled() {
            self.now.cancel();
        }
        self.drain.cancel();
    }
}

/// Waits until the drain is asked for and every slot is free again: by itself within the grace period, else
/// by telling running jobs to stop.
pub(crate) async fn drain(
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
    concurrency: usize,
    leases: Leases,
    grace: Duration,
) {
    shutdown.drain.cancelled().await;
    let all = u32::try_from(concurrency).unwrap_or(u32::MAX);
    if leases.len() > 0 {
        tracing::info!(running = leases.len(), grace = ?grace, "draining");
    }
    let settled = async || {
        let _all = slots.acquire_many(all).await;
        // Every job has ended; what was said about them may still be on its way.
        leases.none().await;
    };
    tokio::select! {
        () = settled() => return,
        () = tokio::time::sleep(grace) => {}
        () = shutdown.now.cancelled() => {}
    }
    leases.stop_all();
    if tokio::time::timeout(HAND_BACK, settled()).await.is_err() {
        tracing::warn!(running = leases.len(), "jobs that would not stop are left to their leases");
    }
}

/// What has to be empty.
pub(crate) struct Emptiness {
    pub(crate) queues: Vec<Queue>,
    pub(crate) outbox: Outbox,
    /// Only suspects count.
    pub(crate) only_suspects: bool,
}

/// Asks for the drain once nothing is waiting, delayed or running in any of the queues.
pub(crate) async fn end_when_empty(of: Emptiness, shutdown: Shutdown) {
    let names: Vec<String> = of.queues.iter().map(|queue| queue.name().to_owned()).collect();
    let mut looked_empty = false;
    loop {
        // The outbox first: what leaves it is in a queue by then.
        let mut open = u64::from(!of.only_suspects && of.outbox.has_waiting(&names).await);
        for queue in &of.queues {
            let left = if of.only_suspects {
                suspects(queue).await
            } else {
                queue.counts().await.map(|counts| counts.open())
            };
            match left {
                Ok(left) => open += left,
                Err(error) => {
                    tracing::debug!(%error, "cannot count jobs");
                    open += 1;
                }
            }
        }
        // Twice in a row: a kind that nobody knew of may have come in between two questions.
        if open == 0 && looked_empty {
            return shutdown.drain.cancel();
        }
        looked_empty = open == 0;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = shutdown.drain.cancelled() => return,
        }
    }
}

/// Whether there are suspects, as a number.
async fn suspects(queue: &Queue) -> Result<u64, QueueError> {
    let lanes: Vec<String> = queue.lanes().await?.into_iter().filter(|lane| is_suspect(lane)).collect();
    Ok(u64::from(queue.any_in(&lanes).await?))
}
