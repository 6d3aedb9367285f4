//! Reading a value with the whole protocol, in one round trip.

use std::time::Duration;

use serde::Serialize;

use crate::cache::scripts::READ;
use crate::cache::{Entry, Namespace, all_three, ms};
use crate::store::StoreError;

/// What a reader wants beside the value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asking<'a> {
    /// The lease to ask with where there is no value, or an old one; none asks for nothing.
    pub token: Option<&'a str>,
    /// How long whoever loads it may take.
    pub lease: Duration,
    /// Whether the read is counted here, or the reader counts by itself.
    pub is_counted: bool,
    /// By how much it counts among the hot.
    pub hot: u32,
}

/// How good an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The value, fresh.
    Fresh,
    /// The value, which is being loaded again.
    Stale,
    /// It is known that there is none.
    None,
    /// It is missing, and was asked for just now.
    Asked,
    /// It is missing, and somebody loads it.
    Busy,
    /// It is missing, and nobody was asked.
    Missing,
}

/// Why a value is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Nobody has loaded it yet, or long ago.
    Cold,
    /// Its life was over.
    Expired,
    /// Redis needed the memory, or somebody deleted it.
    Evicted,
    /// Something changed what it is made of.
    Invalidated,
    /// It was loaded, and refused.
    Refused,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How good it is.
    pub standing: Standing,
    /// The value as it is stored; empty where there is none.
    pub bytes: Vec<u8>,
    /// For how long it is fresh, ms; below 0 if it was.
    pub fresh_ms: i64,
    /// Why it is missing, where it is.
    pub why: Option<Why>,
}

impl Standing {
    const ALL: [(&'static str, Self); 6] = [
        ("fresh", Self::Fresh),
        ("stale", Self::Stale),
        ("none", Self::None),
        ("asked", Self::Asked),
        ("busy", Self::Busy),
        ("missing", Self::Missing),
    ];
}

impl Why {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Self); 5] = [
        ("cold", Self::Cold),
        ("expired", Self::Expired),
        ("evicted", Self::Evicted),
        ("invalidated", Self::Invalidated),
        ("refused", Self::Refused),
    ];

    /// Its word in metrics and counters.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, why)| *why == self).map_or("cold", |(word, _)| word)
    }
}

impl Namespace {
    /// Reads a value.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn read(&self, entry: &Entry, asking: Asking<'_>) -> Result<Answer, StoreError> {
        let each = self.keys_of(std::iter::once(entry.key.as_str()), all_three);
        let mut call = self.calling(&READ, each);
        call.push(self.caches.clock().for_scripts());
        call.push(self.name());
        call.push(&entry.params);
        call.push(ms(asking.lease));
        call.push(asking.token.unwrap_or(""));
        call.push(u8::from(asking.is_counted));
        call.push(asking.hot);
        let (standing, bytes, fresh_ms, why): (String, Vec<u8>, i64, String) =
            self.caches.call(&call).await?;
        Ok(Answer { standing: standing_of(&standing), bytes, fresh_ms, why: why_of(&why) })
    }
}

fn standing_of(word: &str) -> Standing {
    Standing::ALL
        .iter()
        .find(|(known, _)| *known == word)
        .map_or(Standing::Missing, |(_, standing)| *standing)
}

fn why_of(word: &str) -> Option<Why> {
    Why::ALL.iter().find(|(known, _)| *known == word).map(|(_, why)| *why)
}
