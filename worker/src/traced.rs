//! Where an attempt is in a trace, and the span that is told of it.
//!
//! The names of what is noted are those of OpenTelemetry's conventions for messages; what they have no name for begins
//! with `brasa.`.

use brasa_shared::queue::Envelope;
use brasa_shared::telemetry::spans::{Open, SpanKind, Spans};
use brasa_shared::trace::Trace;

use crate::job::Job;
use crate::judge::Run;
use crate::leases::StopReason;
use crate::meters::Told;

/// An attempt in a trace, or in none.
pub(crate) struct Traced {
    /// Its place.
    pub(crate) place: Option<Trace>,
    span: Option<Open>,
    /// Why it failed, once it has.
    failure: Option<String>,
}

impl Traced {
    /// Below who enqueued it, where that said where it is. Else in a trace of its own, where somebody collects traces.
    pub(crate) fn begin(spans: &Spans, job: &Job, envelope: &Envelope, worker: &str) -> Self {
        // What is no trace is nobody's trouble but the producer's.
        let given = envelope.trace.as_deref().and_then(|text| text.parse::<Trace>().ok());
        let parent = given.or_else(|| enqueued(spans, job, envelope));
        let place = parent.map(Trace::below);
        let wanted = place.filter(|place| spans.is_open() && place.is_sampled());
        let begin =
            |place| spans.begin(SpanKind::Consumer, &format!("process {}", envelope.kind), place, parent);
        let mut span = wanted.and_then(begin);
        if let Some(span) = &mut span {
            span.note("messaging.operation.name", "process");
            span.note("messaging.operation.type", "process");
            span.note("messaging.client.id", worker);
            span.note("messaging.message.envelope.size", job.claimed.envelope.len());
            span.note("brasa.job.attempt", job.claimed.attempt);
            if let Some(schedule) = &envelope.schedule {
                span.note("brasa.job.schedule", schedule.as_str());
            }
            describe(span, job, envelope);
        }
        Self { place, span, failure: None }
    }

    /// Notes why a run failed, as it is logged; what only comes back later has not failed.
    pub(crate) fn note(&mut self, run: &Run) {
        if self.span.is_none() {
            return;
        }
        self.failure = match run {
            Run::Returned(Err(error)) => Some(error.to_string()),
            Run::Stopped(StopReason::LeaseLost) => Some("the lease could not be kept".to_owned()),
            Run::Returned(Ok(_)) | Run::Stopped(StopReason::Cancelled | StopReason::Shutdown) => None,
        };
    }

    /// Ends it with what became of it.
    pub(crate) fn end(self, told: Told) {
        let Some(mut span) = self.span else { return };
        let has_failed = matches!(told, Told::Retried | Told::Dead | Told::Lost);
        span.note("brasa.job.verdict", told.name());
        if has_failed {
            span.note("error.type", told.name());
        }
        let failure = if has_failed { Some(self.failure.as_deref().unwrap_or_default()) } else { None };
        span.end(failure);
    }
}

/// The place of a job that came without one, in a trace of its own which is the same for all of its attempts. The first
/// one tells when it was enqueued, so that they have something above them.
fn enqueued(spans: &Spans, job: &Job, envelope: &Envelope) -> Option<Trace> {
    if !spans.is_open() {
        return None;
    }
    // An id may come again once it is forgotten, and is another job then.
    let place = spans.root(&format!("{}\n{}\n{}", job.queue.name(), job.claimed.id, envelope.at))?;
    let is_first = job.claimed.attempt == 1 && envelope.at > 0;
    if is_first
        && let Some(mut span) =
            spans.begin(SpanKind::Producer, &format!("send {}", envelope.kind), place, None)
    {
        span.note("messaging.operation.name", "send");
        span.note("messaging.operation.type", "send");
        describe(&mut span, job, envelope);
        span.was_at(envelope.at);
    }
    Some(place)
}

fn describe(span: &mut Open, job: &Job, envelope: &Envelope) {
    span.note("messaging.system", "brasa");
    span.note("messaging.destination.name", job.queue.name());
    span.note("messaging.message.id", job.claimed.id.as_str());
    span.note("brasa.job.kind", envelope.kind.as_str());
}
