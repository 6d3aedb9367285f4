//! Whether a role may make the triggers, and what would let it.

use sqlx::postgres::types::Oid;
use sqlx::{PgConnection, Row as _};

use crate::db::changes::dependency::name;
use crate::db::changes::triggers::TriggerError;
use crate::db::changes::triggers::catalog::{Function, Relation};

/// Asked for by number, for which no right is needed.
const SCHEMA: &str = "/* brasa */
    select current_user::text as role, n.oid is not null and c.oid is not null as is_there,
        coalesce(has_schema_privilege(n.oid, 'usage'), false) as may_use,
        coalesce(has_schema_privilege(n.oid, 'create'), false) as may_create,
        coalesce(has_table_privilege(c.oid, 'insert'), false) as may_insert
    from (select) as one left join pg_namespace n on n.nspname = 'brasa'
        left join pg_class c on c.relnamespace = n.oid and c.relname = 'cache_log'";

const TABLES: &str = "/* brasa */ select n.nspname::text as schema, c.relname::text as name,
        has_schema_privilege(n.oid, 'usage') as may_use, has_table_privilege(c.oid, 'trigger') as may_trigger
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = any ($1) order by array_position($1, c.oid)";

/// Makes sure that this role may make triggers on these tables.
pub(super) async fn check(connection: &mut PgConnection, tables: &[&Relation]) -> Result<(), TriggerError> {
    let row = sqlx::query(SCHEMA).fetch_one(&mut *connection).await.map_err(TriggerError::reading)?;
    let is = |column: &str| row.try_get::<bool, _>(column).map_err(TriggerError::reading);
    let role: String = row.try_get("role").map_err(TriggerError::reading)?;
    if !is("is_there")? {
        return Err(TriggerError::NoLog);
    }
    if !is("may_use")? || !is("may_create")? {
        let what = "create functions in schema `brasa`".to_owned();
        return Err(TriggerError::right(&role, what, "usage, create on schema brasa"));
    }
    if !is("may_insert")? {
        let what = "append to the change log".to_owned();
        return Err(TriggerError::right(&role, what, "insert on brasa.cache_log"));
    }
    check_tables(connection, &role, tables).await
}

async fn check_tables(
    connection: &mut PgConnection,
    role: &str,
    tables: &[&Relation],
) -> Result<(), TriggerError> {
    let oids: Vec<Oid> = tables.iter().map(|table| table.oid).collect();
    let rows = sqlx::query(TABLES).bind(oids).fetch_all(connection).await.map_err(TriggerError::reading)?;
    for (row, table) in rows.iter().zip(tables) {
        let is = |column: &str| row.try_get::<bool, _>(column).map_err(TriggerError::reading);
        if !is("may_use")? {
            let schema = name(&table.schema);
            let what = format!("use schema `{schema}`");
            return Err(TriggerError::right(role, what, &format!("usage on schema {schema}")));
        }
        if !is("may_trigger")? {
            let shown = table.shown();
            let what = format!("make triggers on `{shown}`");
            return Err(TriggerError::right(role, what, &format!("trigger on {shown}")));
        }
    }
    Ok(())
}

/// Makes sure that this role may replace or drop these functions.
pub(super) fn check_owner<'a>(
    table: &str,
    mut functions: impl Iterator<Item = &'a Function>,
) -> Result<(), TriggerError> {
    match functions.find(|function| !function.is_mine) {
        Some(other) => Err(TriggerError::Owner { table: table.to_owned(), owner: other.owner.clone() }),
        None => Ok(()),
    }
}
