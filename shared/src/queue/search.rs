//! Looking for jobs that a queue still knows, a stretch at a time: a queue may have a million of them.
//!
//! Whoever looks says how many jobs may be looked at. An answer says whether that was all of them, and else where to go
//! on: how many places in line have been looked at. Jobs that come and go in between move the others: some may be missed
//! then, or be met twice.

use std::collections::HashSet;

use crate::queue::view::entry_of;
use crate::queue::{BATCH_MAX, JobView, Queue, QueueError, State};

/// More jobs than a queue can have.
const ALL: usize = 1 << 40;

/// How many entries are read at a time where all have to be gone through.
const WALK: usize = 1_000;

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

    /// How many are looked at first: where nothing is looked for in them, not many more than are wanted.
    fn first_stretch(&self) -> usize {
        let is_plain =
            self.kind.is_none() && self.text.is_none() && self.since_ms.is_none() && self.until_ms.is_none();
        if is_plain { self.most.saturating_add(BATCH_MAX) } else { self.looks }
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
        let text = wanted.text.map(str::to_lowercase);
        let (mut all, mut stretch) = (Found::default(), wanted.first_stretch());
        loop {
            let part = Search {
                from: wanted.from + all.looked_at,
                most: wanted.most - all.jobs.len(),
                looks: stretch.min(wanted.looks - all.looked_at),
                ..*wanted
            };
            let found = self.look_through(&part, text.as_deref()).await?;
            all.jobs.extend(found.jobs);
            (all.looked_at, all.next) = (all.looked_at + found.looked_at, found.next);
            if all.next.is_none() || all.jobs.len() == wanted.most || all.looked_at >= wanted.looks {
                return Ok(all);
            }
            // Much of what was looked at stands for nothing any more.
            stretch = stretch.saturating_mul(4);
        }
    }

    /// Looks at so many, or at fewer where all that are wanted are found.
    async fn look_through(&self, wanted: &Search<'_>, text: Option<&str>) -> Result<Found, QueueError> {
        // One more, to know whether there are more.
        let ids = self.ids_of(wanted, wanted.looks.saturating_add(1)).await?;
        let (mut found, mut rest) = (Found::default(), ids.as_slice());
        while !rest.is_empty() && found.jobs.len() < wanted.most && found.looked_at < wanted.looks {
            let chunk = &rest[..rest.len().min(BATCH_MAX).min(wanted.looks - found.looked_at)];
            let mut looked = 0;
            for view in self.views(chunk).await? {
                if found.jobs.len() == wanted.most {
                    break;
                }
                looked += 1;
                found.jobs.extend(view.filter(|view| wanted.finds(view, text)));
            }
            found.looked_at += looked;
            rest = &rest[looked..];
        }
        found.next = (!rest.is_empty()).then(|| wanted.from + found.looked_at);
        Ok(found)
    }

    /// The ids at so many places. What stands at a place for nothing has no id.
    async fn ids_of(&self, wanted: &Search<'_>, count: usize) -> Result<Vec<String>, QueueError> {
        let keys = self.keys();
        // What is put together from several places can only be passed over once it is there.
        let through = count.saturating_add(wanted.from);
        let ids = match wanted.state {
            State::Delayed => return self.by_time(&keys.delayed, false, wanted, count).await,
            State::Dead => return self.by_time(&keys.dead, true, wanted, count).await,
            State::Waiting => self.waiting_ids(through).await?,
            State::Blocked => self.blocked_ids(through).await?,
            State::Running => self.running_ids().await?,
            State::Done => self.done_ids(through).await?,
        };
        Ok(ids.into_iter().skip(wanted.from).take(count).collect())
    }

    /// Of a set whose scores are the times of its jobs.
    async fn by_time(
        &self,
        set: &str,
        latest: bool,
        wanted: &Search<'_>,
        count: usize,
    ) -> Result<Vec<String>, QueueError> {
        let bound = |ms: Option<i64>, none: &str| ms.map_or_else(|| none.to_owned(), |ms| ms.to_string());
        let (low, high) = (bound(wanted.since_ms, "-inf"), bound(wanted.until_ms, "+inf"));
        let mut command = redis::cmd("ZRANGE");
        command.arg(set);
        if latest {
            command.arg(high).arg(low).arg("BYSCORE").arg("REV");
        } else {
            command.arg(low).arg(high).arg("BYSCORE");
        }
        command.arg("LIMIT").arg(wanted.from).arg(signed(count));
        self.run("list jobs", &command).await
    }

    /// Those that stand in line, lane by lane as they will be served: an entry comes before what is younger in other
    /// lanes, and behind all that are before it in its own. So what the first places are does not depend on how many
    /// are asked for. Those that a limit holds back stand behind all others.
    async fn waiting_ids(&self, most: usize) -> Result<Vec<String>, QueueError> {
        let mut lanes = self.lanes().await?;
        lanes.sort_unstable();
        let mut line = Vec::new();
        for entries in self.line(&lanes, most).await? {
            let mut rank_ms = 0;
            for entry in entries {
                rank_ms = entry.rank_ms.max(rank_ms);
                line.push((rank_ms, entry.id));
            }
        }
        line.sort_by_key(|(rank_ms, _)| *rank_ms);
        let mut ids: Vec<String> = line.into_iter().map(|(_, id)| id).collect();
        if ids.len() < most {
            let mut command = redis::cmd("ZRANGE");
            command.arg(&self.keys().parked).arg(0).arg(signed(most.saturating_sub(1)));
            let parked: Vec<String> = self.run("list jobs", &command).await?;
            let entry = |member: &String| entry_of(member.splitn(3, ' ').nth(2)?);
            ids.extend(parked.iter().filter_map(entry).map(|entry| entry.id));
        }
        ids.truncate(most);
        // A job may have left entries behind, elsewhere in line.
        let mut seen = HashSet::new();
        for id in &mut ids {
            if !seen.insert(id.clone()) {
                id.clear();
            }
        }
        Ok(ids)
    }

    async fn blocked_ids(&self, most: usize) -> Result<Vec<String>, QueueError> {
        let (mut ids, mut cursor) = (Vec::new(), 0_u64);
        while ids.len() < most {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&self.keys().blocked).arg(cursor).arg("COUNT").arg(WALK);
            let (next, found): (u64, Vec<(String, String)>) = self.run("list jobs", &scan).await?;
            ids.extend(found.into_iter().map(|(id, _)| id));
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
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

    /// Those that are kept for a time of their own, and then the others, the latest first.
    async fn done_ids(&self, most: usize) -> Result<Vec<String>, QueueError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(&self.keys().kept).arg(0).arg(signed(most.saturating_sub(1))).arg("REV");
        let mut ids: Vec<String> = self.run("list ended jobs", &command).await?;
        // An entry stands for all that ended together.
        let mut behind = 0;
        while ids.len() < most {
            let mut command = redis::cmd("LRANGE");
            command.arg(&self.keys().done).arg(-signed(behind + WALK)).arg(-signed(behind + 1));
            let entries: Vec<String> = self.run("list ended jobs", &command).await?;
            behind += WALK;
            for entry in entries.iter().rev() {
                let ended: Vec<&str> = entry.split(' ').skip(2).collect();
                ids.extend(ended.into_iter().rev().map(ToOwned::to_owned));
            }
            if entries.len() < WALK {
                break;
            }
        }
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
