//! What changed in the application's tables, for the cache.
//!
//! `migrations/0003_create_cache_log.sql` says what a row of the log is. Rows are appended by triggers, which
//! `triggers/` makes, and taken out here. What values depend on is in `dependency.rs`, which transactions a
//! reader could see in `snapshot.rs`, the keys that outlive the cache in `hot.rs`. Nothing here knows where
//! changes go.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres, Row as _, Transaction};

mod dependency;
mod hot;
mod snapshot;
pub mod triggers;

pub use dependency::{DepColumn, Dependency, DependencyError};
pub use hot::{HotKey, load_hot, save_hot};
pub use snapshot::{Snapshot, SnapshotError};

/// Rows stay locked while the cache is told. Who stands still meanwhile is cut off by Postgres, so that it
/// keeps neither rows from the others nor old versions of rows from the vacuum. And whatever is usual in this
/// database, takers are to pass over what others have in their hands.
const BEGIN: &str =
    "begin isolation level read committed; set local idle_in_transaction_session_timeout = '15s'";

/// By place, which holds still: rows are never updated. The array makes Postgres choose once, and not again
/// for each row that it deletes.
const TAKE: &str = "with gone as (
        delete from brasa.cache_log where ctid = any (array(
            select ctid from brasa.cache_log order by id limit $1 for update skip locked))
        returning id, dep, keys, xid, at)
    select dep, keys, xid::text as xid,
        (extract(epoch from clock_timestamp() - at) * 1000000)::bigint as age_us
    from gone order by id";

/// Asked often: it reads one entry of the index, and marks those of deleted rows for the next look.
const FIRST: &str = "select id from brasa.cache_log order by id limit 1";

const WAITING: &str = "select count(*) as rows,
        (extract(epoch from clock_timestamp() - min(at)) * 1000000)::bigint as oldest_us
    from brasa.cache_log";

const EXISTS: &str =
    "select to_regclass('brasa.cache_log') is not null and to_regclass('brasa.cache_hot') is not null";

/// The log, through a pool of its own: jobs that hold all connections must not hold up what tells the cache.
#[derive(Debug, Clone)]
pub struct ChangeLog(PgPool);

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changed: `table:SCHEMA.TABLE(column,column)` as [`Dependency::log_name`] writes it, `key:`,
    /// `tag:` or `warmer:`.
    pub dep: String,
    /// The values of these columns as text, or the one key, tag or warmer. None stands for every row of the
    /// table.
    pub keys: Option<Vec<String>>,
    /// The transaction that changed it, with its epoch.
    pub xid: u64,
    /// How long ago it was written down, which is before it was committed.
    pub age: Duration,
}

/// Changes in the hands of one taker. Dropped, they are in the log as they were.
#[derive(Debug)]
pub struct Taken {
    /// The changes, in the order in which they were written down.
    pub changes: Vec<Change>,
    transaction: Transaction<'static, Postgres>,
}

/// What the cache has not been told yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many rows the log has.
    pub rows: u64,
    /// How long ago the oldest of them was written down.
    pub oldest: Option<Duration>,
}

impl ChangeLog {
    /// The log of the database that this pool leads to.
    pub fn of(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Whether the database has the log.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn exists(&self) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(EXISTS).fetch_one(&self.0).await
    }

    /// Whether there is nothing to take. What others have in their hands counts as there.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn is_empty(&self) -> Result<bool, sqlx::Error> {
        let first: Option<i64> = sqlx::query_scalar(FIRST).fetch_optional(&self.0).await?;
        Ok(first.is_none())
    }

    /// Takes up to `limit` changes, the oldest first, that no other taker has in its hands. They are gone
    /// with [`Taken::done`], and in the log again without it. Writers never wait for a taker.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn take(&self, limit: usize) -> Result<Taken, sqlx::Error> {
        let mut transaction = self.0.begin_with(BEGIN).await?;
        let query = sqlx::query(TAKE).bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = query.fetch_all(&mut *transaction).await?;
        let changes = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Taken { changes, transaction })
    }

    /// What has not been taken. It reads the whole log: for people, and not in a loop.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn waiting(&self) -> Result<Waiting, sqlx::Error> {
        let row = sqlx::query(WAITING).fetch_one(&self.0).await?;
        let (rows, oldest_us): (i64, Option<i64>) = (row.try_get("rows")?, row.try_get("oldest_us")?);
        Ok(Waiting { rows: rows.unsigned_abs(), oldest: oldest_us.map(micros) })
    }
}

impl Taken {
    /// The cache knows: the changes leave the log.
    ///
    /// # Errors
    /// What Postgres says; then they are in the log again, or it is not known whether they are.
    pub async fn done(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

/// Which transactions have ended, as this connection sees it now. On a replica only
/// [`Snapshot::xmin`] is to be believed.
///
/// # Errors
/// What Postgres says.
pub async fn horizon(connection: &mut PgConnection) -> Result<Snapshot, sqlx::Error> {
    let query = sqlx::query_scalar("/* brasa */ select pg_current_snapshot()::text");
    let text: String = query.fetch_one(connection).await?;
    Snapshot::parse(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn read(row: &PgRow) -> Result<Change, sqlx::Error> {
    let xid: String = row.try_get("xid")?;
    Ok(Change {
        dep: row.try_get("dep")?,
        keys: row.try_get("keys")?,
        xid: xid.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        age: micros(row.try_get("age_us")?),
    })
}

/// A time that the clock of the database may have set back behind its beginning.
fn micros(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or_default())
}
