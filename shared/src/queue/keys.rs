//! Every key that the queue engine uses, and what it holds.
//!
//! All keys of a queue share the hash tag `{queue}`, so a script that touches several of them works in a
//! cluster too. Nothing else in the workspace spells a key of the queue; scripts name them as they are named
//! here.

macro_rules! keys {
    ($($(#[doc = $help:literal])+ $name:ident = $key:literal,)*) => {
        /// The keys of one queue.
        #[derive(Debug, Clone)]
        pub struct QueueKeys {
            base: String,
            $($(#[doc = $help])+ pub $name: String,)*
        }

        impl QueueKeys {
            /// The keys of `queue` under `prefix`.
            pub fn new(prefix: &str, queue: &str) -> Self {
                let base = format!("{prefix}:{{{queue}}}:");
                let key = |name: &str| format!("{base}{name}");
                Self { $($name: key($key),)* base }
            }

            /// The key that scripts call `name`.
            pub(crate) fn named(&self, name: &str) -> Option<&str> {
                match name {
                    $(stringify!($name) => Some(&self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

keys! {
    /// hash: id -> envelope. A job exists while it is in here.
    jobs = "jobs",
    /// zset: id -> due, ms.
    delayed = "delayed",
    /// hash: id -> how many jobs it still waits for.
    blocked = "blocked",
    /// set: `parent child`, for every job that another waits for.
    links = "links",
    /// hash: id -> claim (see `lua/parts/claim.lua`), from the first time that a job is handed out.
    claims = "claims",
    /// zset: nonce of a claim -> its jobs are leased until, ms.
    terms = "terms",
    /// hash: nonce of a claim -> its first fence, and the entries of its jobs, a line each.
    batches = "batches",
    /// hash: nonce of a claim -> its worker, and since when, ms.
    owners = "owners",
    /// hash: nonce of a claim -> how many of its jobs have not ended.
    open = "open",
    /// zset: id -> leased until, ms, for jobs whose lease was renewed.
    leases = "leases",
    /// hash: worker -> number of jobs it holds.
    held = "held",
    /// hash: worker -> nonce of its last claim, so that a lost answer can be given again.
    calls = "calls",
    /// zset: worker -> until when jobs may be handed over to it, ms.
    offers = "offers",
    /// hash: worker -> the claim that they are handed over under (see `lua/parts/hand_out.lua`).
    offered = "offered",
    /// hash: who -> its last word about jobs and the answers to it, so that they can be given again.
    said = "said",
    /// hash: id -> lines about attempts that failed or were lost.
    trail = "trail",
    /// hash: id -> how far it is, JSON.
    notes = "notes",
    /// hash: id -> what its handler logged.
    logs = "logs",
    /// list: `until bytes id id ...`, jobs that ended together, oldest first.
    done = "done",
    /// zset: id -> kept until, ms, for ended jobs that are kept for a time of their own.
    kept = "kept",
    /// zset: id -> died at, ms.
    dead = "dead",
    /// hash: id -> outcome of a done or dead job, JSON.
    outcomes = "outcomes",
    /// hash: id -> who asked a running job to stop, and why, in words.
    cancels = "cancels",
    /// hash: unique key -> id, since and until when, ms.
    unique = "unique",
    /// zset: unique key -> when the window is over that it is taken for, ms.
    windows = "windows",
    /// hash: id -> the unique key that is to be freed when it starts.
    locks = "locks",
    /// set: names of the lanes seen in this queue.
    lanes = "lanes",
    /// hash: id -> how many entries of lanes stand for nothing any more, and the highest rank that one can have;
    /// the sum of all under the empty name.
    gone = "gone",
    /// hash: lane -> the place that is being served there, where jobs have share keys.
    serving = "serving",
    /// hash: lane and share key -> the last place that the key was given there, while it has jobs waiting.
    shares = "shares",
    /// zset: `share lane entry`, jobs whose share key is at its limit.
    parked = "parked",
    /// zset: share key that has parked jobs -> when to look again, ms.
    waits = "waits",
    /// hash: what is limited -> how many jobs of it run.
    running = "running",
    /// zset: what is limited -> when its rate is idle again, ms.
    rates = "rates",
    /// hash: id -> 1, for jobs whose end somebody waits for.
    waiters = "waiters",
    /// hash: counter -> value, since the queue began.
    stats = "stats",
    /// hash: how many ended jobs are kept, and the bytes that they take; the bytes of what waits in `history`, and how
    /// many jobs had to go from there and were not told of yet.
    counts = "counts",
    /// stream: what ended and is not written down in Postgres yet (see `lua/parts/history.lua`).
    history = "history",
    /// string: how many bytes of it may wait; absent where nobody writes it down.
    history_room = "history-room",
    /// string: the worker that writes it down at present.
    historian = "historian",
    /// string: bytes of all envelopes and outcomes.
    bytes = "bytes",
    /// string: the last fence given out.
    fence = "fence",
    /// string: who paused the queue, and why, JSON; absent while it runs.
    paused = "paused",
    /// string: who closed the queue to new jobs, and why, JSON; absent while it is open.
    door = "door",
    /// list: envelopes pushed by hand or by another language, not yet admitted.
    inbox = "inbox",
    /// hash: schedule -> the last instant with a verdict, ms, and behind a blank when it fires, as a hash.
    ticks = "ticks",
    /// hash: schedule -> the last job that it enqueued.
    tick_jobs = "tick-jobs",
    /// list: verdicts on ticks, newest first, at most 1,000.
    tick_log = "tick-log",
    /// channel: told the name of a lane when jobs became ready in it, or nothing for any.
    wake = "wake",
    /// channel: told the id of a running job that is to stop.
    control = "control",
    /// channel: told the id of a job that ended, where somebody waits for it.
    ended = "ended",
}

impl QueueKeys {
    /// list, or zset where jobs have share keys: the jobs of one lane that may start now (see
    /// `lua/parts/lane.lua`). Workers ask for the lanes that they can run and never touch the rest.
    pub fn lane(&self, name: &str) -> String {
        format!("{}lane:{name}", self.base)
    }

    /// channel: told the jobs that are handed over to this worker.
    pub fn hand(&self, worker: &str) -> String {
        format!("{}hand:{worker}", self.base)
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
    /// hash: schedule -> since when and until when somebody has paused it, ms, and who and why, JSON.
    pub schedule_pauses: String,
}

impl FleetKeys {
    /// The keys under `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            queues: format!("{prefix}:queues"),
            workers: format!("{prefix}:workers"),
            worker_info: format!("{prefix}:worker-info"),
            leader: format!("{prefix}:leader"),
            schedule_pauses: format!("{prefix}:schedule-pauses"),
        }
    }

    /// The key that scripts call `name`.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        match name {
            "workers" => Some(&self.workers),
            "worker_info" => Some(&self.worker_info),
            "schedule_pauses" => Some(&self.schedule_pauses),
            _ => None,
        }
    }
}
