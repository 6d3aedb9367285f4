//! What was done to the database, in `brasa.care_actions`.

use sqlx::{PgPool, Row as _};

/// How long it is known what was done.
const KEPT: &str = "400 days";

/// Something that was done, or was not.
#[derive(Debug, Clone)]
pub struct Note<'a> {
    /// What: `analyze` or `vacuum`.
    pub kind: &'a str,
    /// To which table, as it is written in SQL.
    pub table: &'a str,
    /// Why.
    pub why: &'a str,
    /// By whom: the job, or a person.
    pub actor: &'a str,
    /// Why it did not work.
    pub error: Option<String>,
}

const NOTE: &str = "insert into brasa.care_actions
        (kind, schema_name, table_name, why, actor, state, error, ended_at)
    select $1, n.nspname, c.relname, $3, $4, case when $5::text is null then 'done' else 'skipped' end, $5,
        clock_timestamp()
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($2)";
const FORGET: &str =
    "delete from brasa.care_actions where started_at < now() - $1::interval and state <> 'armed'";

/// Notes what was done. It was done whether this works or not, so a fault is only told.
pub async fn note(pool: &PgPool, note: &Note<'_>) {
    let query = sqlx::query(NOTE).bind(note.kind).bind(note.table).bind(note.why).bind(note.actor);
    if let Err(error) = query.bind(&note.error).execute(pool).await {
        tracing::warn!(%error, table = note.table, "what was done could not be noted: has `brasa migrate` been run?");
    }
}

/// Forgets what was done long ago. The next run tries again where this does not work.
pub async fn forget(pool: &PgPool) {
    if let Err(error) = sqlx::query(FORGET).bind(KEPT).execute(pool).await {
        tracing::debug!(%error, "what was done long ago could not be forgotten");
    }
}

/// Something that was done, as it was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What: `analyze`, `vacuum` or `reindex`.
    pub kind: String,
    /// To what, as it is called.
    pub object: String,
    /// Why.
    pub why: String,
    /// By whom.
    pub actor: String,
    /// What came of it.
    pub state: String,
    /// How large it was, and is, in bytes.
    pub bytes: (Option<i64>, Option<i64>),
    /// Why it did not work.
    pub error: Option<String>,
    /// When it began, in ms since 1970.
    pub started_ms: i64,
    /// How long it took, in ms.
    pub took_ms: Option<i64>,
}

const ACTIONS: &str =
    "select kind, concat_ws('.', quote_ident(schema_name), quote_ident(coalesce(index_name, table_name)))
        as object, why, actor, state, bytes_before, bytes_after, error,
        (extract(epoch from started_at) * 1000)::bigint as started_ms,
        (extract(epoch from ended_at - started_at) * 1000)::bigint as took_ms
    from brasa.care_actions where $2::text is null or $2 in (index_name, table_name,
        schema_name || '.' || table_name, schema_name || '.' || index_name)
    order by started_at desc, id desc limit $1";

/// What was done last, the newest first: to one table or index, or to all.
///
/// # Errors
/// What Postgres says.
pub async fn actions(pool: &PgPool, most: u32, only: Option<&str>) -> Result<Vec<Action>, sqlx::Error> {
    let rows = sqlx::query(ACTIONS).bind(i64::from(most)).bind(only).fetch_all(pool).await?;
    let action = |row: &sqlx::postgres::PgRow| {
        Ok(Action {
            kind: row.try_get("kind")?,
            object: row.try_get("object")?,
            why: row.try_get("why")?,
            actor: row.try_get("actor")?,
            state: row.try_get("state")?,
            bytes: (row.try_get("bytes_before")?, row.try_get("bytes_after")?),
            error: row.try_get("error")?,
            started_ms: row.try_get("started_ms")?,
            took_ms: row.try_get("took_ms")?,
        })
    };
    rows.iter().map(action).collect()
}
