//! Notes of rebuilds, written before anything is done.

use sqlx::{PgConnection, Row as _};

use crate::database::indexes::Index;

/// A rebuild that was begun and of which it is not known what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The note's number.
    pub id: i64,
    /// The schema of the index, as it is called.
    pub schema: String,
    /// Its name, as it is called.
    pub index: String,
    /// What it was.
    pub signature: String,
    /// The number of its table.
    pub table_oid: i64,
    /// The number that it had.
    pub old_oid: i64,
    /// Indexes of the table that were invalid before: none of them is ours.
    pub strangers: Vec<i64>,
    /// The server and database.
    pub server: String,
    /// Which session did it.
    pub token: String,
    /// How large it was, in bytes.
    pub bytes_before: Option<i64>,
    /// The number of the new one, where it was seen being built.
    pub new_oid: Option<i64>,
}

const ARM: &str =
    "insert into brasa.care_actions (kind, schema_name, table_name, index_name, why, actor, state,
        signature, table_oid, old_oid, strangers, token, server, bytes_before, estimate)
    select 'reindex', n.nspname, c.relname, $2, $3, $4, 'armed', $5, $1, $6, $7, $8, $9, $10, $11
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::bigint::oid
    returning id, schema_name";
const OPEN: &str =
    "/* brasa */ select id, schema_name, index_name, signature, table_oid, old_oid, strangers, server, token,
        bytes_before, new_oid
    from brasa.care_actions where state = 'armed' and kind = 'reindex' order by id";
const CLOSE: &str =
    "update brasa.care_actions set state = $2, error = $3, new_oid = coalesce($4, new_oid), bytes_after = $5, phase = $6,
        ended_at = clock_timestamp()
    where id = $1 and state = 'armed'";

/// By whom, why and where something is rebuilt.
#[derive(Debug, Clone)]
pub(super) struct Purpose<'a> {
    pub(super) why: &'a str,
    pub(super) actor: &'a str,
    pub(super) token: &'a str,
    pub(super) server: &'a str,
}

/// Notes that an index is going to be rebuilt; nothing where its table is gone.
pub(super) async fn arm(
    connection: &mut PgConnection,
    index: &Index,
    strangers: &[i64],
    purpose: &Purpose<'_>,
) -> Result<Option<Open>, sqlx::Error> {
    let bytes = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok());
    let (table, old) = (i64::from(index.table_oid), i64::from(index.oid));
    let query = sqlx::query(ARM).bind(table).bind(&index.bare).bind(purpose.why).bind(purpose.actor);
    let query =
        query.bind(&index.signature).bind(old).bind(strangers).bind(purpose.token).bind(purpose.server);
    let estimate = bytes(index.estimate.ok().map(|estimate| estimate.bytes));
    let row = query.bind(bytes(index.bytes())).bind(estimate).fetch_optional(connection).await?;
    let open = |row: sqlx::postgres::PgRow| {
        Ok(Open {
            id: row.try_get("id")?,
            schema: row.try_get("schema_name")?,
            index: index.bare.clone(),
            signature: index.signature.clone(),
            table_oid: table,
            old_oid: old,
            strangers: strangers.to_vec(),
            server: purpose.server.to_owned(),
            token: purpose.token.to_owned(),
            bytes_before: bytes(index.bytes()),
            new_oid: None,
        })
    };
    row.map(open).transpose()
}

/// What came of a rebuild.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome<'a> {
    pub(super) state: &'a str,
    pub(super) error: Option<&'a str>,
    pub(super) new_oid: Option<i64>,
    pub(super) bytes_after: Option<i64>,
    pub(super) phase: Option<&'a str>,
}

/// Closes a note.
pub(super) async fn close(
    connection: &mut PgConnection,
    id: i64,
    outcome: &Outcome<'_>,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(CLOSE).bind(id).bind(outcome.state).bind(outcome.error);
    let query = query.bind(outcome.new_oid).bind(outcome.bytes_after).bind(outcome.phase);
    query.execute(connection).await.map(drop)
}

const BUILDING: &str = "update brasa.care_actions set new_oid = $2 where id = $1 and state = 'armed'";

/// Notes which index is being built in the place of the old one: by its number it is known afterwards whose it is.
pub(super) async fn note_new(connection: &mut PgConnection, id: i64, new: i64) -> Result<(), sqlx::Error> {
    sqlx::query(BUILDING).bind(id).bind(new).execute(connection).await.map(drop)
}

/// The notes that nobody closed, the oldest first.
///
/// # Errors
/// What Postgres says.
pub async fn open_notes(connection: &mut PgConnection) -> Result<Vec<Open>, sqlx::Error> {
    let rows = sqlx::query(OPEN).fetch_all(connection).await?;
    let open = |row: &sqlx::postgres::PgRow| {
        Ok(Open {
            id: row.try_get("id")?,
            schema: row.try_get("schema_name")?,
            index: row.try_get("index_name")?,
            signature: row.try_get("signature")?,
            table_oid: row.try_get("table_oid")?,
            old_oid: row.try_get("old_oid")?,
            strangers: row.try_get("strangers")?,
            server: row.try_get("server")?,
            token: row.try_get("token")?,
            bytes_before: row.try_get("bytes_before")?,
            new_oid: row.try_get("new_oid")?,
        })
    };
    rows.iter().map(open).collect()
}
