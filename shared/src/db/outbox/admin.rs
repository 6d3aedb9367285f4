//! What people see of the outbox, and do about rows that were refused.

use serde::Serialize;
use sqlx::Row as _;

use crate::db::outbox::{CHANNEL, OutboxTable};

const STATUS: &str = "select count(*) filter (where pushed_at is null and refused_at is null) as waiting,
        count(*) filter (where pushed_at is not null) as open,
        count(*) filter (where refused_at is not null) as refused,
        (extract(epoch from clock_timestamp() - min(enqueued_at)
            filter (where pushed_at is null and refused_at is null)) * 1000)::bigint as oldest_ms
    from brasa.outbox";

/// Asked often: it reads the index of waiting rows, and nothing else.
const WAITING: &str = "select queue, count(*) as waiting from brasa.outbox
    where pushed_at is null and refused_at is null group by queue order by queue";

const REFUSED: &str = "select id, kind, queue, last_error from brasa.outbox where refused_at is not null
    order by refused_at desc limit $1";

const RETRY: &str = "update brasa.outbox set refused_at = null, last_error = null
    where id = any($1) and refused_at is not null returning id";

const FORGET: &str = "delete from brasa.outbox where id = any($1) and refused_at is not null returning id";

/// How many rows are where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutboxStatus {
    /// Rows that are not in Redis yet.
    pub waiting: i64,
    /// Rows that are in Redis, and whose jobs have not ended.
    pub open: i64,
    /// Rows that were put aside.
    pub refused: i64,
    /// How long the oldest waiting row has waited, in ms.
    pub oldest_ms: Option<i64>,
}

/// A row that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// Its id.
    pub id: String,
    /// What was to be done.
    pub kind: String,
    /// In which queue.
    pub queue: String,
    /// Why it was put aside.
    pub reason: String,
}

impl OutboxTable {
    /// How many rows are where.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn status(&self) -> Result<OutboxStatus, sqlx::Error> {
        let row = sqlx::query(STATUS).fetch_one(&self.0).await?;
        Ok(OutboxStatus {
            waiting: row.try_get("waiting")?,
            open: row.try_get("open")?,
            refused: row.try_get("refused")?,
            oldest_ms: row.try_get("oldest_ms")?,
        })
    }

    /// How many rows wait for which queue.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn waiting(&self) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let rows = sqlx::query(WAITING).fetch_all(&self.0).await?;
        rows.iter().map(|row| Ok((row.try_get("queue")?, row.try_get("waiting")?))).collect()
    }

    /// How many rows were put aside.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn refused_count(&self) -> Result<i64, sqlx::Error> {
        let sql = "select count(*) from brasa.outbox where refused_at is not null";
        sqlx::query_scalar(sql).fetch_one(&self.0).await
    }

    /// Up to `most` rows that were put aside, the latest first.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn refused(&self, most: u32) -> Result<Vec<RefusedRow>, sqlx::Error> {
        let rows = sqlx::query(REFUSED).bind(i64::from(most)).fetch_all(&self.0).await?;
        let read = |row: &sqlx::postgres::PgRow| {
            let reason: Option<String> = row.try_get("last_error")?;
            let reason = reason.unwrap_or_default();
            let (id, kind, queue) = (row.try_get("id")?, row.try_get("kind")?, row.try_get("queue")?);
            Ok(RefusedRow { id, kind, queue, reason })
        };
        rows.iter().map(read).collect()
    }

    /// Lets rows that were put aside wait again; returns the ids of those that were.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn retry_refused(&self, ids: &[String]) -> Result<Vec<String>, sqlx::Error> {
        let changed = sqlx::query_scalar(RETRY).bind(ids).fetch_all(&self.0).await?;
        sqlx::query("/* brasa */ select pg_notify($1, '')").bind(CHANNEL).execute(&self.0).await?;
        Ok(changed)
    }

    /// Deletes rows that were put aside; returns the ids of those that were.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn delete_refused(&self, ids: &[String]) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(FORGET).bind(ids).fetch_all(&self.0).await
    }
}
