//! What the processes know of one another: the queues in use, the workers alive, the scheduler that leads.
//!
//! Nothing that must be right rests on any of it: leases and tick ids do that.

use std::time::Duration;

use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::minutes::Minutes;
use crate::queue::scripts::REPORT;
use crate::queue::{Call, FleetKeys};
use crate::store::{Store, StoreError};

/// A worker that has not been seen for this long is gone, in ms of the server's clock.
const GONE_AFTER_MS: i64 = 60_000;

/// A worker that lives says so every 5 s. One that was not seen for this long, by the clock of whoever asks, does
/// not count among those that live; long enough for clocks that differ a little.
const SEEN_WITHIN_MS: i64 = 20_000;

/// What a worker says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its name, as in claims.
    pub worker: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The build.
    pub version: String,
    /// When it began, ms since 1970.
    pub since: i64,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// The classes that it can run.
    pub classes: Vec<String>,
    /// How many jobs it runs at once.
    pub concurrency: usize,
    /// The keys that it opens with: name and print of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<(String, String)>,
}

/// The outcome of a bid for leadership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// This process leads until its term ends.
    Leading,
    /// Another one does.
    Following,
}

/// What the processes know of one another.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub(super) store: Store,
    pub(super) keys: FleetKeys,
    pub(super) clock: Clock,
    prefix: String,
}

impl Fleet {
    /// The fleet under `prefix`.
    pub fn new(store: Store, prefix: &str, clock: Clock) -> Self {
        Self { store, keys: FleetKeys::new(prefix), clock, prefix: prefix.to_owned() }
    }

    /// What all of them have done lately, and how they are.
    pub fn minutes(&self) -> Minutes {
        Minutes::new(self.store.clone(), &self.prefix, self.clock.clone())
    }

    /// Makes a queue known, so that it can be listed.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn add_queue(&self, queue: &str) -> Result<(), StoreError> {
        self.store.run("name a queue", &cmd("SADD", &self.keys.queues).arg(queue).to_owned()).await
    }

    /// The queues that have been used, sorted.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn queues(&self) -> Result<Vec<String>, StoreError> {
        let mut names: Vec<String> =
            self.store.run("list queues", &cmd("SMEMBERS", &self.keys.queues)).await?;
        names.sort();
        Ok(names)
    }

    /// Says that a worker is alive, and forgets those that are not.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn report(&self, info: &WorkerInfo) -> Result<(), StoreError> {
        let keys = REPORT.keys().iter().filter_map(|name| self.keys.named(name));
        let call = Call::new(&REPORT, keys, std::iter::empty())
            .arg(self.clock.for_scripts())
            .arg(GONE_AFTER_MS)
            .arg(&info.worker)
            .arg(serde_json::to_string(info).unwrap_or_default());
        self.store.run_script("report a worker", &call.command, REPORT.code()).await
    }

    /// Says that a worker has ended in good order.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("ZREM").arg(&self.keys.workers).arg(worker).ignore();
        pipe.cmd("HDEL").arg(&self.keys.worker_info).arg(worker).ignore();
        self.store.run_all("sign a worker off", &pipe).await
    }

    /// The workers that were seen in the last minute.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, StoreError> {
        let texts: Vec<String> =
            self.store.run("list workers", &cmd("HVALS", &self.keys.worker_info)).await?;
        Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// Those of them that live, as far as can be told: a worker says so every five seconds.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn live_workers(&self) -> Result<Vec<WorkerInfo>, StoreError> {
        let since = self.clock.now().as_millisecond() - SEEN_WITHIN_MS;
        let mut command = cmd("ZRANGEBYSCORE", &self.keys.workers);
        command.arg(since).arg("+inf");
        let seen: Vec<String> = self.store.run("see who lives", &command).await?;
        let mut workers = self.workers().await?;
        workers.retain(|info| seen.contains(&info.worker));
        Ok(workers)
    }

    /// Bids to be the scheduler that fires, or to remain it, for `term`.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn lead(&self, who: &str, term: Duration) -> Result<Leadership, StoreError> {
        let term_ms = u64::try_from(term.as_millis()).unwrap_or(u64::MAX);
        let mut bid = cmd("SET", &self.keys.leader);
        bid.arg(who).arg("NX").arg("PX").arg(term_ms);
        let won: Option<String> = self.store.run("bid to lead", &bid).await?;
        if won.is_some() {
            return Ok(Leadership::Leading);
        }
        let leader: Option<String> = self.store.run("see who leads", &cmd("GET", &self.keys.leader)).await?;
        if leader.as_deref() != Some(who) {
            return Ok(Leadership::Following);
        }
        // Between the two commands another may have won: two leaders for a moment are only double work.
        self.store.run::<()>("go on leading", cmd("PEXPIRE", &self.keys.leader).arg(term_ms)).await?;
        Ok(Leadership::Leading)
    }

    /// Gives leadership up, so that the next one need not wait for the term to end.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn resign(&self, who: &str) -> Result<(), StoreError> {
        let leader: Option<String> = self.store.run("see who leads", &cmd("GET", &self.keys.leader)).await?;
        if leader.as_deref() == Some(who) {
            self.store.run::<()>("resign", &cmd("DEL", &self.keys.leader)).await?;
        }
        Ok(())
    }
}

fn cmd(name: &str, key: &str) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key);
    command
}
