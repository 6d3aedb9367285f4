//! A job as programs write it, and what becomes of that in its envelope.

use axum::http::{HeaderMap, StatusCode};
use brasa_shared::queue::{Envelope, OnConflict, UniqueUntil};
use brasa_shared::trace::{NoTrace, Trace};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::parts::Span;
use crate::error::Refused;

/// The most attempts that may be asked for.
const ATTEMPTS_MAX: u32 = 100;
/// The header that is the id where none is given.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that says where in a trace whoever asks is.
const TRACEPARENT: &str = "traceparent";

/// A job to be enqueued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewJob {
    /// What is to be done; see `brasa kinds`.
    #[schema(min_length = 1, example = "sql.run")]
    pub(super) kind: String,
    /// Its arguments, handed on byte by byte.
    #[serde(default = "nothing")]
    #[schema(value_type = Object, example = json!({ "name": "tick" }))]
    pub(super) args: Box<RawValue>,
    /// The version of the arguments; the newest where nothing is said.
    #[schema(minimum = 1)]
    pub(super) version: Option<u32>,
    /// The queue, instead of the kind's own; one of the configuration.
    pub(super) queue: Option<String>,
    /// Its id, printable ASCII without spaces. To enqueue an id twice is to enqueue it once.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub(super) id: Option<String>,
    /// Start it this much later.
    delay: Option<Span>,
    /// Start it at this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    due: Option<Timestamp>,
    /// How urgent it is.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9)]
    priority: u8,
    /// How many attempts, instead of the kind's own number.
    #[schema(minimum = 1, maximum = 100)]
    attempts: Option<u32>,
    /// How long one attempt may run, instead of the kind's own limit.
    timeout: Option<Span>,
    /// Do not start it later than this from now.
    expires: Option<Span>,
    /// Be done with it this long from now, retries included.
    deadline: Option<Span>,
    /// How long its outcome is kept once it is done, instead of the queue's own time.
    keep: Option<Span>,
    /// Take turns with the jobs of other keys, such as one key per customer.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    share: Option<String>,
    /// Enqueue nothing while another open job of the queue has this key.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    unique: Option<String>,
    /// When the key is free again; once the job has ended where nothing is said.
    unique_until: Option<Until>,
    /// Keep the key for this long from now, even if the job ends earlier.
    unique_for: Option<Span>,
    /// What to do where another job has the key and has not started; nothing where nothing is said.
    on_conflict: Option<Conflict>,
    /// Start it when no other with its key has come for this long; the last one's arguments count.
    debounce: Option<Span>,
    /// With `debounce`: start it after this long at the latest.
    debounce_max: Option<Span>,
    /// Where in a trace it is enqueued, as W3C writes it; the header of that name where nothing is said.
    #[schema(
        pattern = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    )]
    traceparent: Option<String>,
}

/// When a unique key is free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum Until {
    /// When the job has ended.
    Finished,
    /// When it starts.
    Started,
}

/// What becomes of a job whose unique key another has that has not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum Conflict {
    /// The other one is left alone.
    Keep,
    /// It takes the other one's place: with these arguments, at this time.
    Replace,
    /// It puts the other one off to this time, with its own arguments.
    Extend,
}

fn read_trace(text: &str) -> Result<String, Refused> {
    let bad = |error: NoTrace| {
        Refused::bad(
            format!("`traceparent`: {error}"),
            "send it as your tracing library writes it, or leave it out",
        )
    };
    text.parse::<Trace>().map(|trace| trace.to_string()).map_err(bad)
}

fn nothing() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}

/// The id that the header gives, where no other is given.
pub(super) fn id_of(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let bad =
        || Refused::bad("`Idempotency-Key` cannot be an id", "write 1 to 128 printable ASCII characters");
    let text = key.to_str().map_err(|_| bad())?.trim();
    // Where it is written as the draft of that header wants it, it stands in quotes.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    brasa_shared::queue::envelope::check_id(text).map_err(|_| bad())?;
    if keys.next().is_some() {
        return Err(Refused::bad("`Idempotency-Key` stands there twice", "send it once"));
    }
    Ok(Some(text.to_owned()))
}

/// Where in a trace whoever asks is. What cannot be read is nobody's trouble but theirs, as W3C wants it.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    let mut traces = headers.get_all(TRACEPARENT).iter();
    let trace = traces.next()?.to_str().ok()?.parse().ok()?;
    traces.next().is_none().then_some(trace)
}

impl NewJob {
    /// The same, enqueued at this place in a trace unless it names another.
    pub(super) fn at(mut self, by_header: Option<Trace>) -> Self {
        self.traceparent = self.traceparent.or_else(|| by_header.map(|trace| trace.to_string()));
        self
    }

    /// The id, from where it or the header says it.
    pub(super) fn named(mut self, by_header: Option<String>) -> Result<Self, Refused> {
        match (&self.id, by_header) {
            (Some(id), Some(header)) if *id != header => {
                let message = "`id` and `Idempotency-Key` differ";
                Err(Refused::new(StatusCode::BAD_REQUEST, message, "send one of them"))
            }
            (None, by_header) => {
                self.id = by_header;
                Ok(self)
            }
            _ => Ok(self),
        }
    }

    /// Its envelope, of that kind and that version of its arguments.
    pub(super) fn seal(self, kind: &str, version: u32, now: Timestamp) -> Result<Envelope, Refused> {
        self.check()?;
        let later = |name: &str, after: Option<Span>| match after {
            None => Ok(None),
            Some(Span(after)) => match now.saturating_add(after) {
                Ok(at) => Ok(Some(at.as_millisecond())),
                Err(error) => Err(Refused::bad(format!("`{name}`: {error}"), "")),
            },
        };
        let bad = |error: brasa_shared::queue::EnvelopeError| Refused::bad(error.to_string(), "");
        let mut job = Envelope::new(kind, &serde_json::json!({}), now).map_err(bad)?;
        job.due = self.due.map(Timestamp::as_millisecond).or(later("delay", self.debounce.or(self.delay))?);
        job.expires = later("expires", self.expires)?;
        job.deadline = later("deadline", self.deadline)?;
        (job.args, job.kv) = (self.args, version);
        (job.priority, job.attempts) = (self.priority, self.attempts);
        (job.timeout_ms, job.keep_ms) = (self.timeout.map(Span::ms), self.keep.map(Span::ms));
        (job.share, job.unique) = (self.share, self.unique);
        job.unique_for_ms = self.unique_for.map(Span::ms);
        job.unique_until = match self.unique_until {
            None | Some(Until::Finished) => UniqueUntil::Finished,
            Some(Until::Started) => UniqueUntil::Started,
        };
        job.on_conflict = match self.on_conflict {
            _ if self.debounce.is_some() => OnConflict::Replace,
            None | Some(Conflict::Keep) => OnConflict::Keep,
            Some(Conflict::Replace) => OnConflict::Replace,
            Some(Conflict::Extend) => OnConflict::Extend,
        };
        job.latest_ms = self.debounce_max.map(Span::ms);
        job.trace = self.traceparent.map(|text| read_trace(&text)).transpose()?;
        if let Some(id) = self.id {
            job.id = id;
        }
        job.to_wire().map_err(bad)?;
        Ok(job)
    }

    /// What contradicts itself, or makes no sense by itself.
    fn check(&self) -> Result<(), Refused> {
        let has = |what: bool, name: &'static str| what.then_some(name);
        let when = [
            has(self.delay.is_some(), "delay"),
            has(self.due.is_some(), "due"),
            has(self.debounce.is_some(), "debounce"),
        ];
        let both =
            |one: &str, other: &str| Err(Refused::bad(format!("`{one}` and `{other}` contradict"), ""));
        if let [one, other, ..] = when.into_iter().flatten().collect::<Vec<_>>().as_slice() {
            return both(one, other);
        }
        if self.debounce.is_some() && self.on_conflict.is_some() {
            return both("debounce", "on_conflict");
        }
        if self.unique_for.is_some() && self.unique_until.is_some() {
            return both("unique_for", "unique_until");
        }
        let needs_key = [
            has(self.unique_until.is_some(), "unique_until"),
            has(self.unique_for.is_some(), "unique_for"),
            has(self.on_conflict.is_some(), "on_conflict"),
            has(self.debounce.is_some(), "debounce"),
        ];
        if let Some(name) = needs_key.into_iter().flatten().next().filter(|_| self.unique.is_none()) {
            return Err(Refused::bad(format!("`{name}` says nothing without `unique`"), "name the key"));
        }
        if self.debounce_max.is_some() && self.debounce.is_none() {
            return Err(Refused::bad("`debounce_max` says nothing without `debounce`", ""));
        }
        if self.attempts.is_some_and(|attempts| attempts > ATTEMPTS_MAX) {
            return Err(Refused::bad(format!("`attempts` is 1 to {ATTEMPTS_MAX}"), ""));
        }
        Ok(())
    }
}
