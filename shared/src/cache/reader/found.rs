//! What a reader gets.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::cache::Why;
use crate::cache::reader::CacheError;

/// How good an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The value, fresh.
    Fresh,
    /// The value, which is being loaded again; or one that was kept here, while Redis is away.
    Stale,
    /// It is known that there is none.
    None,
    /// It is not there, for this reason.
    Missing(Why),
    /// The cache did not have it, and the caller's loader did.
    Direct,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// How good it is.
    pub state: State,
    /// The value, where there is one.
    pub value: Option<Arc<[u8]>>,
    /// For how long it is fresh from now on; 0 if it is not.
    pub fresh_for: Duration,
    /// How long ago it was put into the cache, where that is known.
    pub age: Option<Duration>,
    /// Whether somebody loads it at present.
    pub is_coming: bool,
}

impl Read {
    /// Whether there is neither a value nor the knowledge that there is none.
    pub fn is_missing(&self) -> bool {
        matches!(self.state, State::Missing(_))
    }

    /// The value as bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// The value as text, where it is one.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The value from JSON; nothing where there is no value.
    ///
    /// # Errors
    /// It is no JSON, or another one.
    pub fn json<T: DeserializeOwned>(&self) -> Result<Option<T>, CacheError> {
        let read = |bytes| serde_json::from_slice(bytes).map_err(|error| CacheError::Json(Arc::new(error)));
        self.bytes().map(read).transpose()
    }

    /// Nothing, for this reason.
    pub(super) fn missing(why: Why, is_coming: bool) -> Self {
        let state = State::Missing(why);
        Self { state, value: None, fresh_for: Duration::ZERO, age: None, is_coming }
    }

    /// What the caller loaded.
    pub(super) fn direct(value: Option<Arc<[u8]>>) -> Self {
        Self { state: State::Direct, value, fresh_for: Duration::ZERO, age: None, is_coming: false }
    }
}

/// A count of milliseconds that is no time where it is below 0.
pub(super) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
