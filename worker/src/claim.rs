//! The claiming loop: as many jobs as there are free slots, and not one more, so that no idle peer starves
//! and no crash takes jobs along that had not begun.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use brasa_shared::queue::{Asking, BATCH_MAX, Claimant, ClaimedJob, Held, Queue, QueueError, Wake, listen};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::server::Pulse;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::leases::{Leases, StopSign, Watch};

/// A wake-up that was lost costs at most this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a worker that is full says that it is alive.
const BEAT_EVERY: Duration = Duration::from_secs(3);
/// How long slots are gathered at most while there is a backlog.
const GATHER: Duration = Duration::from_millis(1);
/// The longest pause between two tries while Redis is out of reach.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

/// A claimed job on its way to its handler, with the slot that it fills. Its lease is kept from here on, and
/// not from when its handler begins: a runtime that somebody blocks begins nothing for a while.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) claimed: ClaimedJob,
    pub(crate) queue: Queue,
    pub(crate) held: Held,
    pub(crate) watch: Watch,
    pub(crate) sign: StopSign,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// What the claiming loop works with.
pub(crate) struct Claimer {
    pub(crate) queues: Vec<(Queue, u32)>,
    pub(crate) claimant: Claimant,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) concurrency: usize,
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) leases: Leases,
    pub(crate) wake: Arc<Notify>,
    pub(crate) pulse: Pulse,
    pub(crate) stop: CancellationToken,
}

impl Claimer {
    /// Claims until told to stop. Faults of Redis are waited out here and go no further.
    pub(crate) async fn run(self) {
        let mut backlog = false;
        // Askings that were not answered, by queue: the jobs may be ours all the same.
        let mut unanswered = HashMap::new();
        while !self.stop.is_cancelled() {
            let free = tokio::select! {
                free = self.free_slots(backlog) => free,
                () = self.beat_while_busy() => break,
                () = self.stop.cancelled() => break,
            };
            let Some(mut free) = free else { break };
            backlog = false;
            match self.fill(&mut free, &mut unanswered).await {
                Ok(true) => backlog = true,
                Ok(false) => {
                    drop(free);
                    self.rest(LOOK_AGAIN).await;
                }
                Err(error) => {
                    drop(free);
                    metrics::redis_faults_total("claim").increment(1);
                    tracing::warn!(error = %chain(&error), "cannot claim jobs; trying again");
                    self.rest(FAULT_PAUSE.mul_f64(rand::random::<f64>())).await;
                }
            }
        }
    }

    /// Waits for a free slot and takes all that are free. While there is a backlog it gathers a quarter of all
    /// slots first, or what is free after a moment: jobs that end at once would otherwise be fetched one by
    /// one, at a round trip each, and jobs that take long lose next to nothing.
    async fn free_slots(&self, backlog: bool) -> Option<OwnedSemaphorePermit> {
        let mut free = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let quarter = u32::try_from((self.concurrency / 4).min(BATCH_MAX)).unwrap_or(1);
        if backlog && quarter > 1 {
            let gathering = Arc::clone(&self.slots).acquire_many_owned(quarter - 1);
            if let Ok(gathered) = tokio::time::timeout(GATHER, gathering).await {
                free.merge(gathered.ok()?);
            }
        }
        let more = self.slots.available_permits().min(BATCH_MAX - free.num_permits());
        let more = u32::try_from(more).unwrap_or(0);
        if let Ok(more) = Arc::clone(&self.slots).try_acquire_many_owned(more) {
            free.merge(more);
        }
        Some(free)
    }

    /// A worker whose slots are all taken is at work, and says so.
    async fn beat_while_busy(&self) {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            self.pulse.beat();
        }
    }

    /// Fills the free slots, queue after queue; true if all were filled, so that there may be more.
    async fn fill(
        &self,
        free: &mut OwnedSemaphorePermit,
        unanswered: &mut HashMap<String, Asking>,
    ) -> Result<bool, QueueError> {
        let mut queues = in_turn(&self.queues);
        // What is owed comes first, while there are slots for all of it.
        queues.sort_by_key(|queue| !unanswered.contains_key(queue.name()));
        for queue in queues {
            let asking = unanswered.entry(queue.name().to_owned()).or_default().clone();
            let claimed = queue.claim_with(&self.claimant, free.num_permits(), &asking).await?;
            unanswered.remove(queue.name());
            self.pulse.beat();
            let count = claimed.jobs.len() as u64;
            if count > 0 {
                metrics::jobs_claimed_total(queue.name()).increment(count);
            }
            let jobs: Vec<Job> =
                claimed.jobs.into_iter().filter_map(|claimed| self.take(claimed, queue, free)).collect();
            for job in jobs {
                // The channel holds as many as there are slots, so this never waits; it fails only when the
                // worker is gone, and then the lease brings the job back.
                if self.jobs.send(job).await.is_err() {
                    return Ok(false);
                }
            }
            if free.num_permits() == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn take(&self, claimed: ClaimedJob, queue: &Queue, free: &mut OwnedSemaphorePermit) -> Option<Job> {
        let slot = free.split(1)?;
        let held = Held { id: claimed.id.clone(), nonce: claimed.nonce.clone() };
        let (watch, sign) = self.leases.watch(queue, held.clone(), claimed.asked);
        Some(Job { claimed, queue: queue.clone(), held, watch, sign, slot })
    }

    async fn rest(&self, at_most: Duration) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(at_most) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// The queues in an order drawn by their weights: a queue of weight 6 comes first six times as often as one
/// of weight 1, and none is ever left out.
fn in_turn(queues: &[(Queue, u32)]) -> Vec<&Queue> {
    if let [(queue, _)] = queues {
        return vec![queue];
    }
    // A. Efraimidis, P. Spirakis, "Weighted random sampling with a reservoir", 2006: order by u^(1/w).
    let mut drawn: Vec<_> = queues
        .iter()
        .map(|(queue, weight)| (rand::random::<f64>().powf(1.0 / f64::from((*weight).max(1))), queue))
        .collect();
    drawn.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    drawn.into_iter().map(|(_, queue)| queue).collect()
}

/// Turns what Redis publishes into wake-ups of the claiming loop and stops of running jobs.
pub(crate) async fn hear(queues: Vec<Queue>, wake: Arc<Notify>, leases: Leases) {
    let Some(first) = queues.first() else { return };
    let (heard, mut told) = mpsc::channel(64);
    let keys = queues.iter().map(|queue| queue.keys().clone()).collect();
    let store = first.store().apart();
    let listening = tokio::spawn(listen(store, keys, heard));
    while let Some(message) = told.recv().await {
        match message {
            Wake::Ready(_) => wake.notify_one(),
            Wake::Stop(place, id) => {
                if let Some(queue) = queues.get(place) {
                    leases.stop_asked(queue.name(), &id);
                }
            }
        }
    }
    listening.abort();
}

#[cfg(test)]
mod tests {
    use brasa_shared::clock::Clock;
    use brasa_shared::store::Store;

    use super::*;

    #[test]
    fn a_heavier_queue_comes_first_more_often_and_no_queue_is_left_out() {
        let store = Store::open("redis://127.0.0.1:1/").unwrap();
        let queue = |name: &str| Queue::new(store.clone(), "t", name, Clock::System);
        let queues = [(queue("heavy"), 9), (queue("light"), 1)];
        let orders: Vec<_> = (0..1_000).map(|_| in_turn(&queues)).collect();
        let heavy_first = orders.iter().filter(|order| order[0].name() == "heavy").count();
        assert!((800..980).contains(&heavy_first), "{heavy_first}");
        assert!(orders.iter().all(|order| order.len() == 2));
    }
}
