//! Saying that what values are made of has changed.

use std::time::Duration;

use crate::cache::scripts::{INVALIDATE, SWEEP};
use crate::cache::{BATCH_MAX, Caches, Entry, NOBODY, Namespace, all_three, ms};
use crate::store::StoreError;

/// How long marks of values are kept: longer than a load and a replica's lag together may take.
pub const MARKS_KEPT: Duration = Duration::from_mins(15);
/// How long marks of tags are kept at least, for what is being loaded. Values make those of their own tags last.
pub const TAGS_KEPT_MIN: Duration = Duration::from_mins(30);

/// What changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A transaction, which has committed: what was read by somebody who has seen it stays.
    Transaction(u64),
    /// Somebody who is no transaction: whatever is being loaded now is refused.
    Nobody,
}

impl Cause {
    fn text(self) -> String {
        match self {
            Self::Transaction(xid) => xid.to_string(),
            Self::Nobody => "!".to_owned(),
        }
    }

    /// The same from its text; nothing where it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "!" { Some(Self::Nobody) } else { text.parse().ok().map(Self::Transaction) }
    }
}

impl Caches {
    /// Invalidates all values with one of these tags, however many there are. Readers with the whole protocol see
    /// it at once; from a plain `GET` the values go as they are swept.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn invalidate_tags(
        &self,
        tags: &[String],
        cause: Cause,
        kept: Duration,
    ) -> Result<(), StoreError> {
        let tags: Vec<(String, Cause)> = tags.iter().map(|tag| (tag.clone(), cause)).collect();
        self.invalidate_each_tag(&tags, kept).await
    }

    /// The same where each has a cause of its own.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn invalidate_each_tag(
        &self,
        tags: &[(String, Cause)],
        kept: Duration,
    ) -> Result<(), StoreError> {
        // Which warmer is named does not matter: no value of it is touched.
        let any = self.namespace(NOBODY);
        for tags in tags.chunks(BATCH_MAX) {
            any.invalidate_with(&[], tags, kept).await?;
        }
        Ok(())
    }
}

impl Namespace {
    /// The tag that all its values have.
    pub fn tag(&self) -> String {
        format!("~warmer:{}", self.name())
    }

    /// Invalidates values; returns how many of them were there. Parameters may be empty where nobody knows them.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn invalidate(&self, entries: &[Entry], cause: Cause) -> Result<u64, StoreError> {
        let entries: Vec<(Entry, Cause)> = entries.iter().map(|entry| (entry.clone(), cause)).collect();
        self.invalidate_each(&entries).await
    }

    /// The same where each has a cause of its own.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn invalidate_each(&self, entries: &[(Entry, Cause)]) -> Result<u64, StoreError> {
        let mut there = 0;
        for entries in entries.chunks(BATCH_MAX) {
            there += self.invalidate_with(entries, &[], TAGS_KEPT_MIN).await?;
        }
        Ok(there)
    }

    async fn invalidate_with(
        &self,
        entries: &[(Entry, Cause)],
        tags: &[(String, Cause)],
        kept: Duration,
    ) -> Result<u64, StoreError> {
        let each = self.keys_of(entries.iter().map(|(entry, _)| entry.key.as_str()), all_three);
        let mut call = self.calling(&INVALIDATE, each).arg(self.caches.clock().for_scripts());
        call = call.arg(ms(MARKS_KEPT)).arg(ms(kept.max(TAGS_KEPT_MIN)));
        let entries = entries.iter().map(|(entry, cause)| (&entry.params, cause));
        for (what, cause) in entries.chain(tags.iter().map(|(tag, cause)| (tag, cause))) {
            call.push(what);
            call.push(cause.text());
        }
        self.caches.call(&call).await
    }

    /// Takes away those of these values that stand no more; returns how many went.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn sweep(&self, entries: &[Entry]) -> Result<u64, StoreError> {
        let mut gone = 0;
        for entries in entries.chunks(BATCH_MAX) {
            let keys = entries.iter().map(|entry| entry.key.as_str());
            let each = self.keys_of(keys, |keys, all| all.extend([keys.value, keys.note]));
            let mut call = self.calling(&SWEEP, each).arg(self.caches.clock().for_scripts());
            for entry in entries {
                call.push(&entry.params);
            }
            gone += self.caches.call::<u64>(&call).await?;
        }
        Ok(gone)
    }
}
