//! Looking at a queue without touching it: counts, and how jobs stand.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::queue::lane::class_of;
use crate::queue::scripts::COUNT;
use crate::queue::view::{LaneEntry, entry_of};
use crate::queue::{BATCH_MAX, Paused, Queue, QueueError, State};

/// How many entries of a lane are looked at one by one where some stand for nothing any more.
const LOOKED_AT: usize = 64;

/// Whether a job is still to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits, is delayed or runs.
    Open,
    /// It is done, cancelled or dead.
    Ended,
    /// Nothing is known of it.
    Unknown,
}

/// How many jobs of a queue are where.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Jobs that may start now, by class.
    pub waiting_by_class: BTreeMap<String, u64>,
    /// Jobs that may start now, and entries of the inbox.
    pub waiting: u64,
    /// Of these, jobs whose share key is at its limit.
    pub parked: u64,
    /// Jobs that are due later.
    pub delayed: u64,
    /// Jobs that wait for others to end.
    pub blocked: u64,
    /// Jobs that workers hold.
    pub running: u64,
    /// Ended jobs that are still kept.
    pub done: u64,
    /// Jobs in the dead letter.
    pub dead: u64,
    /// Bytes of all envelopes and outcomes.
    pub bytes: u64,
    /// Counters since the queue began: enqueued, done, retried, dead, reclaimed, ...
    pub totals: BTreeMap<String, u64>,
    /// Who paused the queue, if anybody did.
    pub paused: Option<Paused>,
    /// Who closed the queue to new jobs, if anybody did.
    pub closed: Option<Paused>,
    /// Since when the oldest waiting job has been ready, ms since 1970.
    pub oldest_ms: Option<i64>,
}

impl Counts {
    /// Jobs that are not at an end, but for those that wait for others.
    pub fn open(&self) -> u64 {
        self.waiting + self.delayed + self.running
    }
}

impl Queue {
    /// How many jobs are where.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let lanes = self.lanes().await?;
        // All sizes at one instant: a job that moves meanwhile is counted once, and never missed.
        let mut call = self.calling(&COUNT, &lanes);
        for lane in &lanes {
            call.push(lane);
        }
        let sizes: Vec<u64> = self.call(&call).await?;
        let [delayed, running, done, dead, inbox, parked, blocked, gone, bytes, waiting @ ..] =
            sizes.as_slice()
        else {
            return Ok(Counts::default());
        };
        let mut waiting_by_class = BTreeMap::new();
        let mut oldest_ms: Option<i64> = None;
        for (lane, count) in lanes.iter().zip(waiting) {
            let (count, head_ms) = self.in_lane(lane, *count, *gone > 0).await?;
            *waiting_by_class.entry(class_of(lane).to_owned()).or_default() += count;
            oldest_ms = oldest_ms.into_iter().chain(head_ms).min();
        }
        let mut command = redis::cmd("HGETALL");
        command.arg(&self.keys().stats);
        Ok(Counts {
            waiting_by_class,
            waiting: (waiting.iter().sum::<u64>() + inbox + parked).saturating_sub(*gone),
            parked: *parked,
            delayed: *delayed,
            blocked: *blocked,
            running: *running,
            done: *done,
            dead: *dead,
            bytes: *bytes,
            totals: self.run("read counters", &command).await?,
            paused: self.paused().await?,
            closed: self.door().await?,
            oldest_ms,
        })
    }

    /// How many jobs of the dead letter died at this instant, ms since 1970, or later.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn died_since(&self, since_ms: i64) -> Result<u64, QueueError> {
        let mut command = redis::cmd("ZCOUNT");
        command.arg(&self.keys().dead).arg(since_ms).arg("+inf");
        self.run("count who died lately", &command).await
    }

    /// How many jobs wait in a lane of so many entries, and since when the first of them does. Where some entries
    /// stand for nothing any more, the first few are looked at one by one.
    async fn in_lane(
        &self,
        lane: &String,
        entries: u64,
        some_left: bool,
    ) -> Result<(u64, Option<i64>), QueueError> {
        if entries == 0 {
            return Ok((0, None));
        }
        let first = self.line(std::slice::from_ref(lane), if some_left { LOOKED_AT } else { 1 }).await?;
        let first: Vec<LaneEntry> = first.into_iter().flatten().collect();
        if !some_left {
            return Ok((entries, first.first().map(|entry| entry.rank_ms)));
        }
        let ids: Vec<String> = first.iter().map(|entry| entry.id.clone()).collect();
        let waits: Vec<bool> = self
            .views(&ids)
            .await?
            .iter()
            .map(|view| view.as_ref().is_some_and(|view| view.state == State::Waiting))
            .collect();
        let left = waits.iter().filter(|waits| !**waits).count() as u64;
        let oldest = first.iter().zip(&waits).find(|(_, waits)| **waits).map(|(entry, _)| entry.rank_ms);
        Ok((entries.saturating_sub(left), oldest))
    }

    /// Whether any of these lanes has a job.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn any_in(&self, lanes: &[String]) -> Result<bool, QueueError> {
        Ok(!self.heads(lanes).await?.is_empty())
    }

    /// The first entry of every lane that has one.
    async fn heads(&self, lanes: &[String]) -> Result<Vec<LaneEntry>, QueueError> {
        Ok(self.line(lanes, 1).await?.into_iter().flatten().collect())
    }

    /// The first entries of each of these lanes.
    pub(super) async fn line(
        &self,
        lanes: &[String],
        most: usize,
    ) -> Result<Vec<Vec<LaneEntry>>, QueueError> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for lane in lanes {
            let walk = if lane.contains('~') { "ZRANGE" } else { "LRANGE" };
            pipe.cmd(walk).arg(self.keys().lane(lane)).arg(0).arg(most.saturating_sub(1));
        }
        let entries: Vec<Vec<String>> = self.run_all("look into the lanes", &pipe).await?;
        let read = |entries: Vec<String>| entries.iter().filter_map(|entry| entry_of(entry)).collect();
        Ok(entries.into_iter().map(read).collect())
    }

    /// Whether these jobs, [`BATCH_MAX`] per round trip, are still to be waited for.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn standings(&self, ids: &[String]) -> Result<Vec<Standing>, QueueError> {
        let k = self.keys();
        let mut standings = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH_MAX) {
            let mut pipe = redis::pipe();
            // The outcome is looked for first: a job that ends in between is open, or ended, and never unknown.
            for id in ids {
                pipe.cmd("HEXISTS").arg(&k.outcomes).arg(id).cmd("HEXISTS").arg(&k.jobs).arg(id);
            }
            let answers: Vec<u8> = self.run_all("look for jobs", &pipe).await?;
            standings.extend(answers.chunks_exact(2).map(|answer| match answer {
                [1, _] => Standing::Ended,
                [_, 0] => Standing::Unknown,
                _ => Standing::Open,
            }));
        }
        Ok(standings)
    }
}
