//! What requests share: queues in whose round trips they go together, and places to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use brasa_jobs::Site;
use brasa_shared::queue::Queue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Refused;

/// How many may wait for ends of jobs at once: each holds a connection to Redis.
const WAITING_MAX: usize = 256;

/// What requests share.
#[derive(Debug)]
pub(crate) struct Hall {
    queues: Mutex<BTreeMap<String, Queue>>,
    places: Arc<Semaphore>,
}

impl Default for Hall {
    fn default() -> Self {
        Self { queues: Mutex::default(), places: Arc::new(Semaphore::new(WAITING_MAX)) }
    }
}

impl Hall {
    /// A queue; requests that enqueue into it at the same time share a round trip.
    pub(super) fn queue(&self, site: &Site, name: &str) -> Queue {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(name.to_owned()).or_insert_with(|| site.queue(name)).clone()
    }

    /// A place to wait, until it is dropped.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Refused> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let help = "ask for the job itself now and then";
            Refused::away(format!("{WAITING_MAX} requests wait for jobs already"), help).again_in(1)
        })
    }
}
