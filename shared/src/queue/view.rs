//! A job as people look at it.

use std::fmt::Debug;

use redis::{FromRedisValue, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::queue::envelope::Envelope;
use crate::queue::outcome::Outcome;
use crate::queue::{Note, Queue, QueueError};

/// Where a job can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It may start as soon as a worker is free.
    Waiting,
    /// It is due later.
    Delayed,
    /// It waits for other jobs to end.
    Blocked,
    /// A worker holds it.
    Running,
    /// It ended, done or cancelled.
    Done,
    /// It is in the dead letter.
    Dead,
}

/// A job as people look at it.
#[derive(Debug, Clone, Serialize)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// Where it is.
    pub state: State,
    /// Its kind; empty where the envelope cannot be read.
    pub kind: String,
    /// Its payload; where that is sealed and cannot be opened here, a text that says so.
    pub args: Json,
    /// The key that its payload is sealed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// How urgent it is.
    pub priority: u8,
    /// Its share key.
    pub share: Option<String>,
    /// When it was enqueued, ms since 1970.
    pub enqueued_ms: i64,
    /// Since when or until when it is in that state, ms since 1970: due, leased until, died at, ended at.
    pub state_ms: i64,
    /// When it was handed out last, ms since 1970.
    pub started_ms: i64,
    /// It is not to start after this instant, ms since 1970.
    pub expires_ms: Option<i64>,
    /// How many attempts have been handed out.
    pub attempt: u32,
    /// How many of its holders were lost.
    pub lost: u32,
    /// Who holds it, or held it last.
    pub worker: String,
    /// The schedule that fired it.
    pub schedule: Option<String>,
    /// The place in a trace that whoever enqueued it was at, as W3C's `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// How many jobs it still waits for.
    pub waits_for: u32,
    /// How far it is.
    pub note: Option<Note>,
    /// What its handler logged.
    pub log: Vec<String>,
    /// How earlier attempts ended, oldest first.
    pub trail: Vec<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Who asked it to stop, while it runs.
    pub stop_asked: Option<String>,
    /// What was enqueued, where it cannot be read.
    pub unreadable: Option<String>,
}

impl JobView {
    /// The instant by which it is looked for, ms since 1970: when it ended or died, when it is due, or since when it
    /// runs; for one that waits, when it was enqueued or due first.
    pub fn time_ms(&self) -> i64 {
        match self.state {
            State::Waiting | State::Delayed | State::Done | State::Dead => self.state_ms,
            State::Running => self.started_ms,
            State::Blocked => self.enqueued_ms,
        }
    }
}

/// What stands in a lane for a job.
pub(crate) struct LaneEntry {
    pub(crate) rank_ms: i64,
    pub(crate) id: String,
}

/// Reads an entry of a lane; see `lua/parts/lane.lua`.
pub(crate) fn entry_of(entry: &str) -> Option<LaneEntry> {
    let rank_ms = i64::from_str_radix(entry.get(..8)?, 36).ok()?;
    let id = entry.get(9..)?.split(' ').next()?.to_owned();
    Some(LaneEntry { rank_ms, id })
}

/// What Redis holds about one job, in the order in which it is asked.
struct Facts<'v>(&'v [Value]);

/// The number of things that are asked about one job.
const FACTS: usize = 12;

impl Facts<'_> {
    fn text(&self, place: usize) -> Option<String> {
        let bytes: Option<Vec<u8>> = redis::from_redis_value_ref(self.0.get(place)?).ok()?;
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[expect(clippy::cast_possible_truncation, reason = "scores are whole milliseconds")]
    fn score(&self, place: usize) -> Option<i64> {
        Option::<f64>::from_redis_value_ref(self.0.get(place)?).ok()?.map(|score| score as i64)
    }

    fn lines(&self, place: usize) -> Vec<String> {
        self.text(place).unwrap_or_default().lines().map(ToOwned::to_owned).collect()
    }
}

/// The claim of a job; see `lua/parts/claim.lua`.
#[derive(Default)]
pub(super) struct ClaimText {
    is_held: bool,
    pub(super) attempt: u32,
    lost: u32,
    pub(super) since_ms: i64,
    pub(super) worker: String,
}

impl ClaimText {
    pub(super) fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |place: usize| words.get(place).and_then(|word| word.parse().ok()).unwrap_or_default();
        let is_held = words.first().is_some_and(|nonce| !matches!(*nonce, "-" | "~" | ""));
        // Who holds it stands with the claim, and not with each of its jobs.
        let past = if is_held { &[][..] } else { words.get(5..).unwrap_or_default() };
        Self {
            is_held,
            attempt: number(2),
            lost: number(4),
            since_ms: past.get(2).and_then(|word| word.parse().ok()).unwrap_or_default(),
            worker: past.get(1).map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl Queue {
    /// One job, with everything that is known about it.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn show(&self, id: &str) -> Result<Option<JobView>, QueueError> {
        Ok(self.views(&[id.to_owned()]).await?.into_iter().next().flatten())
    }

    /// The same for many; none in the place of a job that is not known.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn views(&self, ids: &[String]) -> Result<Vec<Option<JobView>>, QueueError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let k = self.keys();
        let mut pipe = redis::pipe();
        for id in ids {
            for hash in [&k.jobs, &k.claims, &k.outcomes, &k.trail, &k.cancels, &k.notes, &k.logs, &k.blocked]
            {
                pipe.cmd("HGET").arg(hash).arg(id);
            }
            for set in [&k.delayed, &k.dead, &k.kept, &k.leases] {
                pipe.cmd("ZSCORE").arg(set).arg(id);
            }
        }
        let values: Vec<Value> = self.run_all("show jobs", &pipe).await?;
        let facts = || ids.iter().zip(values.chunks_exact(FACTS));
        let mut views: Vec<_> = facts().map(|(id, facts)| self.view(id, &Facts(facts))).collect();
        self.note_leases(&mut views, facts().map(|(_, facts)| Facts(facts))).await?;
        Ok(views)
    }

    /// Who runs the running ones, since when and until when: what they have in common with all of their claim,
    /// but for a lease of their own.
    async fn note_leases<'v>(
        &self,
        views: &mut [Option<JobView>],
        facts: impl Iterator<Item = Facts<'v>>,
    ) -> Result<(), QueueError> {
        let mut pipe = redis::pipe();
        let mut running = Vec::new();
        for (view, facts) in views.iter_mut().zip(facts) {
            let Some(view) = view.as_mut().filter(|view| view.state == State::Running) else { continue };
            let claim = facts.text(1).unwrap_or_default();
            let nonce = claim.split(' ').next().unwrap_or_default();
            pipe.cmd("ZSCORE").arg(&self.keys().terms).arg(nonce);
            pipe.cmd("HGET").arg(&self.keys().owners).arg(nonce);
            running.push((view, facts.score(11)));
        }
        if running.is_empty() {
            return Ok(());
        }
        let told: Vec<Value> = self.run_all("look at leases", &pipe).await?;
        for ((view, own), told) in running.into_iter().zip(told.chunks_exact(2)) {
            let told = Facts(told);
            view.state_ms = own.or(told.score(0)).unwrap_or_default();
            let owner = told.text(1).unwrap_or_default();
            let (worker, since) = owner.split_once(' ').unwrap_or((&owner, "0"));
            (view.worker, view.started_ms) = (worker.to_owned(), since.parse().unwrap_or_default());
        }
        Ok(())
    }

    fn view(&self, id: &str, facts: &Facts<'_>) -> Option<JobView> {
        let record: Vec<u8> = Option::<Vec<u8>>::from_redis_value_ref(facts.0.first()?).ok()??;
        let claim = ClaimText::read(&facts.text(1).unwrap_or_default());
        let outcome: Option<Outcome> = facts.text(2).and_then(|json| serde_json::from_str(&json).ok());
        let outcome = outcome.map(|outcome| self.open_outcome(id, outcome));
        let envelope = Envelope::from_record(id, &record);
        let unreadable =
            envelope.is_err().then(|| String::from_utf8_lossy(&record).chars().take(500).collect());
        let envelope = envelope.ok();
        let (state, state_ms) = state(facts, &claim, outcome.as_ref(), envelope.as_ref());
        let args = envelope.as_ref().map(|job| self.args_shown(job));
        Some(JobView {
            id: id.to_owned(),
            queue: self.name().to_owned(),
            state,
            kind: envelope.as_ref().map(|job| job.kind.clone()).unwrap_or_default(),
            args: args.unwrap_or_default(),
            sealed: envelope.as_ref().and_then(|job| Some(job.sealed.as_ref()?.key().to_owned())),
            priority: envelope.as_ref().map_or(0, |job| job.priority),
            share: envelope.as_ref().and_then(|job| job.share.clone()),
            enqueued_ms: envelope.as_ref().map(|job| job.at).unwrap_or_default(),
            state_ms,
            started_ms: claim.since_ms,
            expires_ms: envelope.as_ref().and_then(|job| job.expires),
            attempt: outcome.as_ref().map_or(0, |outcome| outcome.attempt).max(claim.attempt),
            lost: claim.lost,
            worker: if claim.worker.is_empty() {
                outcome.as_ref().map(|outcome| outcome.worker.clone()).unwrap_or_default()
            } else {
                claim.worker
            },
            trace: envelope.as_ref().and_then(|job| job.trace.clone()),
            schedule: envelope.and_then(|job| job.schedule),
            waits_for: facts.text(7).and_then(|count| count.parse().ok()).unwrap_or(0),
            note: facts.text(5).and_then(|json| serde_json::from_str(&json).ok()),
            log: facts.lines(6),
            trail: facts.lines(3),
            outcome,
            stop_asked: facts.text(4),
            unreadable,
        })
    }
}

/// Where a job is, and since when or until when.
fn state(
    facts: &Facts<'_>,
    claim: &ClaimText,
    outcome: Option<&Outcome>,
    envelope: Option<&Envelope>,
) -> (State, i64) {
    if let Some(died) = facts.score(9) {
        return (State::Dead, died);
    }
    if let Some(outcome) = outcome {
        return (State::Done, outcome.at);
    }
    if claim.is_held {
        return (State::Running, 0);
    }
    if let Some(due) = facts.score(8) {
        return (State::Delayed, due);
    }
    if facts.text(7).is_some() {
        return (State::Blocked, 0);
    }
    let ready = envelope.map_or(0, |job| job.due.unwrap_or(0).max(job.at));
    (State::Waiting, ready)
}
