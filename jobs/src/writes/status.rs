//! How many rows wait, and how far they are written: for `brasa writes` and the dashboard.

use std::collections::BTreeMap;

use brasa_shared::config::{Config, Write};
use brasa_shared::db::writes::{Dead, Progress, StreamOf, progress};
use brasa_shared::store::{Store, StoreError};
use brasa_shared::streams::{Extent, Streams};
use brasa_shared::telemetry::logs::chain;
use sqlx::PgPool;

use super::flush::{FlushError, replay};
use super::table::{Table, TableProblem};

/// How far a stream of rows is.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Which.
    pub stream: StreamOf,
    /// What waits in Redis.
    pub extent: Extent,
    /// How far it is written; none where no worker has been there.
    pub progress: Option<Progress>,
}

/// Why nobody can say how far rows are.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// Redis is out of reach.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What Postgres says.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The streams of a `[writes.NAME]`.
pub fn streams_of(name: &str, write: &Write) -> Vec<StreamOf> {
    let parts = i32::try_from(write.partitions).unwrap_or(1);
    (0..parts).map(|part| StreamOf { name: name.to_owned(), part }).collect()
}

/// How far the rows of one name of the configuration are, or of all, stream by stream.
///
/// # Errors
/// See [`StandingError`].
pub async fn standings(
    config: &Config,
    store: &Store,
    pool: &PgPool,
    only: Option<&str>,
) -> Result<Vec<Standing>, StandingError> {
    let known = progress(pool, only).await?;
    let streams = Streams::new(store.clone(), &config.redis.prefix);
    let wanted = config.writes.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str()));
    let mut all = Vec::new();
    for stream in wanted.flat_map(|(name, write)| streams_of(name, write)) {
        let extent = streams.extent(&stream.name, stream.part).await?;
        let progress = known.iter().find(|progress| progress.stream == stream).cloned();
        all.push(Standing { stream, extent, progress });
    }
    Ok(all)
}

impl Standing {
    /// How long the oldest row has been waiting, in ms.
    pub fn oldest_ms(&self, now_ms: i64) -> Option<i64> {
        self.extent.first.map(|first| (now_ms - first.ms).max(0))
    }
}

/// Writes rows of the dead letter after all, one by one, each in a transaction that takes it out of there; says which were
/// left where they are, and why. `mended` stands for what a row should have been.
///
/// # Errors
/// There is no connection to be had.
pub async fn replay_each(
    config: &Config,
    pool: &PgPool,
    dead: &[Dead],
    mended: Option<&[u8]>,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let (mut left, mut tables) = (Vec::new(), BTreeMap::new());
    for one in dead {
        let name = &one.stream.name;
        let Some(write) = config.writes.get(name) else {
            left.push((one.id, format!("[writes.{name}] is not in the configuration")));
            continue;
        };
        if !tables.contains_key(name) {
            tables.insert(name.clone(), Table::look(&mut connection, write).await);
        }
        let table = match tables.get(name) {
            Some(Ok(table)) => table,
            Some(Err(TableProblem::Unfit { message, help, .. })) => {
                left.push((one.id, format!("{message}: {help}")));
                continue;
            }
            Some(Err(problem)) => {
                left.push((one.id, chain(problem)));
                continue;
            }
            None => continue,
        };
        let row = mended.unwrap_or(&one.buried.payload);
        match replay(&mut connection, write, table, one.id, row).await {
            Ok(()) => {}
            Err(FlushError::Refused(poison)) => left.push((one.id, poison.message)),
            Err(error) => left.push((one.id, chain(&error))),
        }
    }
    Ok(left)
}
