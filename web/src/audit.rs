//! The record of what people did, chained so that a row that was changed later is found.
//!
//! An act is written down before it takes effect, and does not take effect if it cannot be: a row without an act is
//! a question, an act without a row is a hole. Where there is no Postgres, acts are logged, and nothing more.

use serde::Serialize;
use serde_json::Value;
use sqlx::{PgPool, Row as _};

use crate::auth::Identity;

/// Names the lock under which rows are chained; any number will do that nobody else uses.
const CHAIN: i64 = 0x6272_6173_6100_0011;

const INSERT: &str = "
with last as (select hash from brasa.audit order by seq desc limit 1),
     row as (select nextval(pg_get_serial_sequence('brasa.audit', 'seq')) as seq, clock_timestamp() as at,
                    coalesce((select hash from last), ''::bytea) as previous)
insert into brasa.audit (seq, at, actor, role, action, target, detail, request, previous, hash)
overriding system value
select seq, at, $1, $2, $3, $4, $5::jsonb, $6, previous,
       sha256(previous || convert_to(brasa.audit_text(seq, at, $1, $2, $3, $4, $5::jsonb, $6), 'utf8'))
  from row";

const LIST: &str = "select seq, at::text as at, actor, role, action, target, detail::text as detail, request
  from brasa.audit where ($1::bigint is null or seq < $1) order by seq desc limit $2";

const BROKEN: &str = "
select seq from (
    select seq, hash, previous, coalesce(lag(hash) over (order by seq), ''::bytea) as before,
           sha256(previous || convert_to(brasa.audit_text(seq, at, actor, role, action, target, detail, request), 'utf8'))
               as due
      from brasa.audit) as row
 where hash <> due or previous <> before order by seq limit 1";

/// An act of a person.
#[derive(Debug)]
pub struct Act<'a> {
    /// Who.
    pub who: &'a Identity,
    /// What, in one word or two: `queue.pause`.
    pub action: &'static str,
    /// To what.
    pub target: &'a str,
    /// How it stood before, and what was said about it.
    pub detail: Value,
    /// The request.
    pub request: &'a str,
}

/// A row of the record.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Record {
    /// Its number.
    pub seq: i64,
    /// When, as Postgres writes a time.
    pub at: String,
    /// Who: the name of the token.
    pub actor: String,
    /// What they might do.
    pub role: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub target: String,
    /// How it stood before, and what was said about it, as JSON.
    pub detail: String,
    /// The request.
    pub request: String,
}

impl Act<'_> {
    /// Writes it down.
    ///
    /// # Errors
    /// Postgres did not take it: then it must not be done.
    pub async fn write(&self, pool: Option<&PgPool>) -> Result<(), sqlx::Error> {
        let Self { who, action, target, detail, request } = self;
        let (actor, role) = (&who.name, who.role.word());
        tracing::info!(actor, role, action, target, %detail, request, "somebody acts");
        let Some(pool) = pool else { return Ok(()) };
        let mut transaction = pool.begin().await?;
        sqlx::query("select pg_advisory_xact_lock($1)").bind(CHAIN).execute(&mut *transaction).await?;
        let insert = sqlx::query(INSERT).bind(actor).bind(role).bind(action).bind(target);
        insert.bind(detail.to_string()).bind(request).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

/// The latest rows, or those before a number.
///
/// # Errors
/// Postgres is out of reach, or the role may not look.
pub async fn list(pool: &PgPool, before: Option<i64>, most: u32) -> Result<Vec<Record>, sqlx::Error> {
    let rows = sqlx::query(LIST).bind(before).bind(i64::from(most)).fetch_all(pool).await?;
    let record = |row: &sqlx::postgres::PgRow| {
        Ok(Record {
            seq: row.try_get("seq")?,
            at: row.try_get("at")?,
            actor: row.try_get("actor")?,
            role: row.try_get("role")?,
            action: row.try_get("action")?,
            target: row.try_get("target")?,
            detail: row.try_get("detail")?,
            request: row.try_get("request")?,
        })
    };
    rows.iter().map(record).collect()
}

/// The first row that is not as it was written, or that follows one which is gone; none where all is in order.
///
/// # Errors
/// Postgres is out of reach, or the role may not look.
pub async fn broken(pool: &PgPool) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query(BROKEN).fetch_optional(pool).await?;
    row.map(|row| row.try_get(0)).transpose()
}
