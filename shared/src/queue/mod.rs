//! The queue engine: jobs in Redis, handed out under leases.
//!
//! A job is in exactly one place: a ready set (one per class), the delayed set, the leases, the done set
//! or the dead letter. It moves only inside a script, and every script that settles a job compares the
//! nonce of the claim, so a holder that has been given up changes nothing. All scripts are in `lua/`,
//! their contracts in their headers, their keys in [`keys`].
//!
//! What this is not: it does not know what a kind does, it does not sleep, it starts no tasks. Workers and
//! schedulers call it; it answers.

use redis::{Cmd, FromRedisValue, ToRedisArgs};

use crate::clock::Clock;
use crate::store::Store;

mod admin;
mod claim;
mod enqueue;
pub mod envelope;
mod error;
mod fleet;
mod inspect;
mod keep;
pub mod keys;
pub mod outcome;
mod scripts;
mod settle;
mod tick;
mod wake;

pub use admin::{Cancelled, Paused};
pub use claim::{Asking, Claimant, Claimed, ClaimedJob};
pub use enqueue::Enqueued;
pub use envelope::{Envelope, EnvelopeError};
pub use error::QueueError;
pub use fleet::{Fleet, Leadership, WorkerInfo};
pub use inspect::{Counts, JobView, Standing, State};
pub use keep::Reclaimed;
pub use keys::{FleetKeys, QueueKeys};
pub use outcome::{Ending, Outcome};
pub use settle::{Burial, Finish, HandBack, Held, Renewal, Retry, Settled};
pub use tick::{Tick, TickVerdict, Verdict};
pub use wake::{Wake, listen};

use scripts::Lua;

/// The most jobs that one script call may touch.
pub const BATCH_MAX: usize = 128;
/// A crash counts this many quarters; see `lua/reclaim.lua`.
pub const QUARTERS_PER_CRASH: u32 = 4;

/// How long and how many ended jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Most jobs.
    pub count: u64,
    /// How long, in ms.
    pub age_ms: u64,
}

/// One queue.
#[derive(Debug, Clone)]
pub struct Queue {
    name: String,
    store: Store,
    keys: QueueKeys,
    clock: Clock,
    keep_done: Keep,
    keep_dead: Keep,
}

impl Queue {
    /// The queue `name` under `prefix`, with the default retention.
    pub fn new(store: Store, prefix: &str, name: &str, clock: Clock) -> Self {
        let keys = QueueKeys::new(prefix, name);
        let keep_done = Keep { count: 1_000, age_ms: 3_600_000 };
        let keep_dead = Keep { count: 10_000, age_ms: 30 * 86_400_000 };
        Self { name: name.to_owned(), store, keys, clock, keep_done, keep_dead }
    }

    /// The same queue with another retention of done and dead jobs.
    #[must_use]
    pub fn keeping(mut self, done: Keep, dead: Keep) -> Self {
        (self.keep_done, self.keep_dead) = (done, dead);
        self
    }

    /// The same queue over another connection.
    #[must_use]
    pub fn over(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its keys, for those who look at Redis themselves.
    pub fn keys(&self) -> &QueueKeys {
        &self.keys
    }

    /// The clock that its scripts obey.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How long and how many done jobs it keeps.
    pub fn keep_done(&self) -> Keep {
        self.keep_done
    }

    /// The connection that it uses.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn failed(&self, source: crate::store::StoreError) -> QueueError {
        QueueError::Store { queue: self.name.clone(), source }
    }

    async fn call<T: FromRedisValue>(&self, lua: &'static Lua, call: &Call) -> Result<T, QueueError> {
        self.store
            .run_script(lua.action, &call.command(lua), lua.code)
            .await
            .map_err(|source| self.failed(source))
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

/// The keys and arguments of one script call.
#[derive(Default)]
struct Call {
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Call {
    fn on(keys: &[&String]) -> Self {
        Self { keys: keys.iter().map(|&key| key.clone()).collect(), args: Vec::new() }
    }

    fn arg(mut self, value: impl ToRedisArgs) -> Self {
        self.push(value);
        self
    }

    fn push(&mut self, value: impl ToRedisArgs) {
        value.write_redis_args(&mut self.args);
    }

    fn command(&self, lua: &'static Lua) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(lua.hash()).arg(self.keys.len());
        for key in &self.keys {
            command.arg(key);
        }
        for arg in &self.args {
            command.arg(arg.as_slice());
        }
        command
    }
}

/// The classes that one call touches: each gets a ready key, and jobs refer to it by its place.
#[derive(Default)]
struct Classes(Vec<String>);

impl Classes {
    /// The place of `class`, from 1.
    fn place(&mut self, class: String) -> usize {
        let found = self.0.iter().position(|known| *known == class);
        found.unwrap_or_else(|| {
            self.0.push(class);
            self.0.len() - 1
        }) + 1
    }

    /// The calls that know classes take their ready keys last, and their count and names as arguments.
    fn into_call(self, keys: &QueueKeys, mut call: Call) -> Call {
        call.keys.extend(self.0.iter().map(|class| keys.ready(class)));
        call.push(self.0.len());
        for class in &self.0 {
            call.push(class);
        }
        call
    }
}
