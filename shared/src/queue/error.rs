//! Why the queue could not do what was asked.

use crate::queue::envelope::EnvelopeError;
use crate::store::{Fault, StoreError};

/// Why the queue could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis did not answer, or refused.
    #[error("queue `{queue}`: {source}")]
    Store {
        /// The queue.
        queue: String,
        /// What Redis said.
        #[source]
        source: StoreError,
    },
    /// A job cannot be put into words.
    #[error("queue `{queue}`: job `{id}` cannot be enqueued")]
    Envelope {
        /// The queue.
        queue: String,
        /// The job.
        id: String,
        /// What is wrong with it.
        #[source]
        source: EnvelopeError,
    },
}

impl QueueError {
    /// What kind of trouble Redis is in, where it is Redis.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Store { source, .. } => Some(source.fault),
            Self::Envelope { .. } => None,
        }
    }
}
