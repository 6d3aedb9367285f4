//! Which tables rows are upserted into.
//!
//! While a unique index is rebuilt beside others there are two of them, and `ON CONFLICT` finds now the one and now the other:
//! it fails with a duplicate key, or finds none. Up to version 18 that is so in every minor.

use std::collections::BTreeMap;

use brasa_shared::config::Indexes;
use brasa_shared::db;
use sqlx::{PgConnection, Row as _};

use crate::database::indexes::Index;

/// Whether rows are upserted into a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum HasUpserts {
    /// They are.
    Yes,
    /// They are not, or the configuration says so.
    No,
    /// Nobody knows.
    #[default]
    Unknown,
}

const EXTENSION: &str =
    "select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pg_stat_statements' and (pg_has_role('pg_read_all_stats', 'usage') or
        (select rolsuper from pg_roles where rolname = current_user))";

/// Looks which tables of these unique indexes have upserts, as far as the statements are known that ran. By the table's
/// name alone: one of that name in another schema counts as well.
///
/// # Errors
/// What Postgres says.
pub(super) async fn upserts(
    connection: &mut PgConnection,
    indexes: &[Index],
    rules: &Indexes,
) -> Result<BTreeMap<u32, HasUpserts>, sqlx::Error> {
    let mut found = BTreeMap::new();
    let mut declared = Vec::new();
    for table in &rules.without_upserts {
        let oid: Option<i64> = sqlx::query_scalar("select to_regclass($1)::oid::bigint")
            .bind(table)
            .fetch_one(&mut *connection)
            .await?;
        declared.extend(oid);
    }
    let statements = statements(connection).await?;
    for index in indexes.iter().filter(|index| index.is_unique) {
        let is_declared = declared.contains(&i64::from(index.table_oid));
        found.entry(index.table_oid).or_insert_with(|| match &statements {
            _ if is_declared => HasUpserts::No,
            None => HasUpserts::Unknown,
            Some(statements) if statements.iter().any(|text| names(text, &index.table)) => HasUpserts::Yes,
            Some(_) => HasUpserts::No,
        });
    }
    Ok(found)
}

/// The upserts that ran, of all databases' texts those of this one; none where nobody keeps them, or we may not see them.
async fn statements(connection: &mut PgConnection) -> Result<Option<Vec<String>>, sqlx::Error> {
    let schema: Option<String> = sqlx::query_scalar(EXTENSION).fetch_optional(&mut *connection).await?;
    let Some(schema) = schema else { return Ok(None) };
    let sql = format!(
        "select lower(s.query) as text from {schema}.pg_stat_statements s join pg_database d on d.oid = s.dbid
         where d.datname = current_database() and s.query ~* '\\mon\\s+conflict\\M'"
    );
    let rows = match db::fetch(connection, &sql, &[]).await {
        // It is there, and was not loaded when the server started.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55000") => return Ok(None),
        rows => rows?,
    };
    rows.iter().map(|row| row.try_get("text")).collect::<Result<_, _>>().map(Some)
}

/// Whether a statement, in small letters, names a table, which is as it is written in SQL.
fn names(statement: &str, table: &str) -> bool {
    let bare = table.rsplit_once('.').map_or(table, |(_, bare)| bare).trim_matches('"').to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    statement.match_indices(&bare).any(|(at, _)| {
        let (before, after) = (&statement[..at], &statement[at + bare.len()..]);
        !before.chars().next_back().is_some_and(is_word) && !after.chars().next().is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_by_a_whole_word() {
        let upsert = "insert into shop.orders (id) values ($1) on conflict (id) do nothing";
        assert!(names(upsert, "public.orders") && names(upsert, "shop.\"Orders\""));
        assert!(!names(upsert, "public.order") && !names(upsert, "public.rders"));
    }
}
