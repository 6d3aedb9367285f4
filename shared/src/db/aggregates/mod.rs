//! What is known about aggregates: `migrations/0005_create_aggregates.sql` says what the rows mean.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};

/// Where a version of an aggregate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not everything from before it was installed is in it.
    Building,
    /// The view shows it.
    Live,
    /// Another one took its place.
    Old,
}

/// A version of an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The name of `[aggregates.NAME]`.
    pub name: String,
    /// Which version.
    pub version: i32,
    /// Which definition it is.
    pub definition: String,
    /// What statements are made of, in JSON.
    pub spec: String,
    /// Where it is.
    pub state: State,
    /// Everything from this bucket on is in it.
    pub built_from: String,
    /// Of a source that rows are only added to: all transactions before this one are in it, and none of the others.
    pub read_until: String,
    /// Everything before this bucket stays as it is.
    pub frozen_until: String,
    /// What has been done so far.
    pub done: Done,
    /// Why nothing is moved at present.
    pub paused: Option<String>,
}

/// What has been done with a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// How often something was moved into the groups.
    pub folds: i64,
    /// Rows of the log that were.
    pub rows: i64,
    /// How long ago that was.
    pub folded: Option<Duration>,
    /// Rows that came for buckets which stay as they are.
    pub late: i64,
    /// How long ago it was compared with its source.
    pub checked: Option<Duration>,
    /// How many groups were compared then.
    pub compared: i64,
    /// How many were not what the source says.
    pub wrong: i64,
}

/// What is to be published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The values of the columns that the key names.
    pub params: Vec<String>,
    /// What is published now counts as newer than what was published with a lower one.
    pub version: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select name, version, definition, spec::text as spec, state, built_from, read_until, frozen_until, folds, folded_rows, late_rows,
                checked, wrong, (extract(epoch from clock_timestamp() - folded_at) * 1000)::bigint as folded_ms,
                (extract(epoch from clock_timestamp() - checked_at) * 1000)::bigint as checked_ms,
                case when paused_at is not null then coalesce(paused_why, '') end as paused_why
            from brasa.aggregates where ",
            $rest
        )
    };
}

const ALL: &str = select!("$1::text is null or name = $1 order by name, version");

/// Whoever has it in hand already is to be left alone.
const LOCK: &str = select!("name = $1 and version = $2 for update skip locked");

const EXISTS: &str = "select to_regclass('brasa.aggregates') is not null";

const ADD: &str = "insert into brasa.aggregates (name, version, definition, spec, state) 
    values ($1, $2, $3, $4::text::jsonb, 'building')";

const FOLDED: &str = "update brasa.aggregates
    set folds = folds + 1, folded_rows = folded_rows + $3, late_rows = late_rows + $4, folded_at = clock_timestamp()
    where name = $1 and version = $2";

const BUILT: &str =
    "update brasa.aggregates set built_from = $3, folds = folds + 1, folded_at = clock_timestamp()
    where name = $1 and version = $2";

const FROZEN: &str = "update brasa.aggregates set frozen_until = $3 where name = $1 and version = $2";

const READ: &str = "update brasa.aggregates set read_until = $3 where name = $1 and version = $2";

const LIVE: &str = "update brasa.aggregates
    set state = case when version = $2 then 'live' else 'old' end,
        built_at = case when version = $2 then clock_timestamp() else built_at end
    where name = $1 and version <= $2";

const CHECKED: &str = "update brasa.aggregates set checked_at = clock_timestamp(), checked = $3, wrong = $4
    where name = $1 and version = $2";

const PAUSED: &str = "update brasa.aggregates
    set paused_why = $3, paused_at = case when $3::text is not null then clock_timestamp() end
    where name = $1 and version = $2 and paused_why is distinct from $3";

const FORGET: &str = "delete from brasa.aggregates where name = $1 and version = $2";

const DUE: &str =
    "select params, version from brasa.aggregate_outbox where name = $1 order by params limit $2";

const TOLD: &str = "delete from brasa.aggregate_outbox where name = $1 and params = $2 and version = $3";

/// Whether the database has the tables of aggregates.
///
/// # Errors
/// What Postgres says.
pub async fn exists(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(EXISTS).fetch_one(pool).await
}

/// All versions of an aggregate, or of all, the newest last.
///
/// # Errors
/// What Postgres says.
pub async fn versions(
    connection: &mut PgConnection,
    name: Option<&str>,
) -> Result<Vec<Version>, sqlx::Error> {
    let rows = sqlx::query(ALL).bind(name).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// A version that nobody else changes until the transaction ends; none where somebody does, or it is gone.
///
/// # Errors
/// What Postgres says.
pub async fn lock(
    transaction: &mut PgConnection,
    name: &str,
    version: i32,
) -> Result<Option<Version>, sqlx::Error> {
    let row = sqlx::query(LOCK).bind(name).bind(version).fetch_optional(transaction).await?;
    row.map(|row| read(&row)).transpose()
}

/// Notes a version that is to be built.
///
/// # Errors
/// What Postgres says.
pub async fn add(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    definition: &str,
    spec: &str,
) -> Result<(), sqlx::Error> {
    let add = sqlx::query(ADD).bind(name).bind(version).bind(definition).bind(spec);
    add.execute(connection).await.map(drop)
}

/// Notes that rows of the log were moved into the groups, and how many came too late, in the transaction that does.
///
/// # Errors
/// What Postgres says.
pub async fn folded(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    rows: i64,
    late: i64,
) -> Result<(), sqlx::Error> {
    let note = sqlx::query(FOLDED).bind(name).bind(version).bind(rows).bind(late);
    note.execute(connection).await.map(drop)
}

/// Notes that everything from this bucket on is in a version, in the transaction that puts it there.
///
/// # Errors
/// What Postgres says.
pub async fn built(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    from: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(BUILT).bind(name).bind(version).bind(from).execute(connection).await.map(drop)
}

/// Notes that everything before this bucket stays as it is.
///
/// # Errors
/// What Postgres says.
pub async fn frozen(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    until: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(FROZEN).bind(name).bind(version).bind(until).execute(connection).await.map(drop)
}

/// Notes that all transactions before this one are in a version, in the transaction that puts them there.
///
/// # Errors
/// What Postgres says.
pub async fn read_until(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    until: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(READ).bind(name).bind(version).bind(until).execute(connection).await.map(drop)
}

/// Makes a version the one that is shown, and all before it old ones.
///
/// # Errors
/// What Postgres says.
pub async fn live(connection: &mut PgConnection, name: &str, version: i32) -> Result<(), sqlx::Error> {
    sqlx::query(LIVE).bind(name).bind(version).execute(connection).await.map(drop)
}

/// Notes what a comparison with the source came to.
///
/// # Errors
/// What Postgres says.
pub async fn checked(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    compared: i64,
    wrong: i64,
) -> Result<(), sqlx::Error> {
    let note = sqlx::query(CHECKED).bind(name).bind(version).bind(compared).bind(wrong);
    note.execute(connection).await.map(drop)
}

/// Notes why nothing is moved into the groups; none where it goes on.
///
/// # Errors
/// What Postgres says.
pub async fn pause(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    why: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(PAUSED).bind(name).bind(version).bind(why).execute(connection).await.map(drop)
}

/// Forgets a version whose tables are gone.
///
/// # Errors
/// What Postgres says.
pub async fn forget(connection: &mut PgConnection, name: &str, version: i32) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET).bind(name).bind(version).execute(connection).await.map(drop)
}

/// What is to be published again, up to `most`.
///
/// # Errors
/// What Postgres says.
pub async fn due(connection: &mut PgConnection, name: &str, most: i64) -> Result<Vec<Due>, sqlx::Error> {
    let rows = sqlx::query(DUE).bind(name).bind(most).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(Due { params: row.try_get("params")?, version: row.try_get("version")? }))
        .collect()
}

/// Notes that it was published, unless it is to be again by now.
///
/// # Errors
/// What Postgres says.
pub async fn told(connection: &mut PgConnection, name: &str, due: &Due) -> Result<(), sqlx::Error> {
    sqlx::query(TOLD).bind(name).bind(&due.params).bind(due.version).execute(connection).await.map(drop)
}

fn read(row: &PgRow) -> Result<Version, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let ago = |column: &str| {
        let ms: Option<i64> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
    };
    Ok(Version {
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        definition: row.try_get("definition")?,
        spec: row.try_get("spec")?,
        state: match state.as_str() {
            "building" => State::Building,
            "live" => State::Live,
            _ => State::Old,
        },
        built_from: row.try_get("built_from")?,
        read_until: row.try_get("read_until")?,
        frozen_until: row.try_get("frozen_until")?,
        done: Done {
            folds: row.try_get("folds")?,
            rows: row.try_get("folded_rows")?,
            folded: ago("folded_ms")?,
            late: row.try_get("late_rows")?,
            checked: ago("checked_ms")?,
            compared: row.try_get("checked")?,
            wrong: row.try_get("wrong")?,
        },
        paused: row.try_get("paused_why")?,
    })
}
