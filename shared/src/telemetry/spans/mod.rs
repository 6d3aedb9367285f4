//! Spans: what was done at a place in a trace, and for how long, on their way to a collector.
//!
//! Whoever does something begins one and ends it. That costs nothing where nobody collects, and where the trace is not
//! wanted. What has ended waits in a line of bounded length for whoever sends it; where the line is full, spans go and are
//! counted, and nobody waits.

mod encode;
mod errand;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::telemetry::metrics;
use crate::trace::Trace;

pub use encode::encode;
pub use errand::{Errand, begin_below, comment_of, place};

/// How many spans may wait to be sent: some megabytes.
const WAITING_MAX: usize = 4_096;
/// How much is told of a failure, in characters.
const FAILURE_MAX: usize = 1_000;

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Something of somebody else is called, and waited for.
    Client,
    /// Something is put where others take it.
    Producer,
    /// Something is taken from there, and worked on.
    Consumer,
}

/// What is noted at a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its place.
    pub place: Trace,
    /// The place above it, in the same trace.
    pub parent: Option<Trace>,
    /// What it is of.
    pub kind: SpanKind,
    /// What was done, for people.
    pub name: String,
    /// When it began and ended, in ns since 1970.
    pub between_ns: (u64, u64),
    /// What is noted, by the names of OpenTelemetry's conventions.
    pub notes: Vec<(&'static str, Value)>,
    /// Why it failed; none where it did not.
    pub failure: Option<String>,
}

/// Where spans are begun. Copies are the same; the default one begins none.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Line>>);

#[derive(Debug)]
struct Line {
    waiting: mpsc::Sender<Span>,
    /// Which share of the traces that begin here is wanted, from 0 to 1.
    sample: f64,
    clock: Clock,
}

impl Spans {
    /// Begins spans that wait in the second one to be sent. Of the traces that begin here, the share `sample` (0 to 1) is
    /// wanted; of others, those of which whoever began them says so.
    pub fn open(sample: f64, clock: Clock) -> (Self, mpsc::Receiver<Span>) {
        let (waiting, sent) = mpsc::channel(WAITING_MAX);
        for verdict in ["sent", "dropped"] {
            metrics::trace_spans_total(verdict).increment(0);
        }
        (Self(Some(Arc::new(Line { waiting, sample, clock }))), sent)
    }

    /// Whether anybody collects.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// The first place of a trace of our own, the same one for the same seed; none where nobody collects.
    pub fn root(&self, seed: &str) -> Option<Trace> {
        self.0.as_ref().map(|line| Trace::root(seed, line.sample))
    }

    /// Begins a span; none where nobody wants it.
    pub fn begin(&self, kind: SpanKind, name: &str, place: Trace, parent: Option<Trace>) -> Option<Open> {
        let line = self.0.as_ref().filter(|_| place.is_sampled())?;
        let name = name.to_owned();
        let span = Span { place, parent, kind, name, between_ns: (0, 0), notes: Vec::new(), failure: None };
        Some(Open { began_ns: now_ns(&line.clock), span, begun: Instant::now(), line: Arc::clone(line) })
    }
}

/// A span that has begun. One that is dropped is not told of.
#[derive(Debug)]
pub struct Open {
    span: Span,
    began_ns: u64,
    begun: Instant,
    line: Arc<Line>,
}

impl Open {
    /// Its place.
    pub fn place(&self) -> Trace {
        self.span.place
    }

    /// Notes something, by a name of OpenTelemetry's conventions.
    pub fn note(&mut self, name: &'static str, value: impl Into<Value>) {
        self.span.notes.push((name, value.into()));
    }

    /// Ends it now; with a reason where what it is of failed.
    pub fn end(mut self, failure: Option<&str>) {
        let took_ns = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.span.failure = failure.map(|why| why.chars().take(FAILURE_MAX).collect());
        let between_ns = (self.began_ns, self.began_ns.saturating_add(took_ns));
        self.push(between_ns);
    }

    /// It was an instant, so many ms since 1970.
    pub fn was_at(self, at_ms: i64) {
        let instant_ns = at_ms.max(0).unsigned_abs().saturating_mul(1_000_000);
        self.push((instant_ns, instant_ns));
    }

    fn push(mut self, between_ns: (u64, u64)) {
        self.span.between_ns = between_ns;
        if self.line.waiting.try_send(self.span).is_err() {
            metrics::trace_spans_total("dropped").increment(1);
        }
    }
}

fn now_ns(clock: &Clock) -> u64 {
    u64::try_from(clock.now().as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_where_the_line_is_full_and_nothing_begins_where_nobody_wants_it() {
        let (spans, mut waiting) = Spans::open(1.0, Clock::System);
        let place = spans.root("seed").unwrap();
        for _ in 0..WAITING_MAX + 10 {
            spans.begin(SpanKind::Client, "call", place.below(), Some(place)).unwrap().end(Some("no"));
        }
        let mut arrived = 0;
        while let Ok(span) = waiting.try_recv() {
            assert_eq!((span.parent, span.failure.as_deref()), (Some(place), Some("no")));
            arrived += 1;
        }
        assert_eq!(arrived, WAITING_MAX);
        let unwanted = Trace::root("seed", 0.0);
        assert!(spans.begin(SpanKind::Client, "call", unwanted, None).is_none());
        assert!(Spans::default().begin(SpanKind::Client, "call", place, None).is_none());
        assert_eq!(Spans::default().root("seed"), None);
    }
}
