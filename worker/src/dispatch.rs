//! One job from claim to verdict: read it, watch its lease, run its handler within limits, say what became
//! of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brasa_jobs::{Catalog, JobContext, JobError, JobResult, Kind, Reach, ThisJob, Verdict};
use brasa_shared::queue::outcome::cut;
use brasa_shared::queue::{
    Burial, Ending, Envelope, Finish, HandBack, Held, Outcome, QUARTERS_PER_CRASH, Queue, Retry, Settled,
};
use brasa_shared::telemetry::metrics;
use futures_util::FutureExt;
use serde_json::Value;
use tracing::Instrument;

use crate::claim::Job;
use crate::leases::{Leases, StopReason, StopSign};
use crate::outbox::Outbox;
use crate::run::Tally;
use crate::settle::{Settler, Word};

/// How long a handler that was told to stop may take to do so by itself, where its lease leaves it that long.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// What dispatch works with.
pub(crate) struct Dispatch {
    pub(crate) catalog: Catalog,
    pub(crate) reach: Arc<Reach>,
    pub(crate) leases: Leases,
    pub(crate) settler: Settler,
    pub(crate) outbox: Outbox,
    pub(crate) worker: String,
    pub(crate) done: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// How one run of a handler ended.
enum Run {
    /// It returned.
    Returned(JobResult<Value>),
    /// It was stopped first.
    Stopped(StopReason),
}

/// A job that could be read, of a kind that is known.
struct Known<'d> {
    envelope: Envelope,
    kind: &'d Kind,
    attempt: u32,
    blame: u32,
}

impl Dispatch {
    /// Takes one job through to its verdict. Never fails: whatever happens is a verdict too.
    pub(crate) async fn handle(self: Arc<Self>, job: Job) {
        let Job { claimed, queue, held, watch, sign, slot } = job;
        metrics::jobs_running().set(running(&self.leases));
        let begun = Instant::now();
        if !watch.is_trusted() {
            sign.raise(StopReason::LeaseLost);
        }
        match self.read(&claimed.envelope, claimed.attempt, claimed.blame) {
            Ok(known) => {
                let span = tracing::info_span!(
                    "job",
                    job.id = claimed.id,
                    job.kind = known.envelope.kind,
                    job.attempt = claimed.attempt,
                    job.queue = queue.name()
                );
                self.run_and_settle(&known, &queue, held, claimed.fence, sign, begun).instrument(span).await;
            }
            Err(reason) => {
                tracing::error!(
                    job.id = claimed.id,
                    job.queue = queue.name(),
                    reason,
                    "parked an unreadable job"
                );
                let outcome = self.outcome(Ending::Dead, claimed.attempt, begun).because(reason);
                let word = Word::Bury(Burial { held, unique: None, outcome });
                self.say(&queue, None, "dead", word).await;
            }
        }
        drop(watch);
        metrics::jobs_running().set(running(&self.leases));
        drop(slot);
    }

    /// What has been done so far.
    pub(crate) fn tally(&self) -> Tally {
        Tally { done: self.done.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) }
    }

    fn read(&self, wire: &[u8], attempt: u32, blame: u32) -> Result<Known<'_>, String> {
        let envelope = Envelope::from_wire(wire).map_err(|error| error.to_string())?;
        let kind = self.catalog.get(&envelope.kind);
        let kind = kind.ok_or_else(|| format!("this worker does not know the kind `{}`", envelope.kind))?;
        Ok(Known { envelope, kind, attempt, blame })
    }

    async fn run_and_settle(
        &self,
        known: &Known<'_>,
        queue: &Queue,
        held: Held,
        fence: i64,
        sign: StopSign,
        begun: Instant,
    ) {
        let Envelope { kind, at, due, .. } = &known.envelope;
        let ready_ms = due.unwrap_or(0).max(*at);
        let waited_ms = (queue.clock().now().as_millisecond() - ready_ms).max(0);
        if known.attempt == 1 && ready_ms > 0 {
            metrics::job_wait_seconds(queue.name()).record(Duration::from_millis(waited_ms.unsigned_abs()));
        }
        let job = ThisJob {
            id: held.id.clone(),
            kind: kind.clone(),
            attempt: known.attempt,
            fence,
            nonce: held.nonce.clone(),
        };
        let ctx = Arc::new(JobContext { job, reach: Arc::clone(&self.reach), stop: sign.token.clone() });
        let run = run(known, ctx, &sign, self.leases.margin().min(STOP_GRACE)).await;
        metrics::job_duration_seconds(known.kind.name).record(begun.elapsed());
        let (word, verdict) = self.judge(known, held, run, begun, queue).await;
        self.say(queue, Some(known), verdict, word).await;
    }

    /// What is to be said about a run, and what it counts as.
    async fn judge(
        &self,
        known: &Known<'_>,
        held: Held,
        run: Run,
        begun: Instant,
        queue: &Queue,
    ) -> (Word, &'static str) {
        let unique = known.envelope.unique.clone();
        let keep_ms = known.envelope.keep_ms;
        let finish =
            |outcome| Word::Finish(Finish { held: held.clone(), unique: unique.clone(), keep_ms, outcome });
        match run {
            Run::Returned(Ok(result)) => {
                let mut outcome = self.outcome(Ending::Done, known.attempt, begun);
                outcome.result = (!result.is_null()).then_some(result);
                (finish(outcome), "done")
            }
            Run::Returned(Err(error)) => self.judge_failure(known, &held, &error, begun),
            Run::Stopped(StopReason::Cancelled) => {
                let why = queue.cancel_reason(&held.id).await.ok().flatten();
                let why = why.unwrap_or_else(|| "while it ran".to_owned());
                (finish(self.outcome(Ending::Cancelled, known.attempt, begun).because(why)), "cancelled")
            }
            Run::Stopped(StopReason::Shutdown) => {
                let class = known.envelope.class();
                (Word::HandBack(HandBack { held, class }), "returned")
            }
            Run::Stopped(StopReason::LeaseLost) => {
                metrics::leases_lost_total().increment(1);
                tracing::warn!("the lease could not be kept; the job was stopped and runs again");
                // An outage is not the job's fault. If nobody has taken it back yet, it goes back without a
                // stain; if somebody has, this is refused.
                let class = known.envelope.class();
                (Word::HandBack(HandBack { held, class }), "lost")
            }
        }
    }

    fn judge_failure(
        &self,
        known: &Known<'_>,
        held: &Held,
        error: &JobError,
        begun: Instant,
    ) -> (Word, &'static str) {
        let attempts_max = known.envelope.attempts.unwrap_or(known.kind.policy.attempts_max);
        let spent = known.attempt >= attempts_max;
        let policy = &known.kind.policy;
        let (delay, snooze) = match error.verdict {
            Verdict::Snooze(delay) => (delay, true),
            Verdict::Discard => {
                let outcome = self.outcome(Ending::Cancelled, known.attempt, begun);
                let outcome = outcome.because(format!("discarded: {error}"));
                let (unique, keep_ms) = (known.envelope.unique.clone(), known.envelope.keep_ms);
                return (Word::Finish(Finish { held: held.clone(), unique, keep_ms, outcome }), "cancelled");
            }
            Verdict::Retry if !spent => {
                (policy.pause_max(known.attempt).mul_f64(rand::random::<f64>()), false)
            }
            Verdict::RetryIn(delay) if !spent => (delay, false),
            Verdict::Bury | Verdict::Retry | Verdict::RetryIn(_) => {
                tracing::error!(reason = %error, "the job failed for good and is in the dead letter");
                let spent = if error.verdict == Verdict::Bury { "" } else { " (no attempts left)" };
                let reason = format!("{error}{spent}");
                let outcome = self.outcome(Ending::Dead, known.attempt, begun).because(reason);
                let unique = known.envelope.unique.clone();
                return (Word::Bury(Burial { held: held.clone(), unique, outcome }), "dead");
            }
        };
        tracing::warn!(reason = %error, delay_ms = delay.as_millis(), "the job did not succeed and will be tried again");
        let now = self.reach.clock.now().as_millisecond();
        let crashes = known.blame / QUARTERS_PER_CRASH;
        let reason: String = cut(error.to_string()).replace('\n', " ");
        let blamed = if crashes > 0 { format!(" [{crashes} crashes]") } else { String::new() };
        let note = format!("{now} {} failed{blamed} {reason}", known.attempt);
        let word = Word::Retry(Retry { held: held.clone(), delay, snooze, note });
        (word, if snooze { "snoozed" } else { "retried" })
    }

    fn outcome(&self, ending: Ending, attempt: u32, begun: Instant) -> Outcome {
        let mut outcome = Outcome::new(ending, self.reach.clock.now().as_millisecond());
        outcome.attempt = attempt;
        outcome.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        outcome.worker.clone_from(&self.worker);
        outcome
    }

    async fn say(&self, queue: &Queue, known: Option<&Known<'_>>, verdict: &'static str, word: Word) {
        let kind = known.map_or("unreadable", |known| known.kind.name);
        let mut verdict = verdict;
        let mut answer = self.settler.say(queue, word.clone()).await;
        if answer == Some(Settled::CancelFirst)
            && let Word::Retry(Retry { held, .. }) | Word::HandBack(HandBack { held, .. }) = word
        {
            verdict = "cancelled";
            let outcome = Outcome::new(Ending::Cancelled, self.reach.clock.now().as_millisecond());
            let outcome = outcome.because("cancelled before it could run again");
            let envelope = known.map(|known| &known.envelope);
            let unique = envelope.and_then(|envelope| envelope.unique.clone());
            let keep_ms = envelope.and_then(|envelope| envelope.keep_ms);
            let finish = Finish { held, unique, keep_ms, outcome };
            answer = self.settler.say(queue, Word::Finish(finish)).await;
        }
        if answer != Some(Settled::Accepted) {
            verdict = "lost";
            tracing::warn!(
                job.queue = queue.name(),
                "the outcome of a job was not accepted; it runs again elsewhere"
            );
        }
        self.outbox.notice(known.map(|known| &known.envelope), verdict);
        match verdict {
            "done" => self.done.fetch_add(1, Ordering::Relaxed),
            "dead" | "retried" => self.failed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        metrics::jobs_finished_total(kind, verdict).increment(1);
    }
}

/// Runs a handler within its time limit. A panic is a failure like any other.
async fn run(known: &Known<'_>, ctx: Arc<JobContext>, sign: &StopSign, stop_grace: Duration) -> Run {
    let limit = known.envelope.timeout_ms.map_or(known.kind.policy.timeout, Duration::from_millis);
    let payload = known.envelope.args.get().to_owned();
    let handler = AssertUnwindSafe((known.kind.run)(payload, ctx)).catch_unwind();
    let limited = async {
        match tokio::time::timeout(limit, handler).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => {
                Err(JobError::retry(format!("the handler panicked: {}", words(panic.as_ref()))))
            }
            Err(_) => Err(JobError::retry(format!("the handler took longer than {limit:?} and was stopped"))),
        }
    };
    let stopped = async {
        sign.token.cancelled().await;
        tokio::time::sleep(stop_grace).await;
    };
    if let Some(reason) = sign.reason() {
        // Told to stop before it began: then it does not begin.
        return Run::Stopped(reason);
    }
    let ended = tokio::select! {
        result = limited => Some(result),
        () = stopped => None,
    };
    match (ended, sign.reason()) {
        // It came through although it was told to stop: that is its result, if the claim still stands.
        (Some(Ok(result)), _) => Run::Returned(Ok(result)),
        (Some(Err(error)), None) => Run::Returned(Err(error)),
        (_, reason) => Run::Stopped(reason.unwrap_or(StopReason::Shutdown)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of running jobs")]
fn running(leases: &Leases) -> f64 {
    leases.len() as f64
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
