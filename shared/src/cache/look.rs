//! Looking at a value without touching it.

use serde::Serialize;

use crate::cache::{Caches, Note};
use crate::store::StoreError;

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
    /// When it was refused last, ms since 1970.
    pub refused_ms: Option<i64>,
}

/// Lease, until when, mark, and when it was refused.
type Held = (Option<String>, Option<i64>, Option<String>, Option<i64>);

impl Caches {
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
        let (bytes, left, note, (lease, until, mark, refused_ms), epoch): (
            u64,
            i64,
            Option<String>,
            Held,
            Option<String>,
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
            mark,
            refused_ms,
        })
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

fn starts_with(mark: Option<&str>, count: &str) -> bool {
    mark.and_then(|mark| mark.split(' ').next()) == Some(count)
}
