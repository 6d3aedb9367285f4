//! Every key that the queue engine uses, and what it holds.
//!
//! All keys of a queue share the hash tag `{queue}`, so a script that touches several of them works in a
//! cluster too. Nothing else in the workspace spells a key of the queue.

/// The keys of one queue.
#[derive(Debug, Clone)]
pub struct QueueKeys {
    base: String,
    /// hash: id -> envelope. A job exists while it is in here.
    pub jobs: String,
    /// zset: id -> due, ms.
    pub delayed: String,
    /// zset: id -> leased until, ms. The jobs that run are the members of this set, and nothing else says so.
    pub leases: String,
    /// hash: id -> claim (see `lua/parts/claim.lua`).
    pub claims: String,
    /// hash: worker -> number of jobs it holds.
    pub held: String,
    /// hash: worker -> nonce and ids of its last claim, so that a lost answer can be given again.
    pub calls: String,
    /// hash: id -> lines about attempts that failed or were lost.
    pub trail: String,
    /// zset: id -> kept until, ms.
    pub done: String,
    /// zset: id -> died at, ms.
    pub dead: String,
    /// hash: id -> outcome of a done or dead job, JSON.
    pub outcomes: String,
    /// hash: id -> who asked a running job to stop, and why, in words.
    pub cancels: String,
    /// hash: unique key -> id.
    pub unique: String,
    /// set: classes seen in this queue.
    pub classes: String,
    /// hash: counter -> value, since the queue began.
    pub stats: String,
    /// string: the last fence given out.
    pub fence: String,
    /// string: who paused the queue, and why, JSON; absent while it runs.
    pub paused: String,
    /// list: envelopes pushed by hand or by another language, not yet admitted.
    pub inbox: String,
    /// hash: schedule -> the last instant with a verdict, ms, and behind a blank when it fires, as a hash.
    pub ticks: String,
    /// hash: schedule -> the last job that it enqueued.
    pub tick_jobs: String,
    /// list: verdicts on ticks, newest first, at most 1,000.
    pub tick_log: String,
    /// channel: told when jobs became ready.
    pub wake: String,
    /// channel: told the id of a running job that is to stop.
    pub control: String,
}

impl QueueKeys {
    /// The keys of `queue` under `prefix`.
    pub fn new(prefix: &str, queue: &str) -> Self {
        let base = format!("{prefix}:{{{queue}}}:");
        let key = |name: &str| format!("{base}{name}");
        Self {
            jobs: key("jobs"),
            delayed: key("delayed"),
            leases: key("leases"),
            claims: key("claims"),
            held: key("held"),
            calls: key("calls"),
            trail: key("trail"),
            done: key("done"),
            dead: key("dead"),
            outcomes: key("outcomes"),
            cancels: key("cancels"),
            unique: key("unique"),
            classes: key("classes"),
            stats: key("stats"),
            fence: key("fence"),
            paused: key("paused"),
            inbox: key("inbox"),
            ticks: key("ticks"),
            tick_jobs: key("tick-jobs"),
            tick_log: key("tick-log"),
            wake: key("wake"),
            control: key("control"),
            base,
        }
    }

    /// zset: id -> rank, the jobs of one class that may start now. A class is a kind, with its payload
    /// version behind an `@` from the second version on: workers ask for what they can read and never
    /// touch the rest.
    pub fn ready(&self, class: &str) -> String {
        format!("{}ready:{class}", self.base)
    }
}

/// The keys that belong to no queue.
#[derive(Debug, Clone)]
pub struct FleetKeys {
    /// set: names of the queues that have been used.
    pub queues: String,
    /// zset: worker -> last seen, ms.
    pub workers: String,
    /// hash: worker -> what it is, JSON.
    pub worker_info: String,
    /// string: the scheduler that fires at present.
    pub leader: String,
}

impl FleetKeys {
    /// The keys under `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            queues: format!("{prefix}:queues"),
            workers: format!("{prefix}:workers"),
            worker_info: format!("{prefix}:worker-info"),
            leader: format!("{prefix}:leader"),
        }
    }
}
