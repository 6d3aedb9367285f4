//! What producers that number their rows have sent.

use sqlx::{PgConnection, Row as _};

use super::StreamOf;

/// What came of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Who.
    pub producer: String,
    /// The highest number that came.
    pub last: i64,
    /// Numbers below it that did not, as `7-9 12-12`.
    pub missing: String,
    /// How many have not come.
    pub lost: i64,
}

const SENT: &str = "select producer, last, missing, lost from brasa.write_producers
    where name = $1 and part = $2 and producer = any ($3)";

/// In one order, as all who write several rows.
const NOTE: &str = "insert into brasa.write_producers as known (name, part, producer, last, missing, lost)
    select $1, $2, * from unnest($3::text[], $4::bigint[], $5::text[], $6::bigint[]) as given (p, l, m, n) order by p
    on conflict (name, part, producer) do update
        set last = excluded.last, missing = excluded.missing, lost = excluded.lost, seen_at = clock_timestamp()";

const FORGET: &str = "delete from brasa.write_producers
    where name = $1 and part = $2 and seen_at < clock_timestamp() - interval '30 days'";

/// What came of these producers, as far as they are known.
///
/// # Errors
/// What Postgres says.
pub async fn sent(
    connection: &mut PgConnection,
    stream: &StreamOf,
    producers: &[&str],
) -> Result<Vec<Sent>, sqlx::Error> {
    let query = sqlx::query(SENT).bind(&stream.name).bind(stream.part).bind(producers);
    let rows = query.fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Sent {
            producer: row.try_get("producer")?,
            last: row.try_get("last")?,
            missing: row.try_get("missing")?,
            lost: row.try_get("lost")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Notes what came, as a part of the transaction that writes it.
///
/// # Errors
/// What Postgres says.
pub async fn note_sent(
    connection: &mut PgConnection,
    stream: &StreamOf,
    sent: &[Sent],
) -> Result<(), sqlx::Error> {
    let texts = |of: fn(&Sent) -> &str| sent.iter().map(|one| of(one).to_owned()).collect::<Vec<_>>();
    let numbers = |of: fn(&Sent) -> i64| sent.iter().map(of).collect::<Vec<_>>();
    let query = sqlx::query(NOTE).bind(&stream.name).bind(stream.part);
    let query = query.bind(texts(|one| &one.producer)).bind(numbers(|one| one.last));
    let query = query.bind(texts(|one| &one.missing)).bind(numbers(|one| one.lost));
    query.execute(connection).await.map(drop)
}

/// Forgets producers of a stream of which nothing came for thirty days.
///
/// # Errors
/// What Postgres says.
pub async fn forget_producers(connection: &mut PgConnection, stream: &StreamOf) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET).bind(&stream.name).bind(stream.part).execute(connection).await.map(drop)
}
