//! What is to be said about a run.

use std::time::{Duration, Instant};

use brasa_jobs::{JobError, JobResult, Verdict};
use brasa_shared::clock::Clock;
use brasa_shared::queue::outcome::cut;
use brasa_shared::queue::{Burial, Ending, HandBack, Held, Outcome, QUARTERS_PER_CRASH, Queue, Retry};
use brasa_shared::telemetry::metrics;
use serde_json::Value;

use crate::dispatch::{Known, finish};
use crate::leases::StopReason;
use crate::meters::Told;
use crate::settle::Word;

/// The largest result that is kept, in bytes of JSON.
const RESULT_MAX: usize = 64 * 1024;

/// How one run of a handler ended.
pub(crate) enum Run {
    /// It returned.
    Returned(JobResult<Value>),
    /// It was stopped first.
    Stopped(StopReason),
}

/// Judges runs, with what it needs to put them into words.
pub(crate) struct Judge<'j> {
    pub(crate) clock: &'j Clock,
    pub(crate) worker: &'j str,
}

impl Judge<'_> {
    /// What is to be said about a run, and what it counts as.
    pub(crate) async fn judge(
        &self,
        known: &Known<'_>,
        held: Held,
        run: Run,
        begun: Instant,
        queue: &Queue,
    ) -> (Word, Told) {
        match run {
            Run::Returned(Ok(result)) => {
                let outcome = with_result(self.outcome(Ending::Done, known.attempt, begun), result);
                (self.end(known, held, outcome), Told::Done)
            }
            Run::Returned(Err(error)) => self.failure(known, held, &error, begun),
            Run::Stopped(StopReason::Cancelled) => {
                // Boxed: what happens to few is not to be carried by all.
                let why = Box::pin(queue.cancel_reason(&held.id)).await.ok().flatten();
                let why = why.unwrap_or_else(|| "while it ran".to_owned());
                let outcome = self.outcome(Ending::Cancelled, known.attempt, begun).because(why);
                (self.end(known, held, outcome), Told::Cancelled)
            }
            Run::Stopped(StopReason::Shutdown) => (back(known, held), Told::Returned),
            Run::Stopped(StopReason::LeaseLost) => {
                metrics::leases_lost_total().increment(1);
                tracing::warn!("the lease could not be kept; the job was stopped and runs again");
                // An outage is not the job's fault. If nobody has taken it back yet, it goes back without a
                // stain; if somebody has, this is refused.
                (back(known, held), Told::Lost)
            }
        }
    }

    /// The word that ends a job with this outcome.
    #[expect(clippy::unused_self, reason = "it is the judge who ends a job")]
    pub(crate) fn end(&self, known: &Known<'_>, held: Held, outcome: Outcome) -> Word {
        finish(known, held, outcome)
    }

    fn failure(&self, known: &Known<'_>, held: Held, error: &JobError, begun: Instant) -> (Word, Told) {
        let attempts_max = known.envelope.attempts.unwrap_or(known.kind.policy.attempts_max);
        let spent = known.attempt >= attempts_max;
        let (delay, snooze) = match error.verdict {
            Verdict::Discard => {
                let outcome = self.outcome(Ending::Cancelled, known.attempt, begun);
                return (
                    self.end(known, held, outcome.because(format!("discarded: {error}"))),
                    Told::Cancelled,
                );
            }
            Verdict::Snooze(delay) => (delay, true),
            Verdict::Retry if !spent => {
                (known.kind.policy.pause_max(known.attempt).mul_f64(rand::random::<f64>()), false)
            }
            Verdict::RetryIn(delay) if !spent => (delay, false),
            Verdict::Bury => return self.bury(known, held, error, "", begun),
            Verdict::Retry | Verdict::RetryIn(_) => {
                return self.bury(known, held, error, " (no attempts left)", begun);
            }
        };
        if self.is_beyond(known.envelope.deadline, delay) {
            return self.bury(
                known,
                held,
                error,
                " (its deadline is over before it could be tried again)",
                begun,
            );
        }
        tracing::warn!(reason = %error, delay_ms = delay.as_millis(), "the job did not succeed and will be tried again");
        let now = self.clock.now().as_millisecond();
        let crashes = known.blame / QUARTERS_PER_CRASH;
        let reason: String = cut(error.to_string()).replace('\n', " ");
        let blamed = if crashes > 0 { format!(" [{crashes} crashes]") } else { String::new() };
        let (worker, took) = (self.worker, begun.elapsed().as_millis());
        let note = format!("{now} {} failed on {worker} after {took} ms{blamed}: {reason}", known.attempt);
        let word = Word::Retry(Retry { held, delay, snooze, note });
        (word, if snooze { Told::Snoozed } else { Told::Retried })
    }

    fn bury(
        &self,
        known: &Known<'_>,
        held: Held,
        error: &JobError,
        why: &str,
        begun: Instant,
    ) -> (Word, Told) {
        tracing::error!(reason = %error, "the job failed for good and is in the dead letter");
        let outcome = self.outcome(Ending::Dead, known.attempt, begun).because(format!("{error}{why}"));
        let (unique, next) = (known.envelope.unique.clone(), known.envelope.next.clone());
        let line = known.line(&outcome);
        (Word::Bury(Burial { held, unique, outcome, next, line }), Told::Dead)
    }

    fn is_beyond(&self, deadline: Option<i64>, delay: Duration) -> bool {
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        deadline
            .is_some_and(|deadline| self.clock.now().as_millisecond().saturating_add(delay_ms) >= deadline)
    }

    pub(crate) fn outcome(&self, ending: Ending, attempt: u32, begun: Instant) -> Outcome {
        let mut outcome = Outcome::new(ending, self.clock.now().as_millisecond());
        outcome.attempt = attempt;
        outcome.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.worker.clone_into(&mut outcome.worker);
        outcome
    }
}

fn back(known: &Known<'_>, held: Held) -> Word {
    let job = &known.envelope;
    // Each holder that is lost costs an attempt and leaves at least a quarter of blame.
    let lost = known.blame.min(known.attempt.saturating_sub(1));
    let (lane, share) = job.lane_after(lost.into());
    Word::HandBack(HandBack { held, lane, share })
}

/// The outcome with what the handler returned, if that is not too much to keep: the work is done either way.
fn with_result(mut outcome: Outcome, result: Value) -> Outcome {
    if result.is_null() {
        return outcome;
    }
    let bytes = serde_json::to_string(&result).map_or(0, |text| text.len());
    if bytes > RESULT_MAX {
        let kept = RESULT_MAX / 1024;
        return outcome.because(format!("its result of {bytes} bytes was not kept: at most {kept} KiB are"));
    }
    outcome.result = Some(result);
    outcome
}
