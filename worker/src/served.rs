//! A queue that is served, and what is known of it.

use std::time::{Duration, Instant};

use brasa_shared::queue::{Asking, Claimant, Claimed, HandedOver, OFFER, Queue, QueueError};

use crate::order::Share;

/// How long lanes are known: who is busy is not told of all that come to be, and looks all the same.
const LANES_FOR: Duration = Duration::from_secs(1);

/// A queue that is served.
pub(crate) struct Served {
    pub(crate) queue: Queue,
    pub(crate) share: Share,
    /// The lanes that have been used and that this worker can run.
    lanes: Vec<String>,
    /// When they were looked for.
    looked: Option<Instant>,
    /// An asking that may still bring jobs: it was not answered, or made an offer.
    asking: Option<Asking>,
    /// It was not answered: as many jobs may be ours all the same.
    owed: usize,
    /// How many jobs may be handed over under it.
    offered: usize,
    /// It could not be asked, and is left alone until then.
    put_off: Option<Instant>,
}

impl Served {
    pub(crate) fn new(queue: Queue, share: Share) -> Self {
        Self {
            queue,
            share,
            lanes: Vec::new(),
            looked: None,
            asking: None,
            owed: 0,
            offered: 0,
            put_off: None,
        }
    }

    /// How many jobs may be ours that we do not know of.
    pub(crate) fn owed(&self) -> usize {
        self.owed
    }

    /// Whether an asking of its may still bring jobs.
    pub(crate) fn may_have_more(&self) -> bool {
        self.asking.is_some()
    }

    /// How many slots have to stay free for what may be handed over.
    pub(crate) fn reserved(&self) -> usize {
        self.offered
    }

    /// Leaves it alone for a while, for it could not be asked.
    pub(crate) fn put_off(&mut self, pause: Duration) {
        (self.put_off, self.looked) = (Some(Instant::now() + pause), None);
    }

    /// How long it is still left alone.
    pub(crate) fn rest(&self) -> Duration {
        self.put_off.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Learns of a lane.
    pub(crate) fn learn(&mut self, lane: String, claimant: &Claimant) {
        if claimant.knows(&lane) && !self.lanes.contains(&lane) {
            self.lanes.push(lane);
        }
    }

    /// Looks for lanes that it was not told of, if that was long ago or `now`.
    pub(crate) async fn look(&mut self, claimant: &Claimant, now: bool) -> Result<(), QueueError> {
        if now || self.looked.is_none_or(|looked| looked.elapsed() >= LANES_FOR) {
            self.lanes = self.queue.lanes_for(claimant).await?;
            self.looked = Some(Instant::now());
        }
        Ok(())
    }

    /// Asks for up to `most` jobs. Where there are none it offers to be handed up to `offer` later.
    pub(crate) async fn ask(
        &mut self,
        claimant: &Claimant,
        most: usize,
        offer: usize,
    ) -> Result<Claimed, QueueError> {
        // Where a limit has to be looked at only claims hand out; and what is handed over late has to leave time for
        // a renewal.
        let may_offer = self.queue.limits().is_empty() && claimant.lease >= 2 * OFFER;
        let offer = if may_offer { offer } else { 0 };
        let asking = self.asking.get_or_insert_default().clone().offering(offer);
        let sent = Instant::now();
        self.owed = self.owed.max(self.offered).max(most);
        let claimed = self.queue.claim_with(claimant, &self.lanes, most, &asking).await?;
        (self.owed, self.offered) = (0, 0);
        self.asking = None;
        if offer > 0 && !claimed.is_spent {
            (self.asking, self.offered) = (Some(asking.in_vain(sent)), offer);
        }
        Ok(claimed)
    }

    /// Takes jobs that are handed over, if they are not known already.
    pub(crate) fn accept(&mut self, handed: &HandedOver) -> Option<Claimed> {
        let claimed = handed.to(self.asking.as_ref()?)?;
        (self.asking, self.owed, self.offered) = (None, 0, 0);
        Some(claimed)
    }
}
