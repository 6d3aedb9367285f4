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

/// So many are asked for as long as it is not known how large they are.
const FIRST: usize = 1_000;
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
    /// How many entries are as many bytes as a batch may have, by those that came last.
    most: usize,
    /// What was taken away.
    trimmed: Place,
}

impl<'a> Gatherer<'a> {
    /// Takes what waits out of this stream.
    pub fn new(streams: &'a Streams, write: &'a Write, stream: &'a StreamOf) -> Self {
        Self { streams, write, stream, most: FIRST.min(write.batch), trimmed: Place::default() }
    }

    /// What stands behind a place: as many entries and as many bytes as a batch may have, and one at least where there is
    /// one. Meanwhile what is written is taken away.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn next(&mut self, behind: Place, written: Place) -> Result<Vec<Entry>, StoreError> {
        let (streams, stream) = (self.streams, self.stream);
        let read = streams.read(&stream.name, stream.part, behind, self.most);
        let (entries, trimmed) = tokio::join!(read, trim(streams, stream, self.trimmed, written));
        self.trimmed = trimmed;
        let mut entries = entries?;
        let size = |entry: &Entry| entry.row.as_ref().map_or(0, Vec::len) as u64;
        let all: u64 = entries.iter().map(size).sum();
        if !entries.is_empty() {
            let fit = self.write.bytes_max.saturating_mul(entries.len() as u64) / all.max(1);
            self.most = usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, self.write.batch);
        }
        let mut bytes = 0;
        let fits = entries.iter().take_while(|entry| {
            bytes += size(entry);
            bytes <= self.write.bytes_max
        });
        let count = fits.count().max(1);
        entries.truncate(count);
        Ok(entries)
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
