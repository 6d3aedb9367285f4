//! The claiming loop: as many jobs as there are free slots, and not one more, so that no idle peer starves
//! and no crash takes jobs along that had not begun.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brasa_shared::queue::{Asking, BATCH_MAX, Claimant, Claimed, Queue, QueueError};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::server::Pulse;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::job::Job;
use crate::leases::Leases;
use crate::order::{Order, Share};

/// A wake-up that was lost costs at most this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a worker that is full says that it is alive.
const BEAT_EVERY: Duration = Duration::from_secs(3);
/// How long slots are gathered at most while there is a backlog.
const GATHER: Duration = Duration::from_micros(300);
/// The longest pause between two tries while Redis is out of reach.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

/// What wakes the claiming loop: jobs became ready, and where.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alarm {
    ring: Arc<Notify>,
    /// Lanes that were not known yet, by the place of their queue.
    lanes: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Alarm {
    /// Says that jobs became ready in a lane of a queue; in any, where it is not named.
    pub(crate) fn ready(&self, queue: usize, lane: String) {
        if !lane.is_empty() {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            // Bounded: a loop that is busy learns of the rest by looking.
            if lanes.len() < BATCH_MAX && !lanes.contains(&(queue, lane.clone())) {
                lanes.push((queue, lane));
            }
        }
        self.ring.notify_one();
    }

    fn told(&self) -> Vec<(usize, String)> {
        std::mem::take(&mut *self.lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A queue that is served, and what is known of it.
pub(crate) struct Served {
    pub(crate) queue: Queue,
    pub(crate) share: Share,
    /// The lanes that have been used and that this worker can run.
    lanes: Vec<String>,
    /// When they were looked for: who is busy is not told of all, and looks all the same.
    looked: Option<Instant>,
    /// An asking that was not answered: its jobs may be ours all the same.
    unanswered: Option<Asking>,
}

impl Served {
    pub(crate) fn new(queue: Queue, share: Share) -> Self {
        Self { queue, share, lanes: Vec::new(), looked: None, unanswered: None }
    }
}

/// What the claiming loop works with.
pub(crate) struct Claimer {
    pub(crate) queues: Vec<Served>,
    pub(crate) order: Order,
    pub(crate) claimant: Claimant,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) concurrency: usize,
    pub(crate) jobs: mpsc::Sender<Vec<Job>>,
    pub(crate) leases: Leases,
    pub(crate) alarm: Alarm,
    pub(crate) pulse: Pulse,
    pub(crate) stop: CancellationToken,
}

/// What came of one round over all queues.
enum Round {
    /// All slots were filled: there may be more.
    Full,
    /// There was less than there are slots; something that is limited may go on after this long.
    Idle(Duration),
}

impl Claimer {
    /// Claims until told to stop. Faults of Redis are waited out here and go no further.
    pub(crate) async fn run(mut self) {
        let mut backlog = false;
        let mut look = true;
        while !self.stop.is_cancelled() {
            let free = tokio::select! {
                free = self.free_slots(backlog) => free,
                () = self.beat_while_busy() => break,
                () = self.stop.cancelled() => break,
            };
            let Some(mut free) = free else { break };
            let round = self.round(&mut free, look).await;
            backlog = matches!(round, Ok(Round::Full));
            look = false;
            match round {
                Ok(Round::Full) => {}
                Ok(Round::Idle(pause)) => {
                    drop(free);
                    look = !self.rest(pause).await;
                }
                Err(error) => {
                    drop(free);
                    look = true;
                    metrics::redis_faults_total("claim").increment(1);
                    tracing::warn!(error = %chain(&error), "cannot claim jobs; trying again");
                    self.rest(FAULT_PAUSE.mul_f64(rand::random::<f64>())).await;
                }
            }
        }
    }

    /// Waits for a free slot and takes all that are free. While there is a backlog it gathers half of all slots
    /// first, or what is free after a moment: jobs that end at once would otherwise be fetched one by one, at
    /// a round trip each, and jobs that take long lose next to nothing.
    async fn free_slots(&self, backlog: bool) -> Option<OwnedSemaphorePermit> {
        let mut free = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let half = u32::try_from((self.concurrency / 2).min(BATCH_MAX)).unwrap_or(1);
        if backlog && half > 1 {
            let gathering = Arc::clone(&self.slots).acquire_many_owned(half - 1);
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

    /// Fills the free slots, queue after queue. With `look` it also looks for lanes that it was not told of.
    async fn round(&mut self, free: &mut OwnedSemaphorePermit, look: bool) -> Result<Round, QueueError> {
        for (place, lane) in self.alarm.told() {
            let served = self.queues.get_mut(place).filter(|served| !served.lanes.contains(&lane));
            if let Some(served) = served.filter(|_| self.claimant.knows(&lane)) {
                served.lanes.push(lane);
            }
        }
        let mut pause = LOOK_AGAIN;
        let mut turns = self.order.of(&self.queues);
        // What is owed comes first, while there are slots for all of it.
        turns.sort_by_key(|place| self.queues[*place].unanswered.is_none());
        for place in turns {
            let claimed = self.claim(place, free.num_permits(), look).await?;
            pause = pause.min(claimed.look_again.unwrap_or(LOOK_AGAIN));
            if !self.hand_on(place, claimed, free).await {
                return Ok(Round::Idle(pause));
            }
            if free.num_permits() == 0 {
                return Ok(Round::Full);
            }
        }
        Ok(Round::Idle(pause))
    }

    async fn claim(&mut self, place: usize, most: usize, look: bool) -> Result<Claimed, QueueError> {
        let served = &mut self.queues[place];
        if look || served.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
            served.lanes = served.queue.lanes_for(&self.claimant).await?;
            served.looked = Some(Instant::now());
        }
        let asking = served.unanswered.get_or_insert_default().clone();
        let claimed = served.queue.claim_with(&self.claimant, &served.lanes, most, &asking).await?;
        served.unanswered = None;
        self.pulse.beat();
        Ok(claimed)
    }

    /// Hands jobs on with their slots; false if nobody takes them any more. The channel holds as many as there
    /// are slots, so this never waits.
    async fn hand_on(&self, place: usize, claimed: Claimed, free: &mut OwnedSemaphorePermit) -> bool {
        if claimed.jobs.is_empty() {
            return true;
        }
        let queue = &self.queues[place].queue;
        metrics::jobs_claimed_total(queue.name()).increment(claimed.jobs.len() as u64);
        let slots = claimed.jobs.into_iter().map_while(|job| Some((job, free.split(1)?))).collect();
        self.jobs.send(self.leases.watch_all(queue, slots)).await.is_ok()
    }

    /// Rests until something is ready or the time is over; true if it was woken.
    async fn rest(&self, at_most: Duration) -> bool {
        tokio::select! {
            () = self.alarm.ring.notified() => true,
            () = tokio::time::sleep(at_most) => false,
            () = self.stop.cancelled() => false,
        }
    }
}
