//! How far the streams of batched writes have been written, and what could not be.
//!
//! `migrations/0004_create_writes.sql` says what the rows mean. A stream has one owner, for as long as its lease lasts;
//! whoever takes it over begins a new epoch. A batch moves the offset on in the transaction that writes it, from where it
//! was and in its own epoch: whoever comes late changes nothing. That row is the truth about what has been written, and
//! what Redis has forgotten or kept does not matter.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};

mod dead;
mod producers;

use crate::place::Place;

pub use dead::{Buried, Dead, bury, dead, dead_counts, forget};
pub use producers::{Sent, forget_producers, note_sent, sent};

/// Which stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamOf {
    /// The name of `[writes.NAME]`.
    pub name: String,
    /// Which of its streams, from 0.
    pub part: i32,
}

/// What the owner of a stream knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The last entry that is written.
    pub place: Place,
    /// The owner's epoch.
    pub epoch: i64,
    /// Whether nothing is to be written.
    pub is_paused: bool,
    /// The server that it was read from last, as [`crate::streams::Origin`] has it; none before the first.
    pub server: Option<String>,
}

/// What a batch has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Entries that were read.
    pub entries: i64,
    /// Rows that were written.
    pub rows: i64,
    /// Entries that were buried.
    pub dead: i64,
    /// Entries that came again, and were not written again.
    pub doubled: i64,
}

/// A stream, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub stream: StreamOf,
    /// The last entry that is written.
    pub place: Place,
    /// Who writes it, while the lease lasts.
    pub owner: Option<String>,
    /// All that has been done so far.
    pub done: Done,
    /// Entries that did not come, of producers that number them.
    pub lost: i64,
    /// How long ago something was written last.
    pub idle: Option<Duration>,
    /// Why nothing is written, and who wants that; nobody where Brasa stopped by itself.
    pub paused: Option<(String, Option<String>)>,
}

const TAKE: &str = "insert into brasa.write_offsets as held (name, part, owner, epoch, lease_until)
    values ($1, $2, $3, 1, clock_timestamp() + $4 * interval '1 ms')
    on conflict (name, part) do update
        set owner = excluded.owner, epoch = held.epoch + 1, lease_until = excluded.lease_until
        where held.owner is null or held.owner = excluded.owner or held.lease_until < clock_timestamp()
    returning ms, seq, epoch, paused_at is not null as is_paused, run_id";

const RENEW: &str = "update brasa.write_offsets set lease_until = clock_timestamp() + $4 * interval '1 ms'
    where name = $1 and part = $2 and epoch = $3
    returning ms, seq, epoch, paused_at is not null as is_paused, run_id";

const ADVANCE: &str = "update brasa.write_offsets
    set ms = $3, seq = $4, entries = entries + $8, rows = rows + $9, dead = dead + $10, doubled = doubled + $12,
        flushed_at = clock_timestamp(),
        lease_until = greatest(lease_until, clock_timestamp() + $11 * interval '1 ms')
    where name = $1 and part = $2 and ms = $5 and seq = $6 and epoch = $7 and paused_at is null";

const RELEASE: &str = "update brasa.write_offsets set owner = null, lease_until = '-infinity'
    where name = $1 and part = $2 and epoch = $3";

const SERVER: &str =
    "update brasa.write_offsets set run_id = $4 where name = $1 and part = $2 and epoch = $3";

const PAUSE: &str = "insert into brasa.write_offsets (name, part, paused_why, paused_by, paused_at)
    values ($1, $2, $3, $4, clock_timestamp())
    on conflict (name, part) do update
        set paused_why = excluded.paused_why, paused_by = excluded.paused_by, paused_at = excluded.paused_at";

const RESUME: &str = "update brasa.write_offsets set paused_why = null, paused_by = null, paused_at = null
    where name = $1 and part = $2 and paused_at is not null";

const ALL: &str = "select name, part, ms, seq, entries, rows, dead, doubled, paused_by,
        case when lease_until >= clock_timestamp() then owner end as owner,
        case when paused_at is not null then coalesce(paused_why, '') end as paused_why,
        (extract(epoch from clock_timestamp() - flushed_at) * 1000)::bigint as idle_ms,
        coalesce((select sum(lost) from brasa.write_producers as known
            where known.name = stream.name and known.part = stream.part), 0)::bigint as lost
    from brasa.write_offsets as stream where $1::text is null or name = $1 order by name, part";

const EXISTS: &str = "select to_regclass('brasa.write_offsets') is not null";

/// Whether the database has the tables of batched writes.
///
/// # Errors
/// What Postgres says.
pub async fn exists(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(EXISTS).fetch_one(pool).await
}

/// Makes `owner` the one who writes a stream for `lease`, in an epoch of its own; none where another one does.
///
/// # Errors
/// What Postgres says.
pub async fn take(
    connection: &mut PgConnection,
    stream: &StreamOf,
    owner: &str,
    lease: Duration,
) -> Result<Option<Standing>, sqlx::Error> {
    let query = sqlx::query(TAKE).bind(&stream.name).bind(stream.part).bind(owner).bind(ms(lease));
    query.fetch_optional(connection).await?.map(|row| read(&row)).transpose()
}

/// Keeps a stream for `lease` from now; none where another one has taken it over.
///
/// # Errors
/// What Postgres says.
pub async fn renew(
    connection: &mut PgConnection,
    stream: &StreamOf,
    epoch: i64,
    lease: Duration,
) -> Result<Option<Standing>, sqlx::Error> {
    let query = sqlx::query(RENEW).bind(&stream.name).bind(stream.part).bind(epoch).bind(ms(lease));
    query.fetch_optional(connection).await?.map(|row| read(&row)).transpose()
}

/// Notes the server that a stream is read from now on.
///
/// # Errors
/// What Postgres says.
pub async fn note_server(
    connection: &mut PgConnection,
    stream: &StreamOf,
    epoch: i64,
    server: &str,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(SERVER).bind(&stream.name).bind(stream.part).bind(epoch).bind(server);
    query.execute(connection).await.map(drop)
}

/// Moves the offset on, as a part of the transaction that writes what lies between. False where another one has the
/// stream by now, or it is paused: then nothing of the transaction is to be committed.
///
/// # Errors
/// What Postgres says.
pub async fn advance(
    connection: &mut PgConnection,
    stream: &StreamOf,
    from: &Standing,
    to: Place,
    done: Done,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(ADVANCE).bind(&stream.name).bind(stream.part).bind(to.ms).bind(to.seq);
    let query = query.bind(from.place.ms).bind(from.place.seq).bind(from.epoch);
    let query = query.bind(done.entries).bind(done.rows).bind(done.dead).bind(ms(lease)).bind(done.doubled);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Lets somebody else have a stream at once.
///
/// # Errors
/// What Postgres says.
pub async fn release(
    connection: &mut PgConnection,
    stream: &StreamOf,
    epoch: i64,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(RELEASE).bind(&stream.name).bind(stream.part).bind(epoch);
    query.execute(connection).await.map(drop)
}

/// Stops the writing of a stream, for this reason; `by` is a person, or nobody where Brasa stops by itself.
///
/// # Errors
/// What Postgres says.
pub async fn pause(
    connection: &mut PgConnection,
    stream: &StreamOf,
    why: &str,
    by: Option<&str>,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(PAUSE).bind(&stream.name).bind(stream.part).bind(why).bind(by);
    query.execute(connection).await.map(drop)
}

/// Lets the writing of a stream go on; false where it was not paused.
///
/// # Errors
/// What Postgres says.
pub async fn resume(connection: &mut PgConnection, stream: &StreamOf) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(RESUME).bind(&stream.name).bind(stream.part);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// How far all streams are, or those of one name.
///
/// # Errors
/// What Postgres says.
pub async fn progress(pool: &PgPool, name: Option<&str>) -> Result<Vec<Progress>, sqlx::Error> {
    let rows = sqlx::query(ALL).bind(name).fetch_all(pool).await?;
    rows.iter().map(read_progress).collect()
}

fn read(row: &PgRow) -> Result<Standing, sqlx::Error> {
    Ok(Standing {
        place: Place { ms: row.try_get("ms")?, seq: row.try_get("seq")? },
        epoch: row.try_get("epoch")?,
        is_paused: row.try_get("is_paused")?,
        server: row.try_get("run_id")?,
    })
}

fn read_progress(row: &PgRow) -> Result<Progress, sqlx::Error> {
    let paused: Option<String> = row.try_get("paused_why")?;
    let by = row.try_get("paused_by")?;
    let idle_ms: Option<i64> = row.try_get("idle_ms")?;
    Ok(Progress {
        stream: StreamOf { name: row.try_get("name")?, part: row.try_get("part")? },
        place: Place { ms: row.try_get("ms")?, seq: row.try_get("seq")? },
        owner: row.try_get("owner")?,
        done: Done {
            entries: row.try_get("entries")?,
            rows: row.try_get("rows")?,
            dead: row.try_get("dead")?,
            doubled: row.try_get("doubled")?,
        },
        lost: row.try_get("lost")?,
        idle: idle_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        paused: paused.map(|why| (why, by)),
    })
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
