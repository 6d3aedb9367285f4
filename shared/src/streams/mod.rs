//! Rows on their way to Postgres: streams of Redis that applications add to with a plain `XADD`.
//!
//! A name of the configuration has one stream or several, `PREFIX:writes:{NAME:PART}`. An entry has a field `d` with the
//! row, a JSON object. Whoever owns a stream reads behind the last entry that Postgres says is written, and trims what it
//! has written; there is no group, nothing is acknowledged, and what Redis remembers decides about nothing.

use std::time::Duration;

use rand::RngExt as _;

use crate::place::Place;
use crate::script::Call;
use crate::store::{Store, StoreError};

mod entry;
mod keys;
mod safety;
mod scripts;

pub use entry::Entry;
pub use safety::Safety;
use scripts::ADD;
pub use scripts::script_named;

/// How long it is remembered that rows were added, should the answer be lost and the call be sent again.
const TOLD_FOR: Duration = Duration::from_mins(1);
/// How many rows one call adds at most.
pub const ADD_MAX: usize = 500;

/// The streams of a prefix.
#[derive(Debug, Clone)]
pub struct Streams {
    store: Store,
    prefix: String,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Which, in which life, with which history: another one after each restart and each failover.
    pub id: String,
    /// Whether it has been a replica, and took over.
    pub was_replica: bool,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Entries, with those that are written and not trimmed yet.
    pub entries: u64,
    /// The first of them.
    pub first: Option<Place>,
    /// The last that was ever added.
    pub last: Place,
    /// What they take, in bytes; zero where Redis does not say.
    pub bytes: u64,
}

/// What became of rows that were to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// They are in the stream. So many of the oldest had to go for it.
    Done {
        /// How many had to go.
        dropped: u64,
    },
    /// There is no room: none of them was added.
    Full,
}

/// How much a stream may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Entries.
    pub entries: u64,
    /// Whether the oldest go where there is no room.
    pub drops_oldest: bool,
}

impl Streams {
    /// The streams under this prefix.
    pub fn new(store: Store, prefix: &str) -> Self {
        Self { store, prefix: prefix.to_owned() }
    }

    /// The key of a stream.
    pub fn key(&self, name: &str, part: i32) -> String {
        keys::stream(&self.prefix, name, part)
    }

    /// Which server this is.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn server(&self) -> Result<Origin, StoreError> {
        let info: String = self.store.run("be asked who it is", &redis::cmd("INFO")).await?;
        let field = |name: &str| {
            let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            found.unwrap_or_default().trim().to_owned()
        };
        // Who has always been a primary has no second history.
        let was_replica = field("master_replid2").chars().any(|digit| digit != '0');
        Ok(Origin { id: format!("{} {}", field("run_id"), field("master_replid")), was_replica })
    }

    /// Entries behind a place, up to `most` of them.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn read(
        &self,
        name: &str,
        part: i32,
        after: Place,
        most: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut range = redis::cmd("XRANGE");
        range.arg(self.key(name, part)).arg(after.next().to_string()).arg("+").arg("COUNT").arg(most);
        let found: Vec<redis::Value> = self.store.run("read rows that are to be written", &range).await?;
        Ok(found.into_iter().filter_map(Entry::of).collect())
    }

    /// Takes away entries up to a place, which are written; returns how many.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn trim(&self, name: &str, part: i32, up_to: Place) -> Result<u64, StoreError> {
        let mut trim = redis::cmd("XTRIM");
        trim.arg(self.key(name, part)).arg("MINID").arg(up_to.next().to_string());
        self.store.run("take away rows that are written", &trim).await
    }

    /// What a stream holds.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn extent(&self, name: &str, part: i32) -> Result<Extent, StoreError> {
        let key = self.key(name, part);
        let mut pipe = redis::pipe();
        pipe.cmd("EXISTS").arg(&key);
        pipe.cmd("XLEN").arg(&key);
        pipe.cmd("XRANGE").arg(&key).arg("-").arg("+").arg("COUNT").arg(1);
        pipe.cmd("MEMORY").arg("USAGE").arg(&key);
        let (is_there, entries, first, bytes): (bool, u64, Vec<redis::Value>, Option<u64>) =
            self.store.run_all("look at rows that wait", &pipe).await?;
        let last = if is_there { self.last(&key).await? } else { Place::default() };
        let first = first.into_iter().find_map(Entry::of).map(|entry| entry.place);
        Ok(Extent { entries, first, last, bytes: bytes.unwrap_or(0) })
    }

    async fn last(&self, key: &str) -> Result<Place, StoreError> {
        let mut info = redis::cmd("XINFO");
        info.arg("STREAM").arg(key);
        let fields: std::collections::HashMap<String, redis::Value> =
            self.store.run("look at rows that wait", &info).await?;
        let last = fields.get("last-generated-id").cloned();
        let last = last.and_then(|value| redis::from_redis_value::<String>(value).ok());
        Ok(last.and_then(|id| id.parse().ok()).unwrap_or_default())
    }

    /// Makes sure that entries to come are behind a place: a server that lost its memory, or another one whose clock is
    /// slow, would give them ids that count as written.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn begin_behind(&self, name: &str, part: i32, place: Place) -> Result<(), StoreError> {
        let key = self.key(name, part);
        let mut pass = redis::pipe();
        // An entry that is taken away again leaves its id behind as the last one.
        pass.atomic().cmd("XADD").arg(&key).arg(place.to_string()).arg("d").arg("").ignore();
        pass.cmd("XDEL").arg(&key).arg(place.to_string()).ignore();
        self.store.run_all("go on behind what is written", &pass).await
    }

    /// Adds rows to a stream, all or none.
    ///
    /// # Errors
    /// Redis is out of reach or full. Whether they were added is not known then.
    pub async fn add(&self, name: &str, part: i32, rows: &[&[u8]], room: Room) -> Result<Added, StoreError> {
        self.add_numbered(name, part, rows, room, None).await
    }

    /// The same with numbers, from this one of this producer on: what comes again is not written again, so that it may be
    /// added again where nobody knows whether it was.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn add_numbered(
        &self,
        name: &str,
        part: i32,
        rows: &[&[u8]],
        room: Room,
        first: Option<(&str, i64)>,
    ) -> Result<Added, StoreError> {
        let stream = self.key(name, part);
        let token: u64 = rand::rng().random();
        let told = keys::told(&stream, token);
        let mut call = Call::new(&ADD, [stream.as_str()].into_iter(), [told].into_iter());
        call.push(room.entries);
        call.push(u8::from(room.drops_oldest));
        call.push(u64::try_from(TOLD_FOR.as_millis()).unwrap_or(u64::MAX));
        let (producer, number) = first.unwrap_or_default();
        call.push(producer);
        call.push(number);
        for row in rows {
            call.push(*row);
        }
        let dropped: i64 = self.store.run_script(ADD.action, &call.command, ADD.code()).await?;
        Ok(u64::try_from(dropped).map_or(Added::Full, |dropped| Added::Done { dropped }))
    }
}

/// The stream for rows with these values of `order_by`: the CRC-32 of the values with U+001F between them, modulo the
/// number of streams. Rows without such values go into the first.
pub fn part_of(key: &[&str], partitions: u32) -> usize {
    let hash = if key.is_empty() { 0 } else { crc32fast::hash(key.join("\u{1f}").as_bytes()) };
    (hash % partitions.max(1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As any language computes it: `zlib.crc32(b"/home\x1f2026-11-29") % 4` and the like.
    #[test]
    fn a_row_goes_where_producers_in_other_languages_put_it() {
        assert_eq!(part_of(&["123456789"], 1 << 31), 0xCBF4_3926_usize % (1 << 31));
        assert_eq!(part_of(&["/home", "2026-11-29"], 1), 0);
        assert_eq!(part_of(&[], 64), 0);
    }
}
