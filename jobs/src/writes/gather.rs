//! What is written next: taken out of its stream, and read as rows, while what came before it is written.

use brasa_shared::config::Write;
use brasa_shared::db::writes::StreamOf;
use brasa_shared::place::Place;
use brasa_shared::store::StoreError;
use brasa_shared::streams::{Entry, Streams};
use brasa_shared::telemetry::logs::chain;
use tokio::task::yield_now;

use crate::writes::row::{Poison, Row};
use crate::writes::table::Table;

/// How many entries are asked for at once: as long as it is not known how large they are, and at most. However small the
/// last ones were, the next ones may be large, and Redis sends all that is asked for.
const PORTION: (usize, usize) = (50, 500);
/// After so many rows others have their turn: whoever writes meanwhile must not wait for us.
const TURN: usize = 100;

/// Entries with the rows that they are, or why they are none.
#[derive(Debug, Default)]
pub struct Gathered(pub(super) Vec<(Entry, Result<Row, Poison>)>);

impl Gathered {
    /// Reads the rows of entries.
    pub async fn read(entries: Vec<Entry>, write: &Write, table: &Table) -> Self {
        let mut gathered = Vec::with_capacity(entries.len());
        for (nth, entry) in entries.into_iter().enumerate() {
            if nth % TURN == TURN - 1 {
                yield_now().await;
            }
            let row = match &entry.row {
                Some(payload) => Row::of(payload, write, table),
                None => Err(rowless()),
            };
            gathered.push((entry, row));
        }
        Self(gathered)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last of them.
    pub fn last(&self) -> Option<Place> {
        self.0.last().map(|(entry, _)| entry.place)
    }
}

/// Takes what waits out of a stream, and takes away what is written.
#[derive(Debug)]
pub struct Gatherer<'a> {
    streams: &'a Streams,
    write: &'a Write,
    stream: &'a StreamOf,
    portion: Portion,
    /// What was taken away.
    trimmed: Place,
}

impl<'a> Gatherer<'a> {
    /// Takes what waits out of this stream.
    pub fn new(streams: &'a Streams, write: &'a Write, stream: &'a StreamOf) -> Self {
        Self { streams, write, stream, portion: Portion::of(write), trimmed: Place::default() }
    }

    /// What stands behind a place: as many entries and as many bytes as a batch may have, and one at least where there is
    /// one. Meanwhile what is written is taken away.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn next(&mut self, behind: Place, written: Place) -> Result<Vec<Entry>, StoreError> {
        let (streams, stream) = (self.streams, self.stream);
        let trimming = trim(streams, stream, self.trimmed, written);
        let (entries, trimmed) = tokio::join!(self.portion.batch(streams, stream, behind), trimming);
        self.trimmed = trimmed;
        entries
    }

    /// The same, read as rows of a table.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn gather(
        &mut self,
        behind: Place,
        written: Place,
        table: &Table,
    ) -> Result<Gathered, StoreError> {
        let entries = self.next(behind, written).await?;
        Ok(Gathered::read(entries, self.write, table).await)
    }

    /// Takes away what is written, where that was not done yet. It may fail: then whoever writes next does it.
    pub async fn tidy(&mut self, written: Place) {
        self.trimmed = trim(self.streams, self.stream, self.trimmed, written).await;
    }
}

/// How much is asked for at once.
#[derive(Debug)]
struct Portion {
    /// How many entries.
    most: usize,
    /// How many a batch may have, and how many bytes.
    batch: (usize, u64),
}

impl Portion {
    fn of(write: &Write) -> Self {
        Self { most: PORTION.0.min(write.batch), batch: (write.batch, write.bytes_max) }
    }

    /// Reads a batch, a portion after the other: what is asked for too much is bounded by the last of them.
    async fn batch(
        &mut self,
        streams: &Streams,
        stream: &StreamOf,
        behind: Place,
    ) -> Result<Vec<Entry>, StoreError> {
        let size = |entry: &Entry| entry.row.as_ref().map_or(0, Vec::len) as u64;
        let (mut batch, mut bytes): (Vec<Entry>, u64) = (Vec::new(), 0);
        while batch.len() < self.batch.0 {
            let asked = self.most.min(self.batch.0 - batch.len());
            let after = batch.last().map_or(behind, |entry| entry.place);
            let found = streams.read(&stream.name, stream.part, after, asked).await?;
            self.learn(asked, found.len(), found.iter().map(size).sum());
            let is_all = found.len() < asked;
            for entry in found {
                bytes += size(&entry);
                if bytes > self.batch.1 && !batch.is_empty() {
                    return Ok(batch);
                }
                batch.push(entry);
            }
            if is_all {
                break;
            }
        }
        Ok(batch)
    }

    /// So many were asked for, and so many came with so many bytes: at once no more than fit, and twice as many at most.
    fn learn(&mut self, asked: usize, came: usize, bytes: u64) {
        if came == 0 {
            return;
        }
        let fit = self.batch.1.saturating_mul(came as u64) / bytes.max(1);
        let most = if came == asked { self.most * 2 } else { self.most };
        let most = most.min(PORTION.1).min(self.batch.0).max(1);
        self.most = usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, most);
    }
}

/// Takes away what is written; returns how far that is done.
async fn trim(streams: &Streams, stream: &StreamOf, trimmed: Place, written: Place) -> Place {
    if written <= trimmed {
        return trimmed;
    }
    match streams.trim(&stream.name, stream.part, written).await {
        Ok(_) => written,
        Err(error) => {
            tracing::debug!(write = stream.name, error = %chain(&error), "what is written is still in the stream");
            trimmed
        }
    }
}

fn rowless() -> Poison {
    let message = "the entry has no field `d` with a row".to_owned();
    Poison { sqlstate: None, at_fault: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_at_most_doubles_falls_at_once_and_is_never_a_whole_batch_of_whatever_comes() {
        let mut portion = Portion { most: PORTION.0, batch: (5_000, 1 << 20) };
        // Small ones, and more of them wait.
        for most in [100, 200, 400, 500, 500] {
            portion.learn(portion.most, portion.most, 100 * portion.most as u64);
            assert_eq!(portion.most, most);
        }
        // 64 KiB each.
        portion.learn(500, 500, 500 << 16);
        assert_eq!(portion.most, 16);
        portion.learn(16, 16, 16 * 100);
        assert_eq!(portion.most, 32);
        // There are no more: nothing says that more of them would be as small.
        portion.learn(32, 3, 3 * 100);
        portion.learn(32, 0, 0);
        assert_eq!(portion.most, 32);
        portion.learn(32, 1, 10 << 20);
        assert_eq!(portion.most, 1);
        let mut modest = Portion { most: 20, batch: (30, 1 << 20) };
        modest.learn(20, 20, 1);
        assert_eq!(modest.most, 30);
    }
}
