//! What the catalogue says about the columns of a table.

use sqlx::{PgConnection, Row as _};

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "so the catalogue says")]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type as it is written in SQL, without a length.
    pub kind: String,
    /// It must not be NULL.
    pub is_needed: bool,
    /// It has a value where none is given.
    pub has_default: bool,
    /// The database makes it, always.
    pub is_made: bool,
    /// It is an array.
    pub is_array: bool,
    /// It is a number.
    pub is_number: bool,
}

const COLUMNS: &str =
    "select a.attname::text as name, format_type(a.atttypid, -1) as kind, a.attnotnull as is_needed,
        a.atthasdef or a.attidentity <> '' or t.typdefault is not null as has_default,
        a.attgenerated <> '' or a.attidentity = 'a' as is_made, t.typcategory = 'A' as is_array,
        t.typcategory = 'N' as is_number
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum";

/// The columns of a table, whose name is as it is written in SQL; none where there is no such table.
///
/// # Errors
/// What Postgres says.
pub async fn columns_of(connection: &mut PgConnection, table: &str) -> Result<Vec<TableColumn>, sqlx::Error> {
    let rows = sqlx::query(COLUMNS).bind(table).fetch_all(connection).await?;
    let column = |row: &sqlx::postgres::PgRow| {
        Ok(TableColumn {
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            is_needed: row.try_get("is_needed")?,
            has_default: row.try_get("has_default")?,
            is_made: row.try_get("is_made")?,
            is_array: row.try_get("is_array")?,
            is_number: row.try_get("is_number")?,
        })
    };
    rows.iter().map(column).collect()
}

/// What `on conflict` looks for when it plans, and not before: preparing a statement does not tell.
const HAS_UNIQUE: &str = "select exists (
        select from pg_index i
        where i.indrelid = to_regclass($1) and i.indisunique and i.indisvalid and i.indimmediate
            and i.indpred is null and i.indexprs is null
            and $2 = array(
                select a.attname::text from pg_attribute a
                where a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                order by a.attname::text collate \"C\"))";

/// Whether a table has a unique index on exactly these columns, in whichever order.
///
/// # Errors
/// What Postgres says.
pub async fn has_unique(
    connection: &mut PgConnection,
    table: &str,
    columns: &[String],
) -> Result<bool, sqlx::Error> {
    let mut columns = columns.to_vec();
    columns.sort();
    sqlx::query_scalar(HAS_UNIQUE).bind(table).bind(columns).fetch_one(connection).await
}
