//! Looking at a queue without touching it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::queue::envelope::Envelope;
use crate::queue::outcome::Outcome;
use crate::queue::scripts::COUNT;
use crate::queue::{Call, Paused, Queue, QueueError};

/// Where a job can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It may start as soon as a worker is free.
    Waiting,
    /// It is due later.
    Delayed,
    /// A worker holds it.
    Running,
    /// It ended, done or cancelled.
    Done,
    /// It is in the dead letter.
    Dead,
}

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
    /// Jobs that are due later.
    pub delayed: u64,
    /// Jobs that workers hold.
    pub running: u64,
    /// Ended jobs that are still kept.
    pub done: u64,
    /// Jobs in the dead letter.
    pub dead: u64,
    /// Counters since the queue began: enqueued, done, retried, dead, reclaimed, ...
    pub totals: BTreeMap<String, u64>,
    /// Who paused the queue, if anybody did.
    pub paused: Option<Paused>,
    /// Since when the oldest waiting job has been ready, ms since 1970.
    pub oldest_ms: Option<i64>,
}

impl Counts {
    /// Jobs that are not at an end.
    pub fn open(&self) -> u64 {
        self.waiting + self.delayed + self.running
    }
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
    /// Its payload.
    pub args: Value,
    /// When it was enqueued, ms since 1970.
    pub enqueued_ms: i64,
    /// Since when or until when it is in that state, ms since 1970: due, leased until, died at, kept until.
    pub state_ms: i64,
    /// How many attempts have been handed out.
    pub attempt: u32,
    /// Who holds it, or held it last.
    pub worker: String,
    /// The schedule that fired it.
    pub schedule: Option<String>,
    /// How earlier attempts ended, oldest first.
    pub trail: Vec<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Who asked it to stop, while it runs.
    pub stop_asked: Option<String>,
    /// What was enqueued, where it cannot be read.
    pub unreadable: Option<String>,
}

impl Queue {
    /// How many jobs are where.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let k = &self.keys;
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&k.classes);
        let classes: Vec<String> = self.run("list classes", &command).await?;
        // All sizes at one instant: a job that moves meanwhile is counted once, and never missed.
        let mut call = Call::on(&[&k.delayed, &k.leases, &k.done, &k.dead, &k.inbox]);
        call.keys.extend(classes.iter().map(|class| k.ready(class)));
        let sizes: Vec<u64> = self.call(&COUNT, &call).await?;
        let mut pipe = redis::pipe();
        pipe.cmd("HGETALL").arg(&k.stats);
        for class in &classes {
            pipe.cmd("ZRANGE").arg(k.ready(class)).arg(0).arg(0).arg("WITHSCORES");
        }
        let answers: Vec<redis::Value> = self.run_all("read counters", &pipe).await?;
        let (totals, heads) =
            answers.split_first().map_or((None, &[][..]), |(totals, heads)| (Some(totals), heads));
        let [delayed, running, done, dead, inbox, waiting @ ..] = sizes.as_slice() else {
            return Ok(Counts::default());
        };
        Ok(Counts {
            waiting: waiting.iter().sum::<u64>() + inbox,
            waiting_by_class: classes.into_iter().zip(waiting.iter().copied()).collect(),
            delayed: *delayed,
            running: *running,
            done: *done,
            dead: *dead,
            totals: totals.and_then(|totals| redis::from_redis_value_ref(totals).ok()).unwrap_or_default(),
            paused: self.paused().await?,
            oldest_ms: heads.iter().filter_map(rank_of_head).min(),
        })
    }

    /// Up to `most` jobs in a state: the next to start, the next due, or the latest to end first.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn list(&self, state: State, most: usize) -> Result<Vec<JobView>, QueueError> {
        let ids = match state {
            State::Waiting => self.waiting_ids(most).await?,
            State::Delayed => self.ids(&self.keys.delayed, false, most).await?,
            State::Running => self.ids(&self.keys.leases, false, most).await?,
            State::Done => self.ids(&self.keys.done, true, most).await?,
            State::Dead => self.ids(&self.keys.dead, true, most).await?,
        };
        let mut views = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(super::BATCH_MAX) {
            views.extend(self.views(chunk).await?.into_iter().flatten());
        }
        Ok(views)
    }

    /// One job, with everything that is known about it.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn show(&self, id: &str) -> Result<Option<JobView>, QueueError> {
        Ok(self.views(&[id.to_owned()]).await?.into_iter().next().flatten())
    }

    /// Whether these jobs, [`BATCH_MAX`](super::BATCH_MAX) per round trip, are still to be waited for.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn standings(&self, ids: &[String]) -> Result<Vec<Standing>, QueueError> {
        let k = &self.keys;
        let mut standings = Vec::with_capacity(ids.len());
        for ids in ids.chunks(super::BATCH_MAX) {
            let mut pipe = redis::pipe();
            // What is ended is looked for first: a job that ends in between is open, or ended, and never unknown.
            pipe.cmd("ZMSCORE").arg(&k.done).arg(ids);
            pipe.cmd("ZMSCORE").arg(&k.dead).arg(ids);
            for id in ids {
                pipe.cmd("HEXISTS").arg(&k.jobs).arg(id);
            }
            let answers: Vec<redis::Value> = self.run_all("look for jobs", &pipe).await?;
            let scores = |place: usize| -> Vec<Option<f64>> {
                let scores = answers.get(place).map(redis::from_redis_value_ref);
                scores.and_then(Result::ok).unwrap_or_default()
            };
            let (done, dead) = (scores(0), scores(1));
            let has_score = |scores: &[Option<f64>], place| scores.get(place).is_some_and(Option::is_some);
            standings.extend((0..ids.len()).map(|place| match answers.get(2 + place) {
                _ if has_score(&done, place) || has_score(&dead, place) => Standing::Ended,
                Some(redis::Value::Int(0)) => Standing::Unknown,
                _ => Standing::Open,
            }));
        }
        Ok(standings)
    }

    async fn ids(&self, set: &str, newest_first: bool, most: usize) -> Result<Vec<String>, QueueError> {
        let mut command = redis::cmd(if newest_first { "ZREVRANGE" } else { "ZRANGE" });
        command.arg(set).arg(0).arg(most.saturating_sub(1));
        self.run("list jobs", &command).await
    }

    async fn waiting_ids(&self, most: usize) -> Result<Vec<String>, QueueError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&self.keys.classes);
        let classes: Vec<String> = self.run("list classes", &command).await?;
        let mut ids = Vec::new();
        for class in classes {
            ids.extend(self.ids(&self.keys.ready(&class), false, most).await?);
        }
        ids.truncate(most);
        Ok(ids)
    }

    async fn views(&self, ids: &[String]) -> Result<Vec<Option<JobView>>, QueueError> {
        let k = &self.keys;
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.cmd("HGET").arg(&k.jobs).arg(id);
            for set in [&k.delayed, &k.leases, &k.done, &k.dead] {
                pipe.cmd("ZSCORE").arg(set).arg(id);
            }
            for hash in [&k.claims, &k.outcomes, &k.trail, &k.cancels] {
                pipe.cmd("HGET").arg(hash).arg(id);
            }
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<redis::Value> = self.run_all("show jobs", &pipe).await?;
        Ok(ids.iter().zip(values.chunks_exact(9)).map(|(id, fields)| self.view(id, fields)).collect())
    }

    fn view(&self, id: &str, fields: &[redis::Value]) -> Option<JobView> {
        let text = |place: usize| -> Option<String> {
            let bytes: Option<Vec<u8>> = redis::from_redis_value_ref(&fields[place]).ok()?;
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        #[expect(clippy::cast_possible_truncation, reason = "scores are whole milliseconds")]
        let score = |place: usize| -> Option<i64> {
            redis::from_redis_value_ref::<Option<f64>>(&fields[place]).ok()?.map(|score| score as i64)
        };
        let wire: Vec<u8> = redis::from_redis_value_ref::<Option<Vec<u8>>>(&fields[0]).ok()??;
        let placed = [(4, State::Dead), (3, State::Done), (2, State::Running), (1, State::Delayed)];
        let (state, state_ms) = placed
            .into_iter()
            .find_map(|(place, state)| Some((state, score(place)?)))
            .unwrap_or((State::Waiting, 0));
        let claim = text(5).unwrap_or_default();
        let mut claim = claim.split(' ');
        let attempt = claim.next().and_then(|attempt| attempt.parse().ok()).unwrap_or(0);
        let worker = claim.nth(6).unwrap_or_default().to_owned();
        let envelope = Envelope::from_wire(&wire);
        let unreadable =
            envelope.is_err().then(|| String::from_utf8_lossy(&wire).chars().take(500).collect());
        let envelope = envelope.ok();
        let args = envelope.as_ref().and_then(|job| serde_json::from_str(job.args.get()).ok());
        Some(JobView {
            id: id.to_owned(),
            queue: self.name.clone(),
            state,
            kind: envelope.as_ref().map(|job| job.kind.clone()).unwrap_or_default(),
            args: args.unwrap_or_default(),
            enqueued_ms: envelope.as_ref().map(|job| job.at).unwrap_or_default(),
            state_ms,
            attempt,
            worker,
            schedule: envelope.and_then(|job| job.schedule),
            trail: text(7).unwrap_or_default().lines().map(ToOwned::to_owned).collect(),
            outcome: text(6).and_then(|json| serde_json::from_str(&json).ok()),
            stop_asked: text(8),
            unreadable,
        })
    }
}

/// The rank of the first of a ready set: since when it could have started.
fn rank_of_head(head: &redis::Value) -> Option<i64> {
    let head: Vec<(String, f64)> = redis::from_redis_value_ref(head).ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "ranks are whole milliseconds")]
    head.first().map(|(_, rank)| *rank as i64)
}
