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

/// Counters that are younger than this say nothing about what is done once a week.
const COUNTED_DAYS: f64 = 7.0;

const EXTENSION: &str =
    "/* brasa */ select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pg_stat_statements' and (pg_has_role('pg_read_all_stats', 'usage') or
        (select rolsuper from pg_roles where rolname = current_user))";
/// What a table may be called where rows are put into it: by itself, by a table that it is a part of, by a view of it.
const NAMES: &str = "/* brasa */ with recursive up as (
        select $1::bigint::oid as oid union select a.relid::oid from pg_partition_ancestors($1::bigint::oid) a (relid)),
    seen as (select oid from up union
        select r.ev_class from seen s join pg_depend d on d.refobjid = s.oid and d.refclassid = 'pg_class'::regclass
            and d.classid = 'pg_rewrite'::regclass join pg_rewrite r on r.oid = d.objid)
    select c.relname::text from seen join pg_class c on c.oid = seen.oid";
/// Statements inside of functions are counted only where that was asked for, so their texts are looked through. From
/// Postgres 14 on some have none, but statements that are parsed already (`begin atomic`).
const FUNCTIONS: &str = "/* brasa */ select f.called, f.body from (
        select format('function %I.%I', n.nspname, p.proname) as called,
            coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as body
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname not in ('information_schema', 'brasa') and n.nspname !~ '^pg_'
    ) as f where f.body ~* '\\mon\\s+conflict\\M'";
/// The same of Postgres 13.
const FUNCTIONS_13: &str = "/* brasa */ select format('function %I.%I', n.nspname, p.proname), p.prosrc
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where p.prosrc ~* '\\mon\\s+conflict\\M' and n.nspname not in ('information_schema', 'brasa')
        and n.nspname !~ '^pg_'";
const VERSION: &str = "/* brasa */ select current_setting('server_version_num')::int";

/// What was recorded, for as long as it is kept. Of a text that was cut nobody knows how it ends.
const KEPT: &str = "/* brasa */ select fingerprint, text from brasa.care_statement_texts
    where not is_ours and (text ~* '\\mon\\s+conflict\\M'
        or octet_length(text) > 4000 and text ~* '^\\W*(insert|with|merge)\\M')";

/// Functions with upserts: what each is called, and its text.
///
/// # Errors
/// What Postgres says.
pub(in crate::database) async fn written(
    connection: &mut PgConnection,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let version: i32 = sqlx::query_scalar(VERSION).fetch_one(&mut *connection).await?;
    let functions = if version >= 140_000 { FUNCTIONS } else { FUNCTIONS_13 };
    sqlx::query_as(functions).fetch_all(connection).await
}

/// Upserts that were recorded, by their fingerprints, with their texts: none where nothing is recorded, or this role may
/// not see it.
///
/// # Errors
/// What Postgres says.
pub(in crate::database) async fn kept(
    connection: &mut PgConnection,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    allowed(sqlx::query_as(KEPT).fetch_all(connection).await).map(Option::unwrap_or_default)
}

/// What a table may be called where rows are put into it, without schemas.
///
/// # Errors
/// What Postgres says.
pub(in crate::database) async fn called(
    connection: &mut PgConnection,
    table: u32,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(NAMES).bind(i64::from(table)).fetch_all(connection).await
}

/// Looks which tables of these unique indexes have upserts, as far as the statements are known that ran. By names alone: a
/// table of that name in another schema counts as well.
///
/// # Errors
/// What Postgres says.
pub(super) async fn upserts(
    connection: &mut PgConnection,
    notes: &mut PgConnection,
    indexes: &[Index],
    rules: &Indexes,
) -> Result<BTreeMap<u32, HasUpserts>, sqlx::Error> {
    let mut found = BTreeMap::new();
    let mut declared = Vec::new();
    for table in &rules.without_upserts {
        let oid = sqlx::query_scalar("/* brasa */ select to_regclass($1)::oid::bigint").bind(table);
        let oid: Option<i64> = oid.fetch_one(&mut *connection).await?;
        declared.extend(oid);
    }
    let known = statements(connection, notes).await?;
    for index in indexes.iter().filter(|index| index.is_unique && !index.is_of_system) {
        if found.contains_key(&index.table_oid) {
            continue;
        }
        let oid = i64::from(index.table_oid);
        let called = called(connection, index.table_oid).await?;
        let is_named = known.texts.iter().any(|text| called.iter().any(|name| names(text, name)));
        let has = match (declared.contains(&oid), is_named, known.is_all) {
            (true, ..) | (false, false, true) => HasUpserts::No,
            (false, true, _) => HasUpserts::Yes,
            (false, false, false) => HasUpserts::Unknown,
        };
        found.insert(index.table_oid, has);
    }
    Ok(found)
}

/// The upserts that are known of, in small letters.
#[derive(Debug, Default)]
struct Known {
    texts: Vec<String>,
    /// Whether there are no others.
    is_all: bool,
}

/// The upserts that ran in this database, or that are in its functions.
async fn statements(connection: &mut PgConnection, notes: &mut PgConnection) -> Result<Known, sqlx::Error> {
    let known = written(connection).await?.into_iter().chain(kept(notes).await?);
    let mut texts: Vec<String> = known.map(|(_, text)| text).collect();
    let schema: Option<String> = sqlx::query_scalar(EXTENSION).fetch_optional(&mut *connection).await?;
    let mut is_all = false;
    if let Some(schema) = schema {
        let sql = format!(
            "/* brasa */ select s.query as text from {schema}.pg_stat_statements s join pg_database d on d.oid = s.dbid
             where d.datname = current_database() and s.query ~* '\\mon\\s+conflict\\M'"
        );
        if let Some(rows) = allowed(db::fetch(connection, &sql, &[]).await)? {
            texts.extend(rows.iter().map(|row| row.try_get("text")).collect::<Result<Vec<String>, _>>()?);
            // Before 14 nobody knows since when it has counted, and what it has thrown out. Of what it was told not to
            // count, here or of a role or a database, it says nothing.
            let info = format!(
                "/* brasa */ select dealloc = 0
                    and extract(epoch from clock_timestamp() - stats_reset)::float8 > {}
                    and coalesce(current_setting('pg_stat_statements.track', true), 'none') <> 'none'
                    and not exists (select from pg_db_role_setting, unnest(setconfig) as told
                        where lower(told) = 'pg_stat_statements.track=none') as is_all
                 from {schema}.pg_stat_statements_info",
                COUNTED_DAYS * 86_400.0
            );
            let rows = allowed(db::fetch(connection, &info, &[]).await)?.unwrap_or_default();
            is_all = rows.first().map(|row| row.try_get("is_all")).transpose()?.unwrap_or(false);
        }
    }
    let texts = texts.into_iter().map(|text| text.to_lowercase()).collect();
    Ok(Known { texts, is_all })
}

/// Nothing where it is not loaded, not there or not allowed.
fn allowed<T>(rows: Result<T, sqlx::Error>) -> Result<Option<T>, sqlx::Error> {
    match rows {
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("55000" | "42501" | "42P01" | "42703")) =>
        {
            Ok(None)
        }
        rows => rows.map(Some),
    }
}

/// Whether a statement, in small letters, names a table, which is as it is called.
pub(in crate::database) fn names(statement: &str, table: &str) -> bool {
    let bare = table.to_lowercase();
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
        assert!(names(upsert, "orders") && names(upsert, "Orders"));
        assert!(!names(upsert, "order") && !names(upsert, "rders"));
    }
}
