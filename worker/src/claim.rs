//! The claiming loop: as many jobs as there are free slots, and not one more, so that no idle peer starves
//! and no crash takes jobs along that had not begun.
//!
//! A loop that finds nothing leaves an offer with each queue, under which jobs are handed over as they come, and
//! rests. The slots of all offers are kept free. With several queues that is only a part of the slots for each: so
//! offers are made where all of them had nothing, and withdrawn as soon as one has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brasa_shared::queue::{BATCH_MAX, Claimant, Claimed, QueueError};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::server::Pulse;
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::alarm::Alarm;
use crate::job::Job;
use crate::leases::{Leases, StopReason};
use crate::order::Order;
use crate::served::Served;

/// A wake-up that was lost costs at most this; and offers are made again as often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a worker that is full says that it is alive.
const BEAT_EVERY: Duration = Duration::from_secs(3);
/// How many turns others get at most while slots are gathered.
const GATHER_TURNS: usize = 64;
/// The longest pause between two tries while Redis is out of reach.
const FAULT_PAUSE: Duration = Duration::from_secs(1);
/// How long the end of a worker may be put off to withdraw its offers; what is handed over later waits for its lease.
const WITHDRAW: Duration = Duration::from_secs(1);

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

/// What came of one round of asking.
enum Round {
    /// Jobs; there may be more.
    Found,
    /// Nothing. Something that is limited may go on after this long.
    Nothing(Duration),
}

impl Claimer {
    /// Claims until told to stop. Faults of Redis are waited out here and go no further.
    pub(crate) async fn run(mut self) {
        let Ok(mut free) = Arc::clone(&self.slots).acquire_many_owned(0).await else { return };
        let always_calm = self.queues.len() == 1;
        let (mut is_full, mut is_calm, mut look) = (false, always_calm, true);
        // When all queues are asked, though nothing was said of them.
        let mut all_due = Instant::now();
        while !self.stop.is_cancelled() {
            let has_slots = tokio::select! {
                has_slots = self.find_slots(&mut free, is_full) => has_slots,
                () = self.beat_while_busy() => false,
                () = self.stop.cancelled() => false,
            };
            if !has_slots {
                break;
            }
            let (turns, are_all) = self.take_told(&mut free, all_due <= Instant::now()).await;
            let round = self.round(turns, &mut free, is_calm, look).await;
            is_full = free.num_permits() == 0;
            look = false;
            match round {
                Round::Found => is_calm = always_calm,
                Round::Nothing(_) if !is_calm => is_calm = true,
                Round::Nothing(pause) => {
                    if are_all {
                        all_due = Instant::now() + pause;
                    }
                    look = !self.rest(pause.min(all_due.saturating_duration_since(Instant::now()))).await;
                }
            }
        }
        self.withdraw(&mut free).await;
    }

    /// Waits for a free slot, if there is none yet, and takes all that are free; false if there will be none.
    async fn find_slots(&self, free: &mut OwnedSemaphorePermit, was_full: bool) -> bool {
        if free.num_permits() == 0 {
            let Ok(first) = Arc::clone(&self.slots).acquire_owned().await else { return false };
            free.merge(first);
            if was_full {
                self.gather().await;
            }
        }
        let more = self.slots.available_permits().min(BATCH_MAX.saturating_sub(free.num_permits()));
        let more = u32::try_from(more).unwrap_or(0);
        if let Ok(more) = Arc::clone(&self.slots).try_acquire_many_owned(more) {
            free.merge(more);
        }
        true
    }

    /// Lets others run until half of all slots are free, or a turn of theirs has freed none. Jobs that end at once
    /// would otherwise be fetched one by one, at a round trip each. There is no waiting by the clock in this: that
    /// of the runtime counts in whole milliseconds, and many a job takes no longer.
    async fn gather(&self) {
        let half = (self.concurrency / 2).min(BATCH_MAX);
        let mut freed = 1;
        for _ in 0..GATHER_TURNS {
            tokio::task::yield_now().await;
            let now = 1 + self.slots.available_permits();
            if now >= half || now == freed {
                return;
            }
            freed = now;
        }
    }

    /// A worker whose slots are all taken is at work, and says so.
    async fn beat_while_busy(&self) {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            self.pulse.beat();
        }
    }

    /// Learns what was said, and lets those jobs begin that were handed over; returns which queues are to be asked:
    /// those that handed something over, or all, and whether it is all.
    async fn take_told(&mut self, free: &mut OwnedSemaphorePermit, all: bool) -> (Vec<usize>, bool) {
        let told = self.alarm.take();
        for (place, lane) in told.lanes {
            if let Some(served) = self.queues.get_mut(place) {
                served.learn(lane, &self.claimant);
            }
        }
        let mut turns = Vec::new();
        for (place, handed) in told.handed {
            let Some(claimed) = self.queues.get_mut(place).and_then(|served| served.accept(&handed)) else {
                continue;
            };
            self.hand_on(place, claimed, free).await;
            turns.push(place);
        }
        let all =
            all || told.are_ready || turns.is_empty() || self.queues.iter().any(|served| served.owed() > 0);
        if all {
            turns = self.order.of(&self.queues);
            // What is owed comes first, while there are slots for all of it.
            turns.sort_by_key(|place| self.queues[*place].owed() == 0);
        }
        (turns, all)
    }

    /// Asks these queues, one after the other, for as many jobs as there are free slots, and makes offers where it
    /// is calm. With `look` it also looks for lanes that it was not told of.
    async fn round(
        &mut self,
        turns: Vec<usize>,
        free: &mut OwnedSemaphorePermit,
        is_calm: bool,
        look: bool,
    ) -> Round {
        let (mut pause, mut found) = (LOOK_AGAIN, false);
        let offer = if is_calm { free.num_permits() / self.queues.len() } else { 0 };
        for place in turns {
            let rest = self.queues[place].rest();
            if !rest.is_zero() {
                pause = pause.min(rest);
                continue;
            }
            let others = self.queues.iter().enumerate().filter(|(other, _)| *other != place);
            let reserved: usize = others.map(|(_, served)| served.reserved()).sum();
            let most = free.num_permits().saturating_sub(reserved);
            if most == 0 {
                // Its turn comes when a slot is free, or an offer was withdrawn.
                found |= self.queues.iter().all(|served| served.rest().is_zero());
                continue;
            }
            if most < self.queues[place].owed() {
                continue;
            }
            let claimed = match self.ask(place, most, offer.min(most), look).await {
                Ok(claimed) => claimed,
                // A queue that cannot be asked keeps the others from nothing.
                Err(error) => {
                    metrics::redis_faults_total("claim").increment(1);
                    tracing::warn!(error = %chain(&error), "cannot claim jobs; trying again");
                    let rest = FAULT_PAUSE.mul_f64(rand::random::<f64>());
                    self.queues[place].put_off(rest);
                    pause = pause.min(rest);
                    continue;
                }
            };
            pause = pause.min(claimed.look_again.unwrap_or(LOOK_AGAIN));
            found |= !claimed.jobs.is_empty();
            if !self.hand_on(place, claimed, free).await {
                return Round::Nothing(pause);
            }
        }
        if found { Round::Found } else { Round::Nothing(pause) }
    }

    async fn ask(
        &mut self,
        place: usize,
        most: usize,
        offer: usize,
        look: bool,
    ) -> Result<Claimed, QueueError> {
        let served = &mut self.queues[place];
        served.look(&self.claimant, look).await?;
        let claimed = served.ask(&self.claimant, most, offer).await?;
        self.pulse.beat();
        Ok(claimed)
    }

    /// Hands jobs on with their slots; false if nobody takes them any more. The channel holds as many as there
    /// are slots, so this never waits.
    async fn hand_on(&self, place: usize, claimed: Claimed, free: &mut OwnedSemaphorePermit) -> bool {
        claimed.jobs.is_empty() || self.jobs.send(self.watched(place, claimed, free)).await.is_ok()
    }

    /// Jobs with their leases and slots.
    fn watched(&self, place: usize, claimed: Claimed, free: &mut OwnedSemaphorePermit) -> Vec<Job> {
        let queue = &self.queues[place].queue;
        metrics::jobs_claimed_total(queue.name()).increment(claimed.jobs.len() as u64);
        let count = claimed.jobs.len();
        let slots: Vec<_> = claimed.jobs.into_iter().map_while(|job| Some((job, free.split(1)?))).collect();
        if slots.len() < count {
            tracing::error!(
                queue = queue.name(),
                "there are jobs without a slot; their leases bring them back"
            );
        }
        self.leases.watch_all(queue, slots)
    }

    /// Rests until something is said or the time is over; true if something was said.
    async fn rest(&self, at_most: Duration) -> bool {
        tokio::select! {
            () = self.alarm.rung() => true,
            () = tokio::time::sleep(at_most) => false,
            () = self.stop.cancelled() => false,
        }
    }

    /// Takes back what was offered, so that nothing is handed to a worker that is gone. What was handed over or
    /// claimed before that goes back as well.
    async fn withdraw(&mut self, free: &mut OwnedSemaphorePermit) {
        let claimant = &self.claimant;
        let asked = self.queues.iter_mut().enumerate().filter(|(_, served)| served.may_have_more());
        let asked = asked.map(async |(place, served)| (place, served.ask(claimant, 0, 0).await));
        let Ok(answers) = tokio::time::timeout(WITHDRAW, join_all(asked)).await else {
            return tracing::debug!("could not withdraw all offers in time");
        };
        for (place, answer) in answers {
            match answer {
                Ok(claimed) => self.hand_back(place, claimed, free).await,
                Err(error) => tracing::debug!(error = %chain(&error), "could not withdraw an offer"),
            }
        }
    }

    /// Jobs that were told to stop before they begin go back without an attempt.
    async fn hand_back(&self, place: usize, claimed: Claimed, free: &mut OwnedSemaphorePermit) {
        let jobs = self.watched(place, claimed, free);
        for job in &jobs {
            job.watch.sign.raise(StopReason::Shutdown);
        }
        if !jobs.is_empty() && self.jobs.send(jobs).await.is_err() {
            tracing::debug!("the worker has ended; the lease brings its jobs back");
        }
    }
}
