//! What was done to the database, in `brasa.care_actions`.

use sqlx::PgPool;

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

/// Forgets what was done long ago.
///
/// # Errors
/// What Postgres says.
pub async fn forget(pool: &PgPool) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(FORGET).bind(KEPT).execute(pool).await?.rows_affected())
}
