//! Why the queue could not do what was asked.

use crate::queue::envelope::EnvelopeError;
use crate::queue::{Budget, Paused};
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
    /// The queue holds as much as it may.
    #[error(
        "queue `{queue}` is full: it holds {jobs} open jobs and {bytes} bytes, and may hold {}{}",
        said(*.budget), before(*.taken)
    )]
    Full {
        /// The queue.
        queue: String,
        /// How many jobs of the call were taken before this one.
        taken: usize,
        /// How many open jobs it holds.
        jobs: u64,
        /// How many bytes it holds.
        bytes: u64,
        /// What it may hold.
        budget: Budget,
    },
    /// The queue is being drained and takes no new jobs.
    #[error("queue `{queue}` takes no new jobs{}{}", who(.by.as_ref()), before(*.taken))]
    Closed {
        /// The queue.
        queue: String,
        /// How many jobs of the call were taken before.
        taken: usize,
        /// Who closed it, and why.
        by: Option<Paused>,
    },
    /// A call that was made together with those of others failed.
    #[error(transparent)]
    Shared(std::sync::Arc<Self>),
}

fn said(budget: Budget) -> String {
    match (budget.jobs, budget.bytes) {
        (0, bytes) => format!("{bytes} bytes"),
        (jobs, 0) => format!("{jobs} jobs"),
        (jobs, bytes) => format!("{jobs} jobs and {bytes} bytes"),
    }
}

fn before(taken: usize) -> String {
    if taken == 0 { String::new() } else { format!("; {taken} of this call were taken") }
}

fn who(by: Option<&Paused>) -> String {
    match by {
        Some(Paused { by, reason, .. }) if reason.is_empty() => format!(" (closed by {by})"),
        Some(Paused { by, reason, .. }) => format!(" (closed by {by}: {reason})"),
        None => String::new(),
    }
}

impl QueueError {
    /// What kind of trouble Redis is in, where it is Redis.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Store { source, .. } => Some(source.fault),
            Self::Shared(error) => error.fault(),
            Self::Envelope { .. } | Self::Full { .. } | Self::Closed { .. } => None,
        }
    }

    /// True where the same job may be taken a little later: the queue is full, closed, or Redis has no room.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Closed { .. }) || self.fault() == Some(Fault::OutOfMemory)
    }
}
