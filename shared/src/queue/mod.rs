//! The queue engine: jobs in Redis, handed out under leases.
//!
//! A job is in exactly one place: a lane, where it waits to be claimed; the delayed set; among those that wait
//! for others; claimed; done; or the dead letter. It moves only inside a script, and every script that settles a
//! job compares the nonce of the claim, so a holder that has been given up changes nothing. All scripts are in
//! `lua/`, their contracts in their headers, their keys in [`keys`].
//!
//! What this is not: it does not know what a kind does, it does not sleep, it starts no tasks. Workers and
//! schedulers call it; it answers.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue};

use crate::clock::Clock;
use crate::seal::Keyring;
use crate::store::Store;

mod admin;
mod await_end;
mod claim;
mod coalesce;
mod enqueue;
pub mod envelope;
mod error;
mod explain;
mod fleet;
mod flow;
mod graves;
mod history;
mod inspect;
mod keep;
pub mod keys;
mod lane;
mod limit;
mod notes;
pub mod outcome;
mod pauses;
mod ready;
mod reclaim;
mod reseal;
mod scripts;
mod sealing;
mod search;
mod settle;
mod tick;
mod view;
mod wake;
mod wire;

pub use admin::{Cancelled, Paused};
pub use claim::{Asking, Claimant, Claimed, ClaimedJob, Company, HandedOver, OFFER};
pub use enqueue::Enqueued;
pub use envelope::{Envelope, EnvelopeError, Link, OnConflict, UniqueUntil};
pub use error::QueueError;
pub use explain::Why;
pub use fleet::{Fleet, Leadership, WorkerInfo};
pub use flow::{FLOW_MAX, Flow, FlowError};
pub use graves::Grave;
pub use history::{ENTRIES_MAX, Ended, Telling, VALUE_MAX, Waiting};
pub use inspect::{Counts, Standing};
pub use keys::{FleetKeys, QueueKeys};
pub use lane::{PRIORITY_MAX, SUSPECT_FROM, class_of, is_suspect};
pub use limit::{Limit, LimitScope};
pub use notes::{LOG_MAX, Note};
pub use outcome::{Ending, Outcome};
pub use pauses::SchedulePause;
pub use reclaim::{Reclaimed, Witnessed};
pub use reseal::{Census, Resealed};
pub use scripts::script_named;
pub use search::{Found, Search};
pub use settle::{Burial, Finish, HandBack, Held, Renewal, Retry, Settled};
pub use tick::{Tick, TickVerdict, Verdict};
pub use view::{JobView, State};
pub use wake::{Wake, listen};

use coalesce::Coalesce;

use crate::script::{Call, Lua};

/// The most jobs that one script call may touch.
pub const BATCH_MAX: usize = 128;
/// The most where each of them has to be looked for in several places, so that no call holds Redis up for long.
pub const COSTLY_MAX: usize = 32;
/// A crash counts this many quarters; see `lua/reclaim.lua`.
pub const QUARTERS_PER_CRASH: u32 = 4;

/// How long and how many ended jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Most jobs.
    pub count: u64,
    /// How long, in ms.
    pub age_ms: u64,
    /// Most bytes of envelopes and outcomes; 0 is no limit.
    pub bytes: u64,
}

/// What a queue may hold before it takes no more; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Most open jobs.
    pub jobs: u64,
    /// Most bytes of envelopes and outcomes.
    pub bytes: u64,
}

/// One queue.
#[derive(Debug, Clone)]
pub struct Queue {
    inner: Arc<Inner>,
    store: Store,
}

#[derive(Debug, Clone)]
struct Inner {
    prefix: String,
    name: String,
    keys: QueueKeys,
    clock: Clock,
    keep_done: Keep,
    keep_dead: Keep,
    budget: Budget,
    ageing_ms: u64,
    limits: Vec<Limit>,
    /// What the history is told of ended jobs; nothing where there is none.
    telling: Option<Telling>,
    /// What it seals with; nothing where nothing is sealed.
    keyring: Option<Arc<Keyring>>,
    /// Who speaks: answers to its words are remembered under this name.
    voice: String,
    /// Callers that enqueue at the same time.
    coalesce: Arc<Coalesce>,
}

/// What a step of priority is worth where nothing else is said, in ms.
pub const AGEING_MS: u64 = 60_000;

impl Queue {
    /// The queue `name` under `prefix`, with the default retention.
    pub fn new(store: Store, prefix: &str, name: &str, clock: Clock) -> Self {
        let inner = Inner {
            prefix: prefix.to_owned(),
            name: name.to_owned(),
            keys: QueueKeys::new(prefix, name),
            clock,
            keep_done: Keep { count: 1_000, age_ms: 3_600_000, bytes: 0 },
            keep_dead: Keep { count: 10_000, age_ms: 30 * 86_400_000, bytes: 0 },
            budget: Budget::default(),
            ageing_ms: AGEING_MS,
            limits: Vec::new(),
            telling: None,
            keyring: None,
            voice: claim::fresh_nonce(),
            coalesce: Arc::default(),
        };
        Self { inner: Arc::new(inner), store }
    }

    /// The same queue with another retention of done and dead jobs.
    #[must_use]
    pub fn keeping(mut self, done: Keep, dead: Keep) -> Self {
        let inner = self.changed();
        (inner.keep_done, inner.keep_dead) = (done, dead);
        self
    }

    /// The same queue with a bound on what it holds.
    #[must_use]
    pub fn within(mut self, budget: Budget) -> Self {
        self.changed().budget = budget;
        self
    }

    /// The same queue with limits on what runs at once and how often something starts.
    #[must_use]
    pub fn limited(mut self, limits: Vec<Limit>) -> Self {
        self.changed().limits = limits;
        self
    }

    /// The same queue where a step of priority is worth this much waiting, in ms.
    #[must_use]
    pub fn ageing(mut self, step_ms: u64) -> Self {
        self.changed().ageing_ms = step_ms;
        self
    }

    /// The same queue for somebody who speaks under a name of its own, and says one thing after the other.
    #[must_use]
    pub fn as_voice(mut self, voice: &str) -> Self {
        voice.clone_into(&mut self.changed().voice);
        self
    }

    /// The same queue over another connection.
    #[must_use]
    pub fn over(mut self, store: Store) -> Self {
        self.store = store;
        self.changed();
        self
    }

    /// What is to be said otherwise. Company is kept with those only who say the same.
    fn changed(&mut self) -> &mut Inner {
        let inner = Arc::make_mut(&mut self.inner);
        inner.coalesce = Arc::default();
        inner
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its keys, for those who look at Redis themselves.
    pub fn keys(&self) -> &QueueKeys {
        &self.inner.keys
    }

    /// The clock that its scripts obey.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// How long and how many done jobs it keeps.
    pub fn keep_done(&self) -> Keep {
        self.inner.keep_done
    }

    /// The connection that it uses.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The limits on what runs at once and how often something starts.
    pub fn limits(&self) -> &[Limit] {
        &self.inner.limits
    }

    /// What it may hold.
    pub fn budget(&self) -> Budget {
        self.inner.budget
    }

    fn failed(&self, source: crate::store::StoreError) -> QueueError {
        QueueError::Store { queue: self.name().to_owned(), source }
    }

    /// A call of a script with its keys, and the keys of these lanes behind them.
    fn calling(&self, lua: &'static Lua, lanes: &[String]) -> Call {
        let k = self.keys();
        let fixed = lua.keys().iter().filter_map(|name| k.named(name));
        Call::new(lua, fixed, lanes.iter().map(|lane| k.lane(lane)))
    }

    async fn call<T: FromRedisValue>(&self, call: &Call) -> Result<T, QueueError> {
        let answer = self.store.run_script(call.lua.action, &call.command, call.lua.code()).await;
        answer.map_err(|source| self.failed(source))
    }

    async fn run<T: FromRedisValue>(&self, action: &'static str, command: &Cmd) -> Result<T, QueueError> {
        self.store.run(action, command).await.map_err(|source| self.failed(source))
    }

    async fn run_all<T: FromRedisValue>(
        &self,
        action: &'static str,
        pipe: &redis::Pipeline,
    ) -> Result<T, QueueError> {
        self.store.run_all(action, pipe).await.map_err(|source| self.failed(source))
    }
}

impl Call {
    /// The number of lanes and their names: what calls say that must know them.
    fn lanes(mut self, lanes: &[String]) -> Self {
        self.push(lanes.len());
        for lane in lanes {
            self.push(lane);
        }
        self
    }
}

/// The lanes that one call touches: each gets a key, and jobs refer to it by its place.
#[derive(Default)]
struct Lanes(Vec<String>);

impl Lanes {
    /// The same for a lane that has a name already.
    fn place_of(&mut self, lane: &str) -> usize {
        match self.0.iter().position(|known| known == lane) {
            Some(found) => found + 1,
            None => self.place(lane.to_owned()),
        }
    }

    /// The place of `lane`, from 1.
    fn place(&mut self, lane: String) -> usize {
        let found = self.0.iter().position(|known| *known == lane);
        found.unwrap_or_else(|| {
            self.0.push(lane);
            self.0.len() - 1
        }) + 1
    }
}
