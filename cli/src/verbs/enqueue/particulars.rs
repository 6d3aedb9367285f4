//! What a job may be told on its way, beside its arguments.

use std::time::Duration;

use brasa_shared::jiff::Timestamp;
use brasa_shared::queue::{Envelope, OnConflict, UniqueUntil};
use brasa_shared::trace::Trace;
use clap::{Args, ValueEnum};

use crate::verbs::arguments::{duration, ms, trace_around};

/// What a job may be told on its way, beside its arguments.
#[derive(Debug, Args)]
pub(super) struct Particulars {
    /// Start it this much later, such as 90s or 2h
    #[arg(long = "in", value_name = "DURATION", conflicts_with = "at", value_parser = duration)]
    after: Option<Duration>,
    /// Start it at this instant, such as 2026-12-01T08:00:00Z
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// How urgent it is, from 0 to 9
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9), default_value_t = 0)]
    priority: u8,
    /// Take turns with the jobs of other keys, such as one key per customer
    #[arg(long, value_name = "KEY")]
    share: Option<String>,
    /// Do not start it later than this from now
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<Duration>,
    /// Be done with it this long from now, retries included
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<Duration>,
    /// Enqueue nothing while another open job of the queue has this key
    #[arg(long, value_name = "KEY", conflicts_with = "bulk")]
    unique: Option<String>,
    /// When the key is free again
    #[arg(long, value_enum, requires = "unique", default_value_t = Until::Finished)]
    unique_until: Until,
    /// Keep the key for this long from now, even if the job ends earlier
    #[arg(long, value_name = "DURATION", requires = "unique", conflicts_with = "unique_until", value_parser = duration)]
    unique_for: Option<Duration>,
    /// What to do where another job has the key and has not started
    #[arg(long, value_enum, requires = "unique", default_value_t = Conflict::Keep)]
    on_conflict: Conflict,
    /// Start it when no other with its key has come for this long; the last one's arguments count
    #[arg(long, value_name = "DURATION", requires = "unique", conflicts_with_all = ["after", "at", "on_conflict"], value_parser = duration)]
    debounce: Option<Duration>,
    /// With --debounce: start it after this long at the latest
    #[arg(long, value_name = "DURATION", requires = "debounce", value_parser = duration)]
    debounce_max: Option<Duration>,
    /// How many attempts, instead of the kind's own number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: Option<u32>,
    /// The place in a trace that it goes on from, as W3C writes it; else TRACEPARENT
    #[arg(long, value_name = "TRACEPARENT")]
    traceparent: Option<Trace>,
    /// How long one attempt may run, instead of the kind's own limit
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    /// When the job has ended
    Finished,
    /// When it starts
    Started,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Conflict {
    /// Leave the other one alone
    Keep,
    /// Take its place: with these arguments, at this time
    Replace,
    /// Put it off to this time, with its own arguments
    Extend,
}

impl Particulars {
    /// Writes them into a job that is enqueued at `now`.
    pub(super) fn apply(&self, job: &mut Envelope, now: Timestamp) -> Result<(), String> {
        let from_now = |option: &str, after: Option<Duration>| {
            let at =
                after.map(|after| now.saturating_add(after).map_err(|error| format!("{option}: {error}")));
            Ok::<_, String>(at.transpose()?.map(Timestamp::as_millisecond))
        };
        let wait = self.debounce.or(self.after);
        job.due = self.at.map(Timestamp::as_millisecond).or(from_now("--in", wait)?);
        job.priority = self.priority;
        job.share.clone_from(&self.share);
        job.expires = from_now("--expires", self.expires)?;
        job.deadline = from_now("--deadline", self.deadline)?;
        job.unique.clone_from(&self.unique);
        job.unique_for_ms = self.unique_for.map(ms);
        job.unique_until = match self.unique_until {
            Until::Finished => UniqueUntil::Finished,
            Until::Started => UniqueUntil::Started,
        };
        job.on_conflict = match self.on_conflict {
            _ if self.debounce.is_some() => OnConflict::Replace,
            Conflict::Keep => OnConflict::Keep,
            Conflict::Replace => OnConflict::Replace,
            Conflict::Extend => OnConflict::Extend,
        };
        job.latest_ms = self.debounce_max.map(ms);
        job.attempts = self.attempts;
        job.timeout_ms = self.timeout.map(ms);
        job.trace = self.traceparent.or_else(trace_around).map(|trace| trace.to_string());
        Ok(())
    }
}
