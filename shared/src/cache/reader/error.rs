//! Why a value could not be read.

use std::error::Error;
use std::sync::Arc;

use crate::store::StoreError;

/// Why a value could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CacheError {
    /// Redis is out of reach, or did not do what was asked.
    #[error("the cache could not be read")]
    Redis(#[source] Arc<StoreError>),
    /// No worker has told about such a warmer yet.
    #[error(
        "no worker has told about the warmer `{0}` yet; is it in brasa.toml, and has a worker run since?"
    )]
    Unknown(String),
    /// What a worker told about the warmer cannot be understood.
    #[error("what is known about the warmer `{warmer}` cannot be understood: {reason}")]
    Unreadable {
        /// The warmer.
        warmer: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The parameters are not those of the warmer.
    #[error("the warmer `{warmer}` takes the parameters {wanted:?}, and was given {given} of them")]
    Params {
        /// The warmer.
        warmer: String,
        /// Their names.
        wanted: Vec<String>,
        /// How many there were.
        given: usize,
    },
    /// The value is no such JSON.
    #[error("the value is not the JSON that was expected")]
    Json(#[source] Arc<serde_json::Error>),
    /// The value is packed, and cannot be unpacked.
    #[error("the value cannot be unpacked: {0}")]
    Packed(String),
    /// Too many load directly, and their turns took too long.
    #[error("all {0} places of those who load past the cache were taken for too long")]
    Crowded(usize),
    /// The caller's own loader failed.
    #[error("the value could not be loaded past the cache")]
    Loader(#[source] Arc<dyn Error + Send + Sync>),
}

impl CacheError {
    /// Whether the call was wrong, so that nothing else than another call helps.
    pub fn is_of_the_caller(&self) -> bool {
        matches!(self, Self::Params { .. })
    }
}
