//! One job from claim to verdict: read it, run its handler within limits, judge what came of it, say so.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brasa_jobs::{Catalog, JobContext, JobError, JobResult, Kind, Reach, Reporter, ThisJob};
use brasa_shared::queue::{Burial, Ending, Envelope, Finish, HandBack, Held, Outcome, Queue};
use brasa_shared::seal::SealError;
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::spans::Errand;
use brasa_shared::trace::Trace;
use futures_util::FutureExt;
use serde_json::Value;
use tracing::Instrument;

use crate::announce::Announce;
use crate::gather::Gatherers;
use crate::job::Job;
use crate::judge::{Judge, Run};
use crate::leases::{Leases, StopReason, StopSign};
use crate::meters::{Meters, Told, UNREADABLE};
use crate::settle::{Said, Settler, Word};
use crate::traced::Traced;

/// How long a handler that was told to stop may take to do so by itself, where its lease leaves it that long.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// What dispatch works with.
pub(crate) struct Dispatch {
    pub(crate) catalog: Catalog,
    pub(crate) reach: Arc<Reach>,
    pub(crate) leases: Leases,
    pub(crate) settler: Settler,
    pub(crate) gatherers: Gatherers,
    pub(crate) meters: Arc<Meters>,
    pub(crate) announce: Announce,
    pub(crate) worker: String,
}

/// A job that could be read, of a kind that is known.
pub(crate) struct Known<'d> {
    pub(crate) envelope: Envelope,
    pub(crate) kind: &'d Kind,
    pub(crate) attempt: u32,
    pub(crate) blame: u32,
    /// Bytes of the envelope as it was handed out.
    pub(crate) bytes: usize,
    /// Where this attempt is in the producer's trace.
    pub(crate) trace: Option<Trace>,
    /// When it was handed out, ms since 1970.
    pub(crate) claimed_ms: i64,
    /// Where it came from.
    pub(crate) queue: &'d Queue,
}

impl Known<'_> {
    /// What the history is told of an end.
    pub(crate) fn line(&self, outcome: &Outcome) -> String {
        let started_ms = if outcome.ending == Ending::Expired { 0 } else { self.claimed_ms };
        self.queue.line_of(&self.envelope.id, Some(&self.envelope), started_ms, outcome)
    }
}

impl Dispatch {
    /// Takes one job through to its verdict. Never fails: whatever happens is a verdict too.
    pub(crate) async fn handle(self: Arc<Self>, job: Job) {
        let begun = Instant::now();
        if !job.watch.is_trusted() {
            job.watch.sign.raise(StopReason::LeaseLost);
        }
        self.announce.begin(&job);
        let (word, told, kind, outbox) = match Envelope::from_record(&job.claimed.id, &job.claimed.envelope) {
            Err(error) => self.park(&job, &error.to_string(), begun),
            Ok(mut envelope) => {
                let opened = job.queue.open_args(&mut envelope);
                match (self.catalog.get(&envelope.kind), opened) {
                    (None, _) => return_unknown(&job, &envelope),
                    (Some(kind), Err(error)) => self.refuse(&job, &envelope, kind.name, &error, begun),
                    (Some(kind), Ok(())) => self.run_known(kind, envelope, &job, begun).await,
                }
            }
        };
        let Job { queue, watch, slot, .. } = job;
        self.settler.say(Said { queue, word, told, kind, outbox, watch }).await;
        self.announce.end();
        // What can be claimed now is what can start now; the lease goes on until the word is accepted.
        drop(slot);
    }

    async fn run_known(
        &self,
        kind: &Kind,
        envelope: Envelope,
        job: &Job,
        begun: Instant,
    ) -> (Word, Told, &'static str, bool) {
        let (attempt, blame) = (job.claimed.attempt, job.claimed.blame);
        let mut traced = Traced::begin(&self.reach.spans, job, &envelope, &self.worker);
        let (bytes, trace) = (job.claimed.envelope.len(), traced.place);
        let (claimed_ms, queue) = (job.claimed.claimed_ms, &job.queue);
        let known = Known { envelope, kind, attempt, blame, bytes, trace, claimed_ms, queue };
        let span = span(&known, job);
        let running = self.run_and_judge(&known, job, begun, &mut traced);
        let (word, told) = running.instrument(span).await;
        traced.end(told);
        (word, told, kind.name, known.envelope.outbox)
    }

    fn park(&self, job: &Job, reason: &str, begun: Instant) -> (Word, Told, &'static str, bool) {
        tracing::error!(
            job.id = job.claimed.id,
            job.queue = job.queue.name(),
            reason,
            "parked an unreadable job"
        );
        let outcome = self.judge().outcome(Ending::Dead, job.claimed.attempt, begun).because(reason);
        let line = job.queue.line_of(&job.claimed.id, None, 0, &outcome);
        let burial = Burial { held: job.held(), unique: None, outcome, next: Vec::new(), line };
        (Word::Bury(burial), Told::Dead, UNREADABLE, false)
    }

    /// What is sealed and does not open, or is not sealed and has to be, is nobody's to run.
    fn refuse(
        &self,
        job: &Job,
        envelope: &Envelope,
        kind: &'static str,
        error: &SealError,
        begun: Instant,
    ) -> (Word, Told, &'static str, bool) {
        let (queue, help) = (job.queue.name(), error.help());
        tracing::error!(
            job.id = job.claimed.id,
            job.kind = kind,
            job.queue = queue,
            %error,
            help,
            "refused a job for its seal"
        );
        metrics::jobs_unopened_total(queue).increment(1);
        let reason = format!("not run: its arguments are {error}; {help}");
        let outcome = self.judge().outcome(Ending::Dead, job.claimed.attempt, begun).because(reason);
        let line = job.queue.line_of(&job.claimed.id, Some(envelope), 0, &outcome);
        let (unique, next) = (envelope.unique.clone(), envelope.next.clone());
        let burial = Burial { held: job.held(), unique, outcome, next, line };
        (Word::Bury(burial), Told::Dead, kind, envelope.outbox)
    }

    async fn run_and_judge(
        &self,
        known: &Known<'_>,
        job: &Job,
        begun: Instant,
        traced: &mut Traced,
    ) -> (Word, Told) {
        let judge = self.judge();
        let now = job.claimed.claimed_ms;
        if let Some(reason) = late(&known.envelope, now) {
            let outcome = judge.outcome(Ending::Expired, known.attempt, begun).because(reason);
            return (judge.end(known, job.held(), outcome), Told::Expired);
        }
        self.note_wait(known, &job.queue, now);
        let held = job.held();
        let this = ThisJob {
            id: held.id.clone(),
            kind: known.envelope.kind.clone(),
            attempt: known.attempt,
            fence: job.claimed.fence,
            nonce: held.nonce.to_string(),
            trace: known.trace,
        };
        let reporter = Reporter::of(job.queue.clone(), held.clone());
        let (reach, stop) = (Arc::clone(&self.reach), job.watch.sign.token.clone());
        let ctx = Arc::new(JobContext { job: this, reach, stop, reporter });
        let run = self.run(known, Arc::clone(&ctx), &job.watch.sign, now).await;
        self.meters.ran(known.kind.name, begun.elapsed());
        traced.note(&run);
        ctx.reporter.flush().await;
        judge.judge(known, held, run, begun, &job.queue).await
    }

    fn note_wait(&self, known: &Known<'_>, queue: &Queue, now: i64) {
        let Envelope { at, due, .. } = &known.envelope;
        let ready_ms = due.unwrap_or(0).max(*at);
        if known.attempt == 1 && ready_ms > 0 {
            let waited_ms = (now - ready_ms).max(0).unsigned_abs();
            self.meters.waited(queue.name(), Duration::from_millis(waited_ms));
        }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { clock: &self.reach.clock, worker: &self.worker }
    }

    /// Runs a handler within its time limit. A panic is a failure like any other.
    async fn run(&self, known: &Known<'_>, ctx: Arc<JobContext>, sign: &StopSign, now: i64) -> Run {
        if let Some(reason) = sign.reason() {
            // Told to stop before it began: then it does not begin.
            return Run::Stopped(reason);
        }
        let (limit, errand) = (limit(known, now), self.errand(known));
        let payload = known.envelope.args.get().to_owned();
        let work = self.gatherers.run(&self.catalog, known.kind, payload, ctx);
        let work = async move {
            match errand {
                // Boxed: what happens to few is not to be carried by all.
                Some(errand) => Box::pin(errand.around(work)).await,
                None => work.await,
            }
        };
        let handler = AssertUnwindSafe(work).catch_unwind();
        let limited = async {
            match tokio::time::timeout(limit, handler).await {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => Err(panicked(panic.as_ref())),
                Err(_) => {
                    Err(JobError::retry(format!("the handler took longer than {limit:?} and was stopped")))
                }
            }
        };
        let grace = self.leases.margin().min(STOP_GRACE);
        let stopped = async {
            sign.token.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        let ended: Option<JobResult<Value>> = tokio::select! {
            biased;
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
}

impl Dispatch {
    /// What those are told who work for the job; nothing where nobody would ask.
    fn errand(&self, known: &Known<'_>) -> Option<Errand> {
        let is_told = self.reach.config.telemetry.sql_comments;
        let told = is_told.then(|| (known.envelope.id.clone(), known.envelope.kind.clone()));
        let is_asked = known.trace.is_some() || told.is_some();
        is_asked.then(|| Errand { place: known.trace, spans: self.reach.spans.clone(), told })
    }
}

fn span(known: &Known<'_>, job: &Job) -> tracing::Span {
    tracing::info_span!(
        "job",
        job.id = job.claimed.id,
        job.kind = known.envelope.kind,
        job.attempt = known.attempt,
        job.queue = job.queue.name(),
        trace_id = known.trace.map(|trace| trace.trace_id()),
        span_id = known.trace.map(|trace| trace.span_id())
    )
}

/// A job of a kind that this build does not know got here, for it was enqueued anew under an id that another
/// lane still had: back to where it belongs.
fn return_unknown(job: &Job, envelope: &Envelope) -> (Word, Told, &'static str, bool) {
    let back = HandBack { held: job.held(), lane: envelope.lane(), share: envelope.share.clone() };
    (Word::HandBack(back), Told::Returned, UNREADABLE, false)
}

/// Why a job is not to begin any more.
fn late(envelope: &Envelope, now: i64) -> Option<&'static str> {
    if envelope.expires.is_some_and(|expires| expires < now) {
        return Some("it was not to start so late");
    }
    envelope
        .deadline
        .is_some_and(|deadline| deadline <= now)
        .then_some("its deadline was over before it could start")
}

/// How long a run may take.
fn limit(known: &Known<'_>, now: i64) -> Duration {
    let limit = known.envelope.timeout_ms.map_or(known.kind.policy.timeout, Duration::from_millis);
    let left =
        known.envelope.deadline.map(|deadline| Duration::from_millis((deadline - now).max(0).unsigned_abs()));
    left.map_or(limit, |left| limit.min(left))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> JobError {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    JobError::retry(format!(
        "the handler panicked: {}",
        text.unwrap_or_else(|| "without a message".to_owned())
    ))
}

/// The word that ends a job.
pub(crate) fn finish(known: &Known<'_>, held: Held, outcome: Outcome) -> Word {
    let job = &known.envelope;
    // The lock of a window lives as long as its job is known.
    let keep_ms = match (job.keep_ms, job.unique_for_ms) {
        (keep, None) => keep,
        (keep, Some(window)) => Some(keep.unwrap_or(0).max(window)),
    };
    Word::Finish(Finish {
        held,
        unique: job.unique.clone(),
        keep_ms,
        envelope_bytes: known.bytes,
        next: job.next.clone(),
        line: known.line(&outcome),
        outcome,
    })
}
