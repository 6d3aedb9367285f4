//! The cache engine: values under the keys that the application reads, and beside them what keeps them right.
//!
//! A value is what the application wants and nothing else, so any client reads it with a plain `GET`. Beside it
//! stand a note (until when it is fresh, from which snapshot it was read, its tags) and, while somebody loads it
//! or something invalidated it lately, a guard. Whoever loads a value leases it first, and Redis takes the value
//! only if the snapshot that it was read from covers every transaction that invalidated the value, or one of its
//! tags, since then. So a value is never older than what Redis has been told, whoever was slow, killed, or read a
//! replica that lags.
//!
//! What this is not: it knows no SQL and no job, it loads nothing, it starts no tasks. Workers call it; it answers.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline};

use crate::clock::Clock;
use crate::script::{Call, Lua};
use crate::store::{Store, StoreError};

mod codec;
mod description;
mod dictionaries;
mod dictionary;
mod entries;
mod epoch;
mod fill;
mod invalidate;
pub mod keys;
mod look;
mod note;
mod params;
mod read;
pub mod reader;
#[cfg(test)]
mod samples;
mod scripts;
mod stats;
mod train;
mod upkeep;

pub use codec::{Codec, DecodeError, decode, dictionary_of, encode};
pub use description::{Description, PROTOCOL};
pub use dictionary::{DICTIONARY_MAX, Dictionaries, Dictionary, DictionaryError};
pub use entries::{Ask, Before, Due, Entry, Gather};
pub use epoch::{Epoch, Server};
pub use fill::{Content, Filled, Filling, Source};
pub use invalidate::{Cause, MARKS_KEPT, TAGS_KEPT_MIN};
pub use keys::{CacheKeys, EntryKeys, WarmerKeys};
pub use look::Look;
pub use note::Note;
pub use params::{params_of, texts_of};
pub use read::{Answer, Asking, Standing, Why};
pub use reader::{Cache, CacheError, Read, State, Warmed};
pub use scripts::{read_script, script_named};
pub use stats::Stats;
pub use upkeep::Extent;

/// Under which name values are invalidated that are no warmer's; no warmer can be called so.
pub const NOBODY: &str = "~";
/// The most values that one call of a script may touch: while it runs, nobody reads.
pub const BATCH_MAX: usize = 32;

/// The cache of an application.
#[derive(Debug, Clone)]
pub struct Caches {
    inner: Arc<Inner>,
    store: Store,
}

#[derive(Debug)]
struct Inner {
    prefix: String,
    keys: CacheKeys,
    clock: Clock,
}

/// The values of one warmer.
#[derive(Debug, Clone)]
pub struct Namespace {
    caches: Caches,
    name: Arc<str>,
    keys: Arc<WarmerKeys>,
}

impl Caches {
    /// The cache whose keys begin with `prefix`.
    pub fn new(store: Store, prefix: &str, clock: Clock) -> Self {
        let inner = Inner { prefix: prefix.to_owned(), keys: CacheKeys::new(prefix), clock };
        Self { inner: Arc::new(inner), store }
    }

    /// The same over another connection.
    #[must_use]
    pub fn over(&self, store: Store) -> Self {
        Self { inner: Arc::clone(&self.inner), store }
    }

    /// The values of the warmer `name`.
    pub fn namespace(&self, name: &str) -> Namespace {
        let keys = WarmerKeys::new(&self.inner.prefix, name);
        Namespace { caches: self.clone(), name: name.into(), keys: Arc::new(keys) }
    }

    /// The keys that all warmers share.
    pub fn keys(&self) -> &CacheKeys {
        &self.inner.keys
    }

    /// What stands beside the value at `key`.
    pub fn entry(&self, key: &str) -> EntryKeys {
        EntryKeys::new(&self.inner.prefix, key)
    }

    /// The connection that it uses.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The clock that its scripts obey.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    fn calling(&self, lua: &'static Lua) -> Call {
        let fixed = lua.keys().iter().filter_map(|name| self.inner.keys.named(name));
        Call::new(lua, fixed, std::iter::empty::<String>())
    }

    async fn call<T: FromRedisValue>(&self, call: &Call) -> Result<T, StoreError> {
        self.store.run_script(call.lua.action, &call.command, call.lua.code()).await
    }

    async fn run<T: FromRedisValue>(&self, action: &'static str, command: &Cmd) -> Result<T, StoreError> {
        self.store.run(action, command).await
    }

    async fn run_all<T: FromRedisValue>(
        &self,
        action: &'static str,
        pipe: &Pipeline,
    ) -> Result<T, StoreError> {
        self.store.run_all(action, pipe).await
    }
}

impl Namespace {
    /// The name of the warmer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its keys.
    pub fn keys(&self) -> &WarmerKeys {
        &self.keys
    }

    /// The cache that it is a part of.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// A call of a script with its keys, and those of single values behind them.
    fn calling(&self, lua: &'static Lua, each: Vec<String>) -> Call {
        let shared = &self.caches.inner.keys;
        let fixed = lua.keys().iter().filter_map(|name| shared.named(name).or_else(|| self.keys.named(name)));
        Call::new(lua, fixed, each.into_iter())
    }

    /// The keys of values, as many of each as the script wants.
    fn keys_of<'k>(
        &self,
        keys: impl Iterator<Item = &'k str>,
        wanted: impl Fn(EntryKeys, &mut Vec<String>),
    ) -> Vec<String> {
        let mut all = Vec::new();
        for key in keys {
            wanted(self.caches.entry(key), &mut all);
        }
        all
    }
}

/// Value, note and guard: what most scripts want.
fn all_three(keys: EntryKeys, all: &mut Vec<String>) {
    all.extend([keys.value, keys.note, keys.guard]);
}

/// A duration as scripts take it.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 50)
}
