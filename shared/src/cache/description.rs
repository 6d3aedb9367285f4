//! What readers need to know about a warmer, as workers tell it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cache::scripts::DESCRIBE;
use crate::cache::{Caches, read_script};
use crate::store::StoreError;

/// The version of what readers in other languages rely on: keys, arguments and answer of the script `read`, the
/// fields below, and how values are packed. What is added changes nothing; docs/cache.md has all of it.
pub const PROTOCOL: u32 = 1;

/// What readers need to know about a warmer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Which protocol its values are read by.
    #[serde(default)]
    pub protocol: u32,
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
    /// Tells readers about a warmer, whatever they were told before.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn describe(&self, name: &str, description: &Description) -> Result<(), StoreError> {
        self.redescribe(name, |_| Some(description.clone())).await.map(drop)
    }

    /// Changes what readers are told about a warmer: `change` is given what that is, and answers what it is to be, or
    /// nothing where it is to stay. While a deploy goes on several workers tell of one warmer, and none of them undoes
    /// what another one told after it looked: `change` is asked again then.
    ///
    /// Returns what readers were told before.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn redescribe(
        &self,
        name: &str,
        change: impl Fn(Option<&Description>) -> Option<Description>,
    ) -> Result<Option<Description>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(&self.keys().warmers).arg(name);
        // Who has to look again lost to somebody who told something, so this comes to an end.
        loop {
            let text: Option<String> = self.run("look what is known about a warmer", &get).await?;
            let known = text.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let Some(wanted) = change(known.as_ref()) else { return Ok(known) };
            // A description has nothing that JSON has not.
            let wanted = serde_json::to_string(&wanted).unwrap_or_default();
            let call = self.calling(&DESCRIBE).arg(name).arg(text.unwrap_or_default()).arg(wanted);
            if self.call(&call).await? {
                return Ok(known);
            }
        }
    }

    /// Tells readers in other languages the script that they send, unless they have been told.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn publish_script(&self) -> Result<(), StoreError> {
        if self.published_script().await?.as_deref() == Some(read_script()) {
            return Ok(());
        }
        let mut set = redis::cmd("SET");
        set.arg(&self.keys().script).arg(read_script());
        self.run::<()>("tell readers the script", &set).await
    }

    /// The script that readers in other languages send.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn published_script(&self) -> Result<Option<String>, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(&self.keys().script);
        self.run("look which script readers send", &get).await
    }

    /// Whether readers find what they need, or somebody has taken it away.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn is_told(&self) -> Result<bool, StoreError> {
        let mut exist = redis::cmd("EXISTS");
        exist.arg(&self.keys().script).arg(&self.keys().warmers);
        Ok(self.run::<u64>("look whether readers are told", &exist).await? == 2)
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
