//! What readers need to know about a warmer, as workers tell it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cache::Caches;
use crate::store::StoreError;

/// What readers need to know about a warmer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The template of its keys.
    pub key: String,
    /// The names of its parameters, in their order.
    pub params: Vec<String>,
    /// Whether readers may ask for a value that is missing.
    pub is_askable: bool,
    /// The templates of its tags, and those that its dependencies give it.
    pub tags: Vec<String>,
    /// How long a value is fresh, ms.
    pub ttl_ms: u64,
    /// How long whoever loads a value may take, ms.
    pub lease_ms: u64,
    /// The version of its definition; the one that readers should read, where keys have one.
    pub version: String,
    /// Under which version keys are to be read now, where keys have one: the last that was warmed.
    pub current: String,
    /// The most bytes that a value may have.
    pub bytes_max: u64,
}

impl Caches {
    /// Tells readers about a warmer.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn describe(&self, name: &str, description: &Description) -> Result<(), StoreError> {
        // A description has nothing that JSON has not.
        let text = serde_json::to_string(description).unwrap_or_default();
        let mut set = redis::cmd("HSET");
        set.arg(&self.keys().warmers).arg(name).arg(text);
        self.run::<()>("tell readers about a warmer", &set).await
    }

    /// What workers told about a warmer.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn described(&self, name: &str) -> Result<Option<Description>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(&self.keys().warmers).arg(name);
        let text: Option<String> = self.run("look what is known about a warmer", &get).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// What workers told about all warmers.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn all_described(&self) -> Result<BTreeMap<String, Description>, StoreError> {
        let mut get = redis::cmd("HGETALL");
        get.arg(&self.keys().warmers);
        let texts: BTreeMap<String, String> = self.run("look what is known about warmers", &get).await?;
        let read = |(name, text): (String, String)| Some((name, serde_json::from_str(&text).ok()?));
        Ok(texts.into_iter().filter_map(read).collect())
    }
}
