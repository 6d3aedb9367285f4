//! Entries of batched writes that the database refused.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{PgConnection, PgPool, Row as _};

use super::StreamOf;

/// An entry that could not be written, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buried {
    /// Its id in the stream.
    pub entry: String,
    /// As it came.
    pub payload: Vec<u8>,
    /// The SQLSTATE, where the database refused it.
    pub sqlstate: Option<String>,
    /// The constraint or the column, where that is known.
    pub at_fault: Option<String>,
    /// Why.
    pub message: String,
}

/// One that was buried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Its number.
    pub id: i64,
    /// The stream that it came from.
    pub stream: StreamOf,
    /// What it was, and why.
    pub buried: Buried,
    /// How long ago.
    pub age: Duration,
}

/// Told twice, it is buried once.
const BURY: &str = "insert into brasa.write_dead (name, part, entry, payload, sqlstate, at_fault, message)
    select $1, $2, * from unnest($3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[])
    on conflict (name, part, entry) do nothing";

const DEAD: &str = "select id, name, part, entry, payload, sqlstate, at_fault, message,
        (extract(epoch from clock_timestamp() - buried_at) * 1000)::bigint as age_ms
    from brasa.write_dead
    where ($1::text is null or name = $1) and ($2::bigint[] is null or id = any ($2)) order by id limit $3";

const COUNTS: &str = "select name, count(*) as rows from brasa.write_dead group by name";

const FORGET: &str = "delete from brasa.write_dead where id = any ($1)";

/// Buries entries, as a part of the transaction that goes on behind them.
///
/// # Errors
/// What Postgres says.
pub async fn bury(
    connection: &mut PgConnection,
    stream: &StreamOf,
    buried: &[Buried],
) -> Result<(), sqlx::Error> {
    let column = |of: fn(&Buried) -> Option<String>| buried.iter().map(of).collect::<Vec<_>>();
    let payloads: Vec<&[u8]> = buried.iter().map(|one| one.payload.as_slice()).collect();
    let query = sqlx::query(BURY).bind(&stream.name).bind(stream.part);
    let query = query.bind(column(|one| Some(one.entry.clone()))).bind(payloads);
    let query = query.bind(column(|one| one.sqlstate.clone())).bind(column(|one| one.at_fault.clone()));
    query.bind(column(|one| Some(one.message.replace('\0', "\u{fffd}")))).execute(connection).await.map(drop)
}

/// Those that were buried, the oldest first: of one name, or these.
///
/// # Errors
/// What Postgres says.
pub async fn dead(
    pool: &PgPool,
    name: Option<&str>,
    ids: Option<&[i64]>,
    most: i64,
) -> Result<Vec<Dead>, sqlx::Error> {
    let rows = sqlx::query(DEAD).bind(name).bind(ids).bind(most).fetch_all(pool).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let age_ms: i64 = row.try_get("age_ms")?;
        Ok(Dead {
            id: row.try_get("id")?,
            stream: StreamOf { name: row.try_get("name")?, part: row.try_get("part")? },
            buried: Buried {
                entry: row.try_get("entry")?,
                payload: row.try_get("payload")?,
                sqlstate: row.try_get("sqlstate")?,
                at_fault: row.try_get("at_fault")?,
                message: row.try_get("message")?,
            },
            age: Duration::from_millis(age_ms.unsigned_abs()),
        })
    };
    rows.iter().map(read).collect()
}

/// How many were buried and are still there, by name.
///
/// # Errors
/// What Postgres says.
pub async fn dead_counts(pool: &PgPool) -> Result<BTreeMap<String, u64>, sqlx::Error> {
    let rows = sqlx::query(COUNTS).fetch_all(pool).await?;
    let count = |row: &sqlx::postgres::PgRow| {
        Ok((row.try_get("name")?, row.try_get::<i64, _>("rows")?.unsigned_abs()))
    };
    rows.iter().map(count).collect()
}

/// Takes entries out of the dead letter; returns how many there were.
///
/// # Errors
/// What Postgres says.
pub async fn forget(connection: &mut PgConnection, ids: &[i64]) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(FORGET).bind(ids).execute(connection).await?.rows_affected())
}
