//! A job as it is answered.

use brasa_jobs::history::Past;
use brasa_shared::queue::{Ending as JobEnding, JobView, State as JobState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It may start as soon as a worker is free.
    Waiting,
    /// It is due later.
    Delayed,
    /// It waits for other jobs to end.
    Blocked,
    /// A worker holds it.
    Running,
    /// It ended: done, cancelled or expired.
    Done,
    /// It is in the dead letter.
    Dead,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ending {
    /// Its handler succeeded.
    Done,
    /// Somebody stopped it.
    Cancelled,
    /// Its time was over before it could start.
    Expired,
    /// It is in the dead letter.
    Dead,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Progress {
    /// Between 0 and 1.
    share: f64,
    /// What it is at, in words.
    text: String,
    /// When it said so, ms since 1970.
    at_ms: i64,
}

/// A job. Its arguments, its result and its log are there for those who may see them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Job {
    /// Its id.
    id: String,
    /// Its queue.
    queue: String,
    /// Its kind; empty where what was enqueued cannot be read.
    kind: String,
    /// Where it is.
    state: State,
    /// How it ended, once it has.
    ending: Option<Ending>,
    /// Why it ended so: the error, or who cancelled it.
    reason: Option<String>,
    /// When it ended, ms since 1970.
    ended_ms: Option<i64>,
    /// How long its last attempt took, ms.
    took_ms: Option<u64>,
    /// When it was enqueued, ms since 1970.
    enqueued_ms: i64,
    /// Since when it is in that state, or until when, ms since 1970: due, leased until, ended at.
    state_ms: i64,
    /// When it was handed out last, ms since 1970.
    started_ms: Option<i64>,
    /// It is not to start after this instant, ms since 1970.
    expires_ms: Option<i64>,
    /// How many attempts have been handed out.
    attempt: u32,
    /// How many of its holders were lost.
    lost: u32,
    /// Who holds it, or held it last; may be empty.
    worker: String,
    /// How urgent it is, from 0 to 9.
    priority: u8,
    /// Its share key.
    share: Option<String>,
    /// The schedule that fired it.
    schedule: Option<String>,
    /// The place in a trace that whoever enqueued it was at, as W3C's `traceparent`.
    trace: Option<String>,
    /// How many jobs it still waits for.
    waits_for: u32,
    /// How far it is.
    progress: Option<Progress>,
    /// Who asked it to stop, while it runs.
    stop_asked: Option<String>,
    /// How earlier attempts ended, the oldest first.
    trail: Vec<String>,
    /// Its arguments; a text that says so where they are sealed and this process has no key for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Value>,
    /// The key that its arguments are sealed with in Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    /// What its handler returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// What its handler logged, a line each.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Vec<String>>,
}

impl From<JobState> for State {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Waiting => Self::Waiting,
            JobState::Delayed => Self::Delayed,
            JobState::Blocked => Self::Blocked,
            JobState::Running => Self::Running,
            JobState::Done => Self::Done,
            JobState::Dead => Self::Dead,
        }
    }
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Delayed => Self::Delayed,
            State::Blocked => Self::Blocked,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Dead => Self::Dead,
        }
    }
}

impl From<JobEnding> for Ending {
    fn from(ending: JobEnding) -> Self {
        match ending {
            JobEnding::Done => Self::Done,
            JobEnding::Cancelled => Self::Cancelled,
            JobEnding::Expired => Self::Expired,
            JobEnding::Dead => Self::Dead,
        }
    }
}

impl Job {
    /// A job as somebody may see it who may see what it is about, or not.
    pub(super) fn of(view: JobView, with_payload: bool) -> Self {
        let outcome = view.outcome;
        let seen = |value: Option<Value>| value.filter(|_| with_payload);
        Self {
            id: view.id,
            queue: view.queue,
            kind: view.kind,
            state: view.state.into(),
            ending: outcome.as_ref().map(|outcome| outcome.ending.into()),
            reason: outcome.as_ref().and_then(|outcome| outcome.reason.clone()),
            ended_ms: outcome.as_ref().map(|outcome| outcome.at),
            took_ms: outcome.as_ref().map(|outcome| outcome.took_ms),
            enqueued_ms: view.enqueued_ms,
            state_ms: view.state_ms,
            started_ms: Some(view.started_ms).filter(|ms| *ms != 0),
            expires_ms: view.expires_ms,
            attempt: view.attempt,
            lost: view.lost,
            worker: view.worker,
            priority: view.priority,
            share: view.share,
            schedule: view.schedule,
            trace: view.trace,
            waits_for: view.waits_for,
            progress: view.note.map(|note| Progress { share: note.share, text: note.text, at_ms: note.at }),
            stop_asked: view.stop_asked,
            trail: view.trail,
            args: seen(Some(view.args)),
            sealed: view.sealed,
            result: seen(outcome.and_then(|outcome| outcome.result)),
            log: Some(view.log).filter(|_| with_payload),
        }
    }

    /// The same of one that its queue forgot, as the history has it: without its log and what else is not kept there.
    pub(super) fn of_past(past: Past, with_payload: bool) -> Self {
        let seen = |value: Option<Value>| value.filter(|_| with_payload);
        let ending = match past.ending.as_str() {
            "cancelled" => Ending::Cancelled,
            "expired" => Ending::Expired,
            "dead" => Ending::Dead,
            _ => Ending::Done,
        };
        Self {
            id: past.id,
            queue: past.queue,
            kind: past.kind,
            state: if ending == Ending::Dead { State::Dead } else { State::Done },
            ending: Some(ending),
            reason: past.reason,
            ended_ms: Some(past.ended_ms),
            took_ms: u64::try_from(past.took_ms).ok(),
            enqueued_ms: past.enqueued_ms.unwrap_or(past.ended_ms),
            state_ms: past.ended_ms,
            started_ms: past.started_ms,
            expires_ms: None,
            attempt: past.attempt.unsigned_abs(),
            lost: 0,
            worker: past.worker,
            priority: 0,
            share: past.share,
            schedule: past.schedule,
            trace: past.trace,
            waits_for: 0,
            progress: None,
            stop_asked: None,
            trail: Vec::new(),
            args: seen(past.args),
            sealed: None,
            result: seen(past.result),
            log: None,
        }
    }
}
