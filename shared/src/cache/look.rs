//! Looking at a value without touching it.

use std::time::Duration;

use serde::Serialize;

use crate::cache::invalidate::MARKS_KEPT;
use crate::cache::{Caches, Cause, Note, ms};
use crate::store::StoreError;

/// Whoever takes a lease keeps the guard for less than this, ms: a longer life it has from what invalidated the value.
const KEPT_BY_LEASE_MS: u64 = 90_000;

/// Everything that is known about a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Look {
    /// Its length as stored; none if it is not there.
    pub bytes: Option<u64>,
    /// How long it still stands, ms; none where it is not there or has no end.
    pub left_ms: Option<u64>,
    /// What is known about it.
    pub note: Option<Note>,
    /// Whether nothing has invalidated it since it was put there.
    pub is_standing: bool,
    /// Its tags whose marks have changed since, or are lost.
    pub changed_tags: Vec<String>,
    /// Whether the epoch is another one now.
    pub is_of_another_epoch: bool,
    /// The lease of whoever loads it, and until when, ms since 1970.
    pub lease: Option<(String, i64)>,
    /// The mark of what invalidated it lately.
    pub mark: Option<String>,
    /// How long ago the mark last changed, ms; none where that is too long ago to tell.
    pub marked_ms: Option<u64>,
    /// When it was refused last, ms since 1970.
    pub refused_ms: Option<i64>,
}

impl Look {
    /// What invalidated it lately, the latest first.
    pub fn causes(&self) -> Vec<Cause> {
        let Some(mark) = &self.mark else { return Vec::new() };
        // Behind the two words that tell marks apart stand `count:transaction`, or `count:!`.
        let told = mark.split(' ').skip(2).filter_map(|one| one.split_once(':'));
        told.filter_map(|(_, xid)| Cause::parse(xid)).collect()
    }
}

/// Lease, until when, mark, and when it was refused.
type Held = (Option<String>, Option<i64>, Option<String>, Option<i64>);

impl Caches {
    /// When the first of the values at these keys ends; none where none is there, or none ends.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn soonest_end(&self, keys: &[String]) -> Result<Option<Duration>, StoreError> {
        if keys.is_empty() {
            return Ok(None);
        }
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.cmd("PTTL").arg(&self.entry(key).value);
        }
        let left: Vec<i64> = self.run_all("ask when values end", &pipe).await?;
        // What is not there, or does not end, is below 0.
        Ok(left.iter().filter_map(|left| u64::try_from(*left).ok()).min().map(Duration::from_millis))
    }

    /// Looks at the value at `key`.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn look(&self, key: &str) -> Result<Look, StoreError> {
        let keys = self.entry(key);
        let mut pipe = redis::pipe();
        pipe.cmd("STRLEN").arg(&keys.value);
        pipe.cmd("PTTL").arg(&keys.value);
        pipe.cmd("GET").arg(&keys.note);
        pipe.cmd("HMGET").arg(&keys.guard).arg("lease").arg("until").arg("mark").arg("refused");
        pipe.cmd("HGET").arg(&self.keys().tags).arg("");
        pipe.cmd("PTTL").arg(&keys.guard);
        let (bytes, left, note, (lease, until, mark, refused_ms), epoch, kept): (
            u64,
            i64,
            Option<String>,
            Held,
            Option<String>,
            i64,
        ) = self.run_all("look at a value", &pipe).await?;
        let note = note.as_deref().and_then(Note::parse);
        let marks = self.marks(note.as_ref().map_or(&[], |note| &note.tags)).await?;
        let is_there = left != -2;
        let changed = |note: &Note| {
            let pairs = note.tags.iter().zip(&marks);
            let changed = pairs.filter(|((_, count), mark)| !starts_with(mark.as_deref(), count));
            changed.map(|((tag, _), _)| tag.clone()).collect()
        };
        Ok(Look {
            bytes: is_there.then_some(bytes),
            left_ms: u64::try_from(left).ok(),
            is_standing: note.as_ref().is_some_and(|note| note.stands(epoch.as_deref(), &marks)),
            changed_tags: note.as_ref().map_or_else(Vec::new, changed),
            is_of_another_epoch: note
                .as_ref()
                .is_some_and(|note| !starts_with(epoch.as_deref(), &note.epoch)),
            note,
            lease: lease.zip(until),
            marked_ms: mark.as_ref().and_then(|_| marked(kept)),
            mark,
            refused_ms,
        })
    }

    /// The values at these keys, as they are stored.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn values(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.run("fetch values", redis::cmd("MGET").arg(keys)).await
    }

    /// The marks of these tags.
    async fn marks(&self, tags: &[(String, String)]) -> Result<Vec<Option<String>>, StoreError> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = redis::cmd("HMGET");
        get.arg(&self.keys().tags);
        for (tag, _) in tags {
            get.arg(tag);
        }
        self.run("look at the marks of tags", &get).await
    }
}

/// How long ago a mark last changed, by how much longer its guard is kept.
fn marked(kept_ms: i64) -> Option<u64> {
    let kept = u64::try_from(kept_ms).ok().filter(|kept| *kept > KEPT_BY_LEASE_MS)?;
    Some(ms(MARKS_KEPT).saturating_sub(kept))
}

fn starts_with(mark: Option<&str>, count: &str) -> bool {
    mark.and_then(|mark| mark.split(' ').next()) == Some(count)
}
