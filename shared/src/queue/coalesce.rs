//! Callers that enqueue at the same time share a round trip.
//!
//! Whoever finds few enough under way takes everything along that has gathered, its own job included; the others
//! wait for it. So a single caller never waits for company, and fifty make a few calls of many jobs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use crate::queue::enqueue::{Said, Worded};
use crate::queue::{BATCH_MAX, Queue, QueueError};

/// How many calls are under way at most: with one, jobs would wait for the answer to those before them.
const LEADS: usize = 3;

/// What a call said to one job: what became of it, or why the call failed.
type Answer = Result<Said, Arc<QueueError>>;

/// Jobs that wait to be taken along, and the right to take them.
#[derive(Debug, Default)]
pub(crate) struct Coalesce {
    gathered: Mutex<Vec<Waiting>>,
    lead: Leads,
}

#[derive(Debug)]
struct Waiting {
    job: Worded,
    answer: oneshot::Sender<Answer>,
}

/// The right to be under way, for so many at once.
#[derive(Debug)]
struct Leads(Semaphore);

impl Default for Leads {
    fn default() -> Self {
        Self(Semaphore::new(LEADS))
    }
}

impl Queue {
    /// Enqueues one job together with those of other callers.
    pub(crate) async fn enqueue_in_company(&self, job: Worded) -> Answer {
        let company = &self.inner.coalesce;
        loop {
            let (answer, mut answered) = oneshot::channel();
            company.gathered().push(Waiting { job: job.clone(), answer });
            let lead = tokio::select! {
                biased;
                said = &mut answered => match said {
                    Ok(said) => return said,
                    Err(_) => continue,
                },
                lead = company.lead.0.acquire() => lead,
            };
            // All that have gathered, until it is among them.
            loop {
                let taken = company.take();
                if taken.is_empty() {
                    break;
                }
                self.take_along(taken).await;
                if let Ok(said) = answered.try_recv() {
                    return said;
                }
            }
            drop(lead);
            // Somebody else has taken it along.
            if let Ok(said) = answered.await {
                return said;
            }
            // Whoever took it along was dropped. Sending it twice is sending it once.
        }
    }

    async fn take_along(&self, waiting: Vec<Waiting>) {
        let (jobs, answers): (Vec<_>, Vec<_>) = waiting.into_iter().map(|one| (one.job, one.answer)).unzip();
        let outcome = self.enqueue_worded(&jobs, false).await;
        match outcome {
            Ok(said) => {
                // A caller that no longer waits needs no answer.
                answers.into_iter().zip(said).for_each(|(answer, said)| drop(answer.send(Ok(said))));
            }
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    drop(answer.send(Err(Arc::clone(&error))));
                }
            }
        }
    }
}

impl Coalesce {
    fn gathered(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Waiting> {
        let mut gathered = self.gathered();
        let rest = gathered.len().min(BATCH_MAX);
        gathered.drain(..rest).collect()
    }
}
