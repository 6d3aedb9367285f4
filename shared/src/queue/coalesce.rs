//! Callers that enqueue at the same time share a round trip.
//!
//! Whoever finds nobody under way takes everything along that has gathered, its own job included; the others
//! wait for it. So a single caller never waits for company, and fifty make one call of fifty jobs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::queue::enqueue::{Said, Sealed};
use crate::queue::{BATCH_MAX, Queue, QueueError};

/// What a call said to one job: what became of it, or why the call failed.
type Answer = Result<Said, Arc<QueueError>>;

/// Jobs that wait to be taken along, and the right to take them.
#[derive(Debug, Default)]
pub(crate) struct Coalesce {
    gathered: Mutex<Vec<Waiting>>,
    lead: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    job: Sealed,
    answer: oneshot::Sender<Answer>,
}

impl Queue {
    /// Enqueues one sealed job together with those of other callers.
    pub(crate) async fn enqueue_in_company(&self, job: Sealed) -> Answer {
        let company = &self.inner.coalesce;
        loop {
            let (answer, mut answered) = oneshot::channel();
            company.gathered().push(Waiting { job: job.clone(), answer });
            tokio::select! {
                biased;
                said = &mut answered => if let Ok(said) = said { return said },
                _lead = company.lead.lock() => {
                    loop {
                        match answered.try_recv() {
                            Ok(said) => return said,
                            Err(oneshot::error::TryRecvError::Empty) => self.take_along(company.take()).await,
                            // Somebody had taken it along before, and gave up.
                            Err(oneshot::error::TryRecvError::Closed) => break,
                        }
                    }
                }
            }
            // Whoever took it along was dropped. Sending it twice is sending it once.
        }
    }

    async fn take_along(&self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        let (jobs, answers): (Vec<_>, Vec<_>) = waiting.into_iter().map(|one| (one.job, one.answer)).unzip();
        let outcome = self.enqueue_sealed(&jobs, false).await;
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
