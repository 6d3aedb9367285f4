//! A claimed job on its way to its handler.

use brasa_shared::queue::{ClaimedJob, Held, Queue};
use tokio::sync::OwnedSemaphorePermit;

use crate::leases::Watch;

/// A claimed job, with the slot that it fills. Its lease is kept from the claim on, and not from when its
/// handler begins: a runtime that somebody blocks begins nothing for a while.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) claimed: ClaimedJob,
    pub(crate) queue: Queue,
    pub(crate) watch: Watch,
    pub(crate) slot: OwnedSemaphorePermit,
}

impl Job {
    /// What proves the claim.
    pub(crate) fn held(&self) -> Held {
        Held { id: self.claimed.id.clone(), nonce: self.claimed.nonce.clone() }
    }
}
