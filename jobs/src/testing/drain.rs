//! Everything that is due in a queue, in this process, one after the other.

use std::time::{Duration, Instant};

use brasa_shared::queue::{ClaimedJob, Envelope, Queue, QueueError};
use serde_json::Value;

use super::inline::Inline;
use super::seam::{About, Hand, Heard, Word};
use crate::context::ThisJob;
use crate::job::Policy;
use crate::verdict::{JobError, Verdict};

/// How many runs one drain may take, and how many of them one job may. A job that comes back at once, again and
/// again, has no end, and neither has one that enqueues itself.
const RUNS_MAX: (usize, usize) = (10_000, 200);

/// Why a queue could not be drained.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The queue did not do what was asked.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// It has no end.
    #[error(
        "job `{id}` ({kind}) is due again after {runs} runs: does it come back at once, or enqueue itself?"
    )]
    Endless {
        /// The job that would have run next.
        id: String,
        /// The kind that ran last.
        kind: String,
        /// How many runs there were, of this job or of all.
        runs: usize,
    },
}

/// How one run of a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// It is done, with this result.
    Done(Value),
    /// It failed, for this reason, and comes back when its pause is over.
    Retried(String),
    /// It comes back when its pause is over, and the attempt does not count.
    Snoozed(String),
    /// It is in the dead letter, for this reason.
    Dead(String),
    /// It was discarded by its handler or cancelled by somebody, for this reason.
    Cancelled(String),
    /// Another holder has it: its lease ran out, or somebody else took it back.
    Lost,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// The job.
    pub id: String,
    /// Its kind; empty where it could not be read.
    pub kind: String,
    /// The how-manieth attempt it was, from 1.
    pub attempt: u32,
    /// How it ended.
    pub ended: Ended,
}

/// What a drain has run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drained {
    /// The runs, in order.
    pub runs: Vec<Ran>,
}

impl Drained {
    /// How many are done.
    pub fn done(&self) -> usize {
        self.count(|ended| matches!(ended, Ended::Done(_)))
    }

    /// How many failed and come back.
    pub fn retried(&self) -> usize {
        self.count(|ended| matches!(ended, Ended::Retried(_)))
    }

    /// How many come back without having used an attempt.
    pub fn snoozed(&self) -> usize {
        self.count(|ended| matches!(ended, Ended::Snoozed(_)))
    }

    /// How many are in the dead letter.
    pub fn dead(&self) -> usize {
        self.count(|ended| matches!(ended, Ended::Dead(_)))
    }

    /// How many were discarded or cancelled.
    pub fn cancelled(&self) -> usize {
        self.count(|ended| matches!(ended, Ended::Cancelled(_)))
    }

    /// Every run ended with its job done.
    ///
    /// # Panics
    /// One did not; the message has all of them.
    #[track_caller]
    pub fn assert_all_done(&self) {
        assert!(self.done() == self.runs.len(), "not everything is done: {:#?}", self.runs);
    }

    fn count(&self, which: impl Fn(&Ended) -> bool) -> usize {
        self.runs.iter().filter(|ran| which(&ran.ended)).count()
    }
}

/// Runs everything that is due in a queue, to the end: the inbox, what is delayed until now, and what handlers
/// put there meanwhile. One job at a time, in the order of the queue. Handlers see the queue's clock.
///
/// Jobs that are due later stay where they are: move the clock and drain again. Pauses before the next attempt
/// are the longest that the policy gives and are not drawn, so that a test knows when to look. Kinds that are
/// not in the catalogue are left alone. A panic of a handler is not caught, so that an assertion inside of one
/// fails its test.
///
/// # Errors
/// Redis does not answer, or it never ends.
pub async fn drain(queue: &Queue, inline: &Inline) -> Result<Drained, DrainError> {
    let hand = Hand::new(inline.catalog().classes());
    let mut drained = Drained::default();
    while let Some(job) = hand.next(queue).await? {
        let all = drained.runs.len();
        let own = drained.runs.iter().filter(|ran| ran.id == job.id).count();
        if all >= RUNS_MAX.0 || own >= RUNS_MAX.1 {
            let kind = drained.runs.pop().map(|ran| ran.kind).unwrap_or_default();
            let runs = if own >= RUNS_MAX.1 { own } else { all };
            return Err(DrainError::Endless { id: job.id, kind, runs });
        }
        drained.runs.push(run(queue, inline, &hand, job).await?);
    }
    Ok(drained)
}

/// One job from its claim to its verdict.
async fn run(queue: &Queue, inline: &Inline, hand: &Hand, job: ClaimedJob) -> Result<Ran, DrainError> {
    let begun = Instant::now();
    let read = Envelope::from_record(&job.id, &job.envelope).map_err(|error| error.to_string());
    let envelope = read.and_then(|mut envelope| {
        let opened = queue.open_args(&mut envelope);
        opened.map(|()| envelope).map_err(|error| format!("not run: its arguments are {error}"))
    });
    let ran =
        |kind: &str, ended| Ran { id: job.id.clone(), kind: kind.to_owned(), attempt: job.attempt, ended };
    let (word, ended, envelope) = match envelope {
        Ok(envelope) => {
            let (word, ended) = attempt(queue, inline, &job, &envelope).await;
            (word, ended, Some(envelope))
        }
        Err(error) => (Word::Bury(error.clone()), Ended::Dead(error), None),
    };
    let about = About {
        job: &job,
        unique: envelope.as_ref().and_then(|envelope| envelope.unique.clone()),
        keep_ms: envelope.as_ref().and_then(|envelope| envelope.keep_ms),
        next: envelope.as_ref().map(|envelope| envelope.next.as_slice()).unwrap_or_default(),
        took: begun.elapsed(),
    };
    let ended = match hand.say(queue, &about, word).await? {
        Heard::Accepted => ended,
        Heard::CancelFirst(why) => Ended::Cancelled(why),
        Heard::Refused => Ended::Lost,
    };
    Ok(ran(envelope.as_ref().map(|envelope| envelope.kind.as_str()).unwrap_or_default(), ended))
}

/// Runs the handler and judges as a worker does.
async fn attempt(queue: &Queue, inline: &Inline, job: &ClaimedJob, envelope: &Envelope) -> (Word, Ended) {
    let Some(kind) = inline.catalog().get(&envelope.kind) else {
        let why = format!("there is no kind `{}` in the catalogue of this test", envelope.kind);
        return (Word::Bury(why.clone()), Ended::Dead(why));
    };
    let this = ThisJob {
        id: job.id.clone(),
        kind: envelope.kind.clone(),
        attempt: job.attempt,
        fence: job.fence,
        nonce: job.nonce.to_string(),
        trace: envelope.trace.as_deref().and_then(|text| text.parse().ok()),
    };
    let args = envelope.args.get().to_owned();
    let limit = envelope.timeout_ms.map_or(kind.policy.timeout, Duration::from_millis);
    match inline.run_as(kind, args, this, queue.clock(), limit).await {
        Ok(result) => (Word::Finish(result.clone()), Ended::Done(result)),
        Err(error) => {
            let attempts_max = envelope.attempts.unwrap_or(kind.policy.attempts_max);
            judge(&error, job.attempt, attempts_max, &kind.policy)
        }
    }
}

fn judge(error: &JobError, attempt: u32, attempts_max: u32, policy: &Policy) -> (Word, Ended) {
    let why = error.to_string();
    let is_spent = attempt >= attempts_max;
    let delay = match error.verdict {
        Verdict::Snooze(delay) => return (Word::Return(delay, true, why.clone()), Ended::Snoozed(why)),
        Verdict::Discard => {
            let noted = format!("discarded: {why}");
            return (Word::Discard(noted), Ended::Cancelled(why));
        }
        Verdict::Retry if !is_spent => policy.pause_max(attempt),
        Verdict::RetryIn(delay) if !is_spent => delay,
        Verdict::Bury => return (Word::Bury(why.clone()), Ended::Dead(why)),
        Verdict::Retry | Verdict::RetryIn(_) => {
            let why = format!("{why} (no attempts left)");
            return (Word::Bury(why.clone()), Ended::Dead(why));
        }
    };
    (Word::Return(delay, false, why.clone()), Ended::Retried(why))
}
