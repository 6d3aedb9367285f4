//! What ended, on its way out of Redis: told by the scripts that end jobs, read by who writes it down.
//!
//! The words that workers say about jobs carry a line for each (`d` in `lua/parts/history.lua`), so that what ended and
//! what is told of it come true in one step, at no round trip more. Scripts that end jobs by themselves tell what they
//! have at hand. Nobody waits for whoever writes it down, and where he stays away for long the oldest goes.

use std::borrow::Cow;
use std::time::Duration;

use redis::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::place::Place;
use crate::queue::envelope::Envelope;
use crate::queue::outcome::{Ending, Outcome};
use crate::queue::scripts::{HISTORIAN, WRITTEN};
use crate::queue::view::ClaimText;
use crate::queue::{Queue, QueueError};
use crate::seal::{Sealed, What};

/// The largest result, and the largest arguments, that are kept in the history, in bytes of JSON.
pub const VALUE_MAX: usize = 4 * 1024;
/// How many entries are read or taken away by one call at most.
pub const ENTRIES_MAX: usize = 512;
/// How long it is told what ended, after the last one has gone who writes it down.
const WANTED_FOR: Duration = Duration::from_hours(7 * 24);

/// What of ended jobs is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    /// Their arguments, too.
    pub args: bool,
    /// Kinds of which nothing is told.
    pub leave_out: Vec<String>,
}

/// A job that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Its kind; empty where it could not be read.
    pub kind: String,
    /// How.
    pub ending: Ending,
    /// When it was enqueued, ms since 1970; 0 where nobody knows.
    pub enqueued_ms: i64,
    /// When it was handed out last, ms since 1970; 0 where it never ran.
    pub started_ms: i64,
    /// When it ended, ms since 1970.
    pub ended_ms: i64,
    /// How long the last attempt ran, ms.
    pub took_ms: u64,
    /// The attempt that decided it.
    pub attempt: u32,
    /// Who ran it last; empty where nobody did.
    pub worker: String,
    /// The schedule that fired it.
    pub schedule: Option<String>,
    /// Its share key.
    pub share: Option<String>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// What it returned, JSON.
    pub result: Option<String>,
    /// What it was given, JSON.
    pub args: Option<String>,
    /// The trace of whoever enqueued it.
    pub trace: Option<String>,
}

/// An entry of what waits to be written down.
#[derive(Debug, Clone)]
pub struct Waiting {
    place: String,
    /// How many bytes it counts for.
    pub bytes: u64,
    /// The jobs that it is about.
    pub ended: Vec<Ended>,
    /// How many more there were, that cannot be read.
    pub unreadable: u64,
}

/// A job as it stands in a line.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    i: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    k: Cow<'a, str>,
    e: Ending,
    q: i64,
    s: i64,
    t: i64,
    m: u64,
    n: u32,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    w: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    h: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    g: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    r: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<Box<RawValue>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    c: Option<Cow<'a, str>>,
    /// `v` and `a` where they are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sv: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sa: Option<Sealed>,
}

impl Queue {
    /// The same queue where it is told what ended. Others who say nothing of it tell nothing.
    #[must_use]
    pub fn telling(mut self, telling: Telling) -> Self {
        self.changed().telling = Some(telling);
        self
    }

    /// What the history is told of a job that was handed out at `started_ms` (0 where it does not run) and ended like
    /// that; empty where it is told nothing. Without an envelope where that cannot be read.
    pub fn line_of(&self, id: &str, job: Option<&Envelope>, started_ms: i64, outcome: &Outcome) -> String {
        let Some(telling) = &self.inner.telling else { return String::new() };
        let kind = job.map_or("", |job| job.kind.as_str());
        if telling.leave_out.iter().any(|left| left == kind) {
            return String::new();
        }
        let result = outcome.result.as_ref().and_then(|result| capped(serde_json::to_string(result).ok()?));
        let args = job.filter(|_| telling.args).and_then(|job| self.args_told(job));
        let (v, sv) = self.seal_told(What::Result(id), result);
        let (a, sa) = self.seal_told(What::History(id), args);
        let line = Line {
            i: id.into(),
            k: kind.into(),
            e: outcome.ending,
            q: job.map_or(0, |job| job.at),
            s: started_ms,
            t: outcome.at,
            m: outcome.took_ms,
            n: outcome.attempt,
            w: outcome.worker.as_str().into(),
            h: job.and_then(|job| job.schedule.as_deref()).map(Cow::Borrowed),
            g: job.and_then(|job| job.share.as_deref()).map(Cow::Borrowed),
            r: outcome.reason.as_deref().map(Cow::Borrowed),
            v,
            a,
            c: job.and_then(|job| job.trace.as_deref()).map(Cow::Borrowed),
            sv,
            sa,
        };
        // It is JSON without line breaks, for a line per job.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// Bids to be the one who writes down what ended in this queue, or to remain it, for `term`; true if the caller is.
    /// So many bytes may wait.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn bid_for_history(&self, who: &str, term: Duration, room: u64) -> Result<bool, QueueError> {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
        let call = self.calling(&HISTORIAN, &[]).arg(who).arg(ms(term)).arg(room).arg(ms(WANTED_FOR));
        self.call(&call).await
    }

    /// What ended and is not written down yet, the oldest first, in up to `most` entries.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn history_waiting(&self, most: usize) -> Result<Vec<Waiting>, QueueError> {
        let mut range = redis::cmd("XRANGE");
        range.arg(&self.keys().history).arg("-").arg("+").arg("COUNT").arg(most.min(ENTRIES_MAX));
        let found: Vec<Value> = self.run("read what ended", &range).await?;
        Ok(found.into_iter().filter_map(|entry| self.read_waiting(entry)).collect())
    }

    /// Takes away what is written down; returns how many jobs had to go unwritten since this was asked last.
    ///
    /// # Errors
    /// Redis is out of reach. It is as well to write the same down again.
    pub async fn history_written(&self, written: &[Waiting]) -> Result<u64, QueueError> {
        let mut call = self.calling(&WRITTEN, &[]);
        for entry in written.iter().take(ENTRIES_MAX) {
            call.push(&entry.place);
            call.push(entry.bytes);
        }
        self.call(&call).await
    }

    fn read_waiting(&self, entry: Value) -> Option<Waiting> {
        let (place, fields): (String, Vec<(String, Vec<u8>)>) = redis::from_redis_value(entry).ok()?;
        let at = place.parse::<Place>().map_or(0, |place| place.ms);
        let told: Vec<_> = fields.iter().filter(|(name, _)| name != "n").collect();
        let bytes = told.iter().map(|(_, value)| value.len() as u64).sum();
        let field = |wanted: &str| told.iter().find(|(name, _)| name == wanted).map(|(_, value)| &value[..]);
        let (mut ended, unreadable) = match field("d") {
            Some(lines) => self.read_lines(lines, field("a")),
            None => match self.read_end(&field) {
                Some(job) => (vec![job], 0),
                None => (Vec::new(), 1),
            },
        };
        let leave_out = self.inner.telling.as_ref().map(|telling| &telling.leave_out);
        ended.retain(|job| !leave_out.is_some_and(|kinds| kinds.contains(&job.kind)));
        // The clock of Redis stands in for whoever had none: it says the same when this is read again.
        for job in ended.iter_mut().filter(|job| job.ended_ms <= 0) {
            job.ended_ms = at;
        }
        Some(Waiting { place, bytes, ended, unreadable })
    }

    /// A job that a script brought to its end.
    fn read_end<'f>(&self, field: &dyn Fn(&str) -> Option<&'f [u8]>) -> Option<Ended> {
        let id = std::str::from_utf8(field("i")?).ok()?;
        let outcome: Outcome = serde_json::from_slice(field("o")?).ok()?;
        let claim = ClaimText::read(&String::from_utf8_lossy(field("c").unwrap_or_default()));
        let job = Envelope::from_record(id, field("e").unwrap_or_default()).ok();
        let is_told = self.inner.telling.as_ref().is_some_and(|telling| telling.args);
        let args = job.as_ref().filter(|_| is_told).and_then(|job| self.args_told(job)).map(text);
        let worker = if outcome.worker.is_empty() { claim.worker } else { outcome.worker };
        Some(Ended {
            id: id.to_owned(),
            kind: job.as_ref().map(|job| job.kind.clone()).unwrap_or_default(),
            ending: outcome.ending,
            enqueued_ms: job.as_ref().map_or(0, |job| job.at),
            started_ms: claim.since_ms,
            ended_ms: outcome.at,
            took_ms: outcome.took_ms,
            attempt: outcome.attempt.max(claim.attempt),
            worker: if worker == "-" { String::new() } else { worker },
            schedule: job.as_ref().and_then(|job| job.schedule.clone()),
            share: job.as_ref().and_then(|job| job.share.clone()),
            reason: outcome.reason,
            result: None,
            args,
            trace: job.and_then(|job| job.trace),
        })
    }

    /// The jobs of lines, but for those whose digit says that they did not end; and how many cannot be read.
    fn read_lines(&self, lines: &[u8], answers: Option<&[u8]>) -> (Vec<Ended>, u64) {
        let (mut ended, mut unreadable) = (Vec::new(), 0);
        for (place, line) in lines.split(|byte| *byte == b'\n').enumerate() {
            let is_over = answers.is_none_or(|answers| answers.get(place) == Some(&b'1'));
            if line.is_empty() || !is_over {
                continue;
            }
            match serde_json::from_slice::<Line<'_>>(line) {
                Ok(line) => ended.push(self.read_line(line)),
                Err(_) => unreadable += 1,
            }
        }
        (ended, unreadable)
    }

    fn read_line(&self, line: Line<'_>) -> Ended {
        Ended {
            result: self.open_told(What::Result(&line.i), line.v, line.sv.as_ref()),
            args: self.open_told(What::History(&line.i), line.a, line.sa.as_ref()),
            id: line.i.into_owned(),
            kind: line.k.into_owned(),
            ending: line.e,
            enqueued_ms: line.q,
            started_ms: line.s,
            ended_ms: line.t,
            took_ms: line.m,
            attempt: line.n,
            worker: line.w.into_owned(),
            schedule: line.h.map(Cow::into_owned),
            share: line.g.map(Cow::into_owned),
            reason: line.r.map(Cow::into_owned),
            trace: line.c.map(Cow::into_owned),
        }
    }

    /// What a job was given, as its history keeps it.
    fn args_told(&self, job: &Envelope) -> Option<Box<RawValue>> {
        let is_sealed = job.sealed.is_some();
        capped(if is_sealed { self.args_shown(job).to_string() } else { job.args.get().to_owned() })
    }
}

fn text(json: Box<RawValue>) -> String {
    Box::<str>::from(json).into_string()
}

/// JSON as it is kept: what is too long says how long it was. No line breaks, which tell jobs apart.
fn capped(json: String) -> Option<Box<RawValue>> {
    let kept = match json.len() {
        bytes if bytes > VALUE_MAX => format!("{{\"bytes_left_out\":{bytes}}}"),
        // Between tokens only: within texts they are escaped.
        _ if json.contains(['\n', '\r']) => json.replace(['\n', '\r'], " "),
        _ => json,
    };
    RawValue::from_string(kept).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;
    use crate::store::Store;

    fn queue(telling: Telling) -> Queue {
        let store = Store::open("redis://127.0.0.1:1").unwrap();
        Queue::new(store, "p", "q", Clock::System).telling(telling)
    }

    fn job(args: &str) -> Envelope {
        let args = RawValue::from_string(args.to_owned()).unwrap();
        Envelope { share: Some("s".to_owned()), ..Envelope::of("a", "test.echo", args, 5) }
    }

    #[tokio::test]
    async fn what_is_told_of_a_job_is_one_line_and_is_read_as_it_was_meant() {
        let queue = queue(Telling { args: true, leave_out: Vec::new() });
        let mut outcome = Outcome::new(Ending::Dead, 9).because("no\nway \u{0}");
        (outcome.attempt, outcome.took_ms) = (3, 2);
        outcome.result = Some(json!({ "text": "a\nb" }));
        let line = queue.line_of("a", Some(&job("{\n\"n\": 1 }")), 7, &outcome);
        assert!(!line.contains('\n'));

        let lines = format!("{line}\n\n{line}\nnonsense");
        let (ended, unreadable) = queue.read_lines(lines.as_bytes(), Some(b"1101"));
        assert_eq!((ended.len(), unreadable), (1, 1));
        let ended = &ended[0];
        assert_eq!((ended.enqueued_ms, ended.started_ms, ended.ended_ms, ended.took_ms), (5, 7, 9, 2));
        assert_eq!((ended.id.as_str(), ended.kind.as_str(), ended.attempt), ("a", "test.echo", 3));
        assert_eq!(ended.reason.as_deref(), Some("no\nway \u{0}"));
        assert_eq!(ended.args.as_deref(), Some("{ \"n\": 1 }"));
        assert_eq!(ended.result.as_deref(), Some(r#"{"text":"a\nb"}"#));
        assert_eq!((ended.share.as_deref(), ended.schedule.as_deref()), (Some("s"), None));
    }

    #[tokio::test]
    async fn arguments_are_told_where_that_is_asked_for_and_nothing_of_kinds_that_are_left_out() {
        let outcome = Outcome::new(Ending::Done, 9);
        let silent = queue(Telling::default());
        let line = silent.line_of("a", Some(&job("{}")), 0, &outcome);
        assert_eq!(silent.read_lines(line.as_bytes(), None).0[0].args, None);

        let leave_out = vec!["test.echo".to_owned()];
        let left = queue(Telling { args: false, leave_out });
        assert_eq!(left.line_of("a", Some(&job("{}")), 0, &outcome), "");
        assert_ne!(left.line_of("a", None, 0, &outcome), "");
    }

    #[test]
    fn what_is_too_long_says_how_long_it_was() {
        let long = format!("[{}1]", "1,".repeat(VALUE_MAX));
        assert_eq!(capped(long).unwrap().get(), format!("{{\"bytes_left_out\":{}}}", 2 * VALUE_MAX + 3));
    }
}
