//! The words in which a drain speaks to a queue. Nothing else in this module knows them.

use std::time::Duration;

use brasa_shared::queue::{
    Burial, Claimant, ClaimedJob, Company, Ending, Finish, Held, Link, Outcome, Queue, QueueError, Retry,
    Settled,
};
use serde_json::Value;

/// How long a claim lasts; nobody renews it. Longer than a handler of a test may take, short enough for a
/// test that was killed.
const LEASE: Duration = Duration::from_mins(10);

/// Who drains.
pub(super) struct Hand(Claimant);

/// What becomes of a job that ran.
pub(super) enum Word {
    /// It is done, with a result.
    Finish(Value),
    /// It ended without success and is of no interest any more.
    Discard(String),
    /// It comes back; `true` where the attempt does not count.
    Return(Duration, bool, String),
    /// It is given up.
    Bury(String),
}

/// What a queue answers to a word.
pub(super) enum Heard {
    /// It holds.
    Accepted,
    /// Somebody had cancelled the job meanwhile, and so it has ended, for this reason.
    CancelFirst(String),
    /// The claim is not ours any more, and nothing was changed.
    Refused,
}

/// What a queue has to be told about the job beside the word.
pub(super) struct About<'j> {
    pub(super) job: &'j ClaimedJob,
    pub(super) unique: Option<String>,
    pub(super) keep_ms: Option<u64>,
    pub(super) next: &'j [Link],
    pub(super) took: Duration,
}

impl Hand {
    /// Somebody new, who can run these classes.
    pub(super) fn new(classes: Vec<String>) -> Self {
        let worker = format!("drain-{:016x}", rand::random::<u64>());
        Self(Claimant { worker, classes, lease: LEASE, company: Company::Mixed })
    }

    /// The job that has waited longest; first everything that is due is made ready.
    pub(super) async fn next(&self, queue: &Queue) -> Result<Option<ClaimedJob>, QueueError> {
        while queue.drain_inbox().await? > 0 {}
        while queue.promote_due().await? > 0 {}
        Ok(queue.claim(&self.0, 1).await?.jobs.pop())
    }

    /// Says what became of a job.
    pub(super) async fn say(
        &self,
        queue: &Queue,
        about: &About<'_>,
        word: Word,
    ) -> Result<Heard, QueueError> {
        let settled = self.settle(queue, about, word).await?;
        if settled == Some(Settled::CancelFirst) {
            let why = "cancelled before it could run again".to_owned();
            self.settle(queue, about, Word::Discard(why.clone())).await?;
            return Ok(Heard::CancelFirst(why));
        }
        Ok(if settled == Some(Settled::Accepted) { Heard::Accepted } else { Heard::Refused })
    }

    async fn settle(
        &self,
        queue: &Queue,
        about: &About<'_>,
        word: Word,
    ) -> Result<Option<Settled>, QueueError> {
        let held = Held { id: about.job.id.clone(), nonce: about.job.nonce.clone() };
        let settled = match word {
            Word::Finish(result) => {
                let mut outcome = self.outcome(queue, about, Ending::Done);
                outcome.result = (!result.is_null()).then_some(result);
                queue.finish(&[finish(held, about, outcome)]).await?
            }
            Word::Discard(why) => {
                let outcome = self.outcome(queue, about, Ending::Cancelled).because(why);
                queue.finish(&[finish(held, about, outcome)]).await?
            }
            Word::Bury(why) => {
                let outcome = self.outcome(queue, about, Ending::Dead).because(why);
                queue
                    .bury(&[Burial {
                        held,
                        unique: about.unique.clone(),
                        outcome,
                        next: about.next.to_vec(),
                        line: String::new(),
                    }])
                    .await?
            }
            Word::Return(delay, snooze, why) => {
                let now = queue.clock().now().as_millisecond();
                let note = format!("{now} {} failed {}", about.job.attempt, why.replace('\n', " "));
                queue.retry(&[Retry { held, delay, snooze, note }]).await?
            }
        };
        Ok(settled.into_iter().next())
    }

    fn outcome(&self, queue: &Queue, about: &About<'_>, ending: Ending) -> Outcome {
        let mut outcome = Outcome::new(ending, queue.clock().now().as_millisecond());
        outcome.attempt = about.job.attempt;
        outcome.took_ms = u64::try_from(about.took.as_millis()).unwrap_or(u64::MAX);
        outcome.worker.clone_from(&self.0.worker);
        outcome
    }
}

fn finish(held: Held, about: &About<'_>, outcome: Outcome) -> Finish {
    Finish {
        held,
        unique: about.unique.clone(),
        keep_ms: about.keep_ms,
        envelope_bytes: about.job.envelope.len(),
        next: about.next.to_vec(),
        outcome,
        line: String::new(),
    }
}
