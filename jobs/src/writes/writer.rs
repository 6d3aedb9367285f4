//! Handing over rows from an application in Rust.

use std::time::Duration;

use brasa_shared::config::{Config, WhenFull, Write};
use brasa_shared::store::{Store, StoreError};
use brasa_shared::streams::{ADD_MAX, Added, Room, Streams, part_of};
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::absent;
use crate::writes::row::{Poison, Row};
use crate::writes::statement::insert_rows;
use crate::writes::table::{Table, TableProblem};

/// For how long it is tried to hand over rows, unless it is said otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it rests between two tries.
const REST: Duration = Duration::from_millis(50);

/// Hands over rows of one `[writes.NAME]`.
///
/// It numbers them, so that rows are handed over again where nobody knows whether they were, and are written once all the
/// same; and so that rows which do not come are counted. Its tasks may use it at the same time.
#[derive(Debug)]
pub struct Writer {
    streams: Streams,
    name: String,
    write: Write,
    producer: String,
    /// The number of the last row of each stream. Whoever holds it hands over: rows of one stream come in the order of
    /// their numbers, and none is taken for rows for which there is no room.
    numbers: Vec<Mutex<i64>>,
    patience: Duration,
    pool: Option<PgPool>,
}

/// What became of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// They wait in their streams.
    Over {
        /// How many older ones had to go for it.
        dropped: u64,
    },
    /// There was no room, and they are written already.
    Written,
}

/// Why rows were not handed over.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The configuration has no such name.
    #[error("{0}")]
    Unknown(String),
    /// There is no room for them: none of them was taken.
    #[error("there is no room: {0} rows wait already, as many as `max_rows` allows")]
    Full(u64),
    /// Redis did not answer in time. Those of them that came are written.
    #[error("redis did not take the rows in time")]
    Store(#[from] StoreError),
    /// A row cannot be made JSON, or is no object.
    #[error("a row is no JSON object of columns")]
    Row(#[from] serde_json::Error),
    /// There was no room, and the database did not take them either.
    #[error("there is no room, and the database did not take the rows")]
    Database(#[source] sqlx::Error),
    /// There was no room, and the database cannot take this row.
    #[error("there is no room, and a row cannot be written: {}", .0.message)]
    Refused(Poison),
    /// There was no room, and the table does not fit.
    #[error(transparent)]
    Table(#[from] TableProblem),
}

impl Writer {
    /// Hands over rows of `[writes.NAME]` of this configuration, into this Redis.
    ///
    /// # Errors
    /// There is no such name.
    pub fn open(config: &Config, name: &str, store: Store) -> Result<Self, WriteError> {
        let write = config.writes.get(name);
        let write = write
            .ok_or_else(|| WriteError::Unknown(absent("write", "writes", name, config.writes.keys())))?;
        Ok(Self {
            streams: Streams::new(store, &config.redis.prefix),
            name: name.to_owned(),
            write: write.clone(),
            producer: format!("{:016x}", rand::random::<u64>()),
            numbers: (0..write.partitions).map(|_| Mutex::new(0)).collect(),
            patience: PATIENCE,
            pool: None,
        })
    }

    /// The same where rows for which there is no room are written at once, if the configuration says `direct`.
    #[must_use]
    pub fn with_pool(mut self, pool: PgPool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// The same where it is tried for so long.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Hands over a row: a JSON object of columns.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn add(&self, row: &impl Serialize) -> Result<Handed, WriteError> {
        self.add_all(std::slice::from_ref(row)).await
    }

    /// Hands over rows. Those of one stream are taken together, up to 500 of them.
    ///
    /// # Errors
    /// See [`WriteError`]; then rows that were taken before it stay so.
    pub async fn add_all<R: Serialize>(&self, rows: &[R]) -> Result<Handed, WriteError> {
        let mut parts = vec![Vec::new(); self.numbers.len()];
        for row in rows {
            let row = serde_json::to_value(row)?;
            let key: Vec<String> =
                self.write.order_by.iter().map(|column| text_of(row.get(column))).collect();
            let key: Vec<&str> = key.iter().map(String::as_str).collect();
            parts[part_of(&key, self.write.partitions)].push(serde_json::to_vec(&row)?);
        }
        let mut all = Handed::Over { dropped: 0 };
        for (part, rows) in parts.iter().enumerate() {
            for rows in rows.chunks(ADD_MAX) {
                let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
                all = match (all, self.hand_over(part, &rows).await?) {
                    (Handed::Over { dropped: before }, Handed::Over { dropped }) => {
                        Handed::Over { dropped: before + dropped }
                    }
                    _ => Handed::Written,
                };
            }
        }
        Ok(all)
    }

    async fn hand_over(&self, part: usize, rows: &[&[u8]]) -> Result<Handed, WriteError> {
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let room =
            Room { entries: self.write.rows_max, drops_oldest: self.write.when_full == WhenFull::DropOldest };
        let mut last = self.numbers[part].lock().await;
        let until = Instant::now() + self.patience;
        let number = i32::try_from(part).unwrap_or(0);
        let first = *last + 1;
        // Before anything is sent: whoever gives up waiting for us leaves the numbers used.
        *last += count;
        let mut doubt = None;
        loop {
            let numbered = Some((self.producer.as_str(), first));
            match (self.streams.add_numbered(&self.name, number, rows, room, numbered).await, doubt) {
                (Ok(Added::Done { dropped }), _) => return Ok(Handed::Over { dropped }),
                (Ok(Added::Full), None) => {
                    *last -= count;
                    break;
                }
                // They may have been taken before.
                (Ok(Added::Full), Some(error)) => return Err(WriteError::Store(error)),
                // Whether they were taken is not known: with their numbers they may be sent again.
                (Err(error), _) if Instant::now() + REST < until => doubt = Some(error),
                (Err(error), _) => return Err(error.into()),
            }
            tokio::time::sleep(REST).await;
        }
        drop(last);
        self.write_now(rows).await
    }

    async fn write_now(&self, rows: &[&[u8]]) -> Result<Handed, WriteError> {
        let (WhenFull::Direct, Some(pool)) = (self.write.when_full, &self.pool) else {
            return Err(WriteError::Full(self.write.rows_max));
        };
        let mut connection = pool.acquire().await.map_err(WriteError::Database)?;
        let table = Table::look(&mut connection, &self.write).await?;
        let read = |row: &&[u8]| Row::of(row, &self.write, &table).map_err(WriteError::Refused);
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<&Row> = rows.iter().collect();
        let mut transaction =
            sqlx::Connection::begin(&mut *connection).await.map_err(WriteError::Database)?;
        insert_rows(&mut transaction, &self.write, &table, &rows).await.map_err(WriteError::Database)?;
        transaction.commit().await.map_err(WriteError::Database)?;
        Ok(Handed::Written)
    }
}

/// A value as a part of what decides about the stream: a text as it is, anything else as JSON writes it.
fn text_of(value: Option<&serde_json::Value>) -> String {
    match value {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}
