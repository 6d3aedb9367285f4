//! What wakes the claiming loop: jobs became ready, or are handed over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brasa_shared::queue::{BATCH_MAX, HandedOver};
use tokio::sync::Notify;

/// The bell, and what was said when it rang.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alarm {
    ring: Arc<Notify>,
    told: Arc<Mutex<Told>>,
}

/// What was said since it was last taken. Bounded: a loop that is busy learns of the rest by looking.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Jobs became ready somewhere.
    pub(crate) are_ready: bool,
    /// The lanes that they stand in, by the place of their queue, where they were named.
    pub(crate) lanes: Vec<(usize, String)>,
    /// Jobs that are handed over, by the place of their queue.
    pub(crate) handed: Vec<(usize, HandedOver)>,
}

impl Alarm {
    /// Says that jobs became ready in a lane of a queue; in any, where it is not named.
    pub(crate) fn ready(&self, queue: usize, lane: String) {
        let mut told = self.told();
        told.are_ready = true;
        if !lane.is_empty() && told.lanes.len() < BATCH_MAX && !told.lanes.contains(&(queue, lane.clone())) {
            told.lanes.push((queue, lane));
        }
        drop(told);
        self.ring.notify_one();
    }

    /// Says that jobs of a queue are handed over.
    pub(crate) fn handed_over(&self, queue: usize, jobs: HandedOver) {
        let mut told = self.told();
        if told.handed.len() < BATCH_MAX {
            told.handed.push((queue, jobs));
        }
        drop(told);
        self.ring.notify_one();
    }

    /// Waits until something is said.
    pub(crate) async fn rung(&self) {
        self.ring.notified().await;
    }

    /// What was said since.
    pub(crate) fn take(&self) -> Told {
        std::mem::take(&mut *self.told())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
