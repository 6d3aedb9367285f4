//! Looking for jobs that a queue still knows, a stretch at a time: a queue may have a million of them.
//!
//! Whoever looks says how many jobs may be looked at. An answer says whether that was all of them, and else where to go
//! on: what was not looked at is never taken for absent.

use std::collections::BTreeSet;

use crate::queue::view::entry_of;
use crate::queue::{BATCH_MAX, JobView, Queue, QueueError, State};

/// More jobs than a queue can have.
const ALL: usize = 1 << 40;

/// What is looked for in a queue.
#[derive(Debug, Clone, Copy)]
pub struct Search<'s> {
    /// Jobs in this state.
    pub state: State,
    /// Jobs of this kind.
    pub kind: Option<&'s str>,
    /// Jobs whose time is this instant or later, ms since 1970; see [`JobView::time_ms`].
    pub since_ms: Option<i64>,
    /// Jobs whose time is this instant or earlier, ms since 1970.
    pub until_ms: Option<i64>,
    /// Jobs of which this is said, in large letters or small ones: in their id, kind, worker, reason or earlier
    /// attempts.
    pub text: Option<&'s str>,
    /// Whether the text may stand in their arguments as well.
    pub in_args: bool,
    /// How many are passed over.
    pub from: usize,
    /// How many are wanted at most.
    pub most: usize,
    /// How many are looked at, at most.
    pub looks: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The jobs: the next to start, the next due, or the latest to end first.
    pub jobs: Vec<JobView>,
    /// How many were looked at.
    pub looked_at: usize,
    /// Where to go on, if that was not all.
    pub next: Option<usize>,
}

impl Search<'_> {
    /// All jobs in a state, up to so many.
    pub fn all(state: State, most: usize) -> Self {
        Self {
            state,
            kind: None,
            since_ms: None,
            until_ms: None,
            text: None,
            in_args: false,
            from: 0,
            most,
            looks: ALL,
        }
    }

    /// Whether this is one of them.
    fn finds(&self, view: &JobView, text: Option<&str>) -> bool {
        let at = view.time_ms();
        // Some may have moved on meanwhile, and entries of lanes may stand for nothing any more.
        view.state == self.state
            && self.kind.is_none_or(|kind| view.kind == kind)
            && self.since_ms.is_none_or(|since| at >= since)
            && self.until_ms.is_none_or(|until| at <= until)
            && text.is_none_or(|text| says(view, text, self.in_args))
    }

    /// How many are looked at, at most: where nothing is looked for in them, not many more than are wanted.
    fn looks(&self) -> usize {
        let is_plain = self.kind.is_none() && self.text.is_none() && !self.is_timed();
        if is_plain { self.looks.min(self.most.saturating_add(BATCH_MAX)) } else { self.looks }
    }

    fn is_timed(&self) -> bool {
        self.since_ms.is_some() || self.until_ms.is_some()
    }
}

impl Queue {
    /// Up to `most` jobs in a state: the next to start, the next due, or the latest to end first.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn list(&self, state: State, most: usize) -> Result<Vec<JobView>, QueueError> {
        Ok(self.search(&Search::all(state, most)).await?.jobs)
    }

    /// Looks for jobs.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn search(&self, wanted: &Search<'_>) -> Result<Found, QueueError> {
        let ids = self.ids_of(wanted).await?;
        let text = wanted.text.map(str::to_lowercase);
        let mut found = Found::default();
        let (mut rest, looks) = (ids.as_slice(), wanted.looks());
        while !rest.is_empty() && found.jobs.len() < wanted.most && found.looked_at < looks {
            let (chunk, behind) = rest.split_at(rest.len().min(BATCH_MAX).min(looks - found.looked_at));
            let mut looked = 0;
            for view in self.views(chunk).await? {
                if found.jobs.len() == wanted.most {
                    break;
                }
                looked += 1;
                found.jobs.extend(view.filter(|view| wanted.finds(view, text.as_deref())));
            }
            found.looked_at += looked;
            rest = if looked == chunk.len() { behind } else { &rest[looked..] };
        }
        found.next = (!rest.is_empty()).then(|| wanted.from + found.looked_at);
        Ok(found)
    }

    /// The ids of what is to be looked at, and of one more.
    async fn ids_of(&self, wanted: &Search<'_>) -> Result<Vec<String>, QueueError> {
        let (keys, reach) = (self.keys(), wanted.looks().saturating_add(1));
        // What is put together from several places can only be passed over once it is there.
        let through = reach.saturating_add(wanted.from);
        let ids = match wanted.state {
            State::Delayed => return self.by_time(&keys.delayed, false, wanted).await,
            State::Dead => return self.by_time(&keys.dead, true, wanted).await,
            State::Waiting => self.waiting_ids(through).await?,
            State::Blocked => self.blocked_ids(through).await?,
            State::Running => self.running_ids().await?,
            State::Done => self.done_ids(through).await?,
        };
        Ok(ids.into_iter().skip(wanted.from).take(reach).collect())
    }

    /// Of a set whose scores are the times of its jobs.
    async fn by_time(&self, set: &str, latest: bool, wanted: &Search<'_>) -> Result<Vec<String>, QueueError> {
        let bound = |ms: Option<i64>, none: &str| ms.map_or_else(|| none.to_owned(), |ms| ms.to_string());
        let (low, high) = (bound(wanted.since_ms, "-inf"), bound(wanted.until_ms, "+inf"));
        let mut command = redis::cmd("ZRANGE");
        command.arg(set);
        if latest {
            command.arg(high).arg(low).arg("BYSCORE").arg("REV");
        } else {
            command.arg(low).arg(high).arg("BYSCORE");
        }
        command.arg("LIMIT").arg(wanted.from).arg(signed(wanted.looks().saturating_add(1)));
        self.run("list jobs", &command).await
    }

    async fn waiting_ids(&self, most: usize) -> Result<Vec<String>, QueueError> {
        let lanes = self.lanes().await?;
        let mut entries = self.line(&lanes, most).await?;
        entries.sort_by_key(|entry| entry.rank_ms);
        let mut ids: Vec<String> = entries.into_iter().map(|entry| entry.id).collect();
        let mut command = redis::cmd("ZRANGE");
        command.arg(&self.keys().parked).arg(0).arg(signed(most.saturating_sub(1)));
        let parked: Vec<String> = self.run("list jobs", &command).await?;
        ids.extend(parked.iter().filter_map(|member| {
            let entry = member.splitn(3, ' ').nth(2)?;
            entry_of(entry).map(|entry| entry.id)
        }));
        // A job may have left entries behind, elsewhere in line.
        let mut seen = BTreeSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        Ok(ids)
    }

    async fn blocked_ids(&self, most: usize) -> Result<Vec<String>, QueueError> {
        let mut command = redis::cmd("HRANDFIELD");
        command.arg(&self.keys().blocked).arg(signed(most));
        let mut ids: Vec<String> = self.run("list jobs", &command).await?;
        ids.sort_unstable();
        Ok(ids)
    }

    async fn running_ids(&self) -> Result<Vec<String>, QueueError> {
        let mut pipe = redis::pipe();
        pipe.cmd("HVALS").arg(&self.keys().batches);
        pipe.cmd("ZRANGE").arg(&self.keys().leases).arg(0).arg(-1);
        let (batches, leased): (Vec<String>, Vec<String>) = self.run_all("list running jobs", &pipe).await?;
        let mut ids: Vec<String> = leased;
        let entries = batches.iter().flat_map(|batch| batch.lines().skip(1));
        ids.extend(entries.filter_map(|entry| entry_of(entry).map(|entry| entry.id)));
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    async fn done_ids(&self, most: usize) -> Result<Vec<String>, QueueError> {
        let mut pipe = redis::pipe();
        pipe.cmd("LRANGE").arg(&self.keys().done).arg(-signed(most)).arg(-1);
        pipe.cmd("ZRANGE").arg(&self.keys().kept).arg(0).arg(signed(most.saturating_sub(1))).arg("REV");
        let (entries, kept): (Vec<String>, Vec<String>) = self.run_all("list ended jobs", &pipe).await?;
        let mut ids = kept;
        ids.extend(entries.iter().rev().flat_map(|entry| {
            let ended: Vec<_> = entry.split(' ').skip(2).map(ToOwned::to_owned).collect();
            ended.into_iter().rev()
        }));
        Ok(ids)
    }
}

/// A number as Redis takes it.
fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Whether a text of small letters stands in what is said of a job.
fn says(view: &JobView, text: &str, in_args: bool) -> bool {
    let has = |said: &str| said.to_lowercase().contains(text);
    let reason = view.outcome.as_ref().and_then(|outcome| outcome.reason.as_deref());
    has(&view.id)
        || has(&view.kind)
        || has(&view.worker)
        || reason.is_some_and(has)
        || view.trail.iter().any(|step| has(step))
        || in_args && has(&view.args.to_string())
}
