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

const COLUMNS: &str = "/* brasa */
    select a.attname::text as name, format_type(a.atttypid, -1) as kind, a.attnotnull as is_needed,
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
const HAS_UNIQUE: &str = "/* brasa */ select exists (
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

/// A table, or a part of one: rows that are written to a part by its own name are written to the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name as it is written in SQL.
    pub name: String,
    /// What it is, as `pg_class.relkind` says it.
    pub kind: String,
    /// Whether this role may make triggers on it.
    pub may_trigger: bool,
}

const PARTS: &str = "/* brasa */ with recursive tree (oid, depth) as (
        select to_regclass($1)::oid, 0 union all
        select i.inhrelid, tree.depth + 1 from tree join pg_inherits i on i.inhparent = tree.oid)
    select format('%I.%I', n.nspname, c.relname) as name, c.relkind::text as kind,
        has_table_privilege(c.oid, 'trigger') as may_trigger
    from (select oid, min(depth) as depth from tree group by oid) as once
    join pg_class c on c.oid = once.oid join pg_namespace n on n.oid = c.relnamespace
    order by depth, n.nspname, c.relname";

/// A table and all its parts, the table first; none where there is no such table.
///
/// # Errors
/// What Postgres says.
pub async fn parts_of(connection: &mut PgConnection, table: &str) -> Result<Vec<Part>, sqlx::Error> {
    let rows = sqlx::query(PARTS).bind(table).fetch_all(connection).await?;
    let part = |row: &sqlx::postgres::PgRow| {
        Ok(Part {
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            may_trigger: row.try_get("may_trigger")?,
        })
    };
    rows.iter().map(part).collect()
}

/// Of a small table nobody minds that it is read whole.
const LEADS_INDEX: &str =
    "/* brasa */ select c.relkind = 'r' and c.reltuples < $3 and pg_relation_size(c.oid) < 16 * 1024 * 1024
        or exists (
            select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = c.oid and i.indisvalid and i.indpred is null and a.attname = $2)
    from pg_class c where c.oid = to_regclass($1)";

/// Whether rows can be found by the values of a column: it leads an index, or there are few of them.
///
/// # Errors
/// What Postgres says.
pub async fn leads_index(
    connection: &mut PgConnection,
    table: &str,
    column: &str,
    few: f32,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query_scalar(LEADS_INDEX).bind(table).bind(column).bind(few);
    Ok(query.fetch_optional(connection).await?.unwrap_or(false))
}

const TRIGGERS: &str = "/* brasa */
    select format('%I.%I', n.nspname, c.relname) as name, count(*) filter (where t.tgenabled in ('O', 'A'))
        as firing
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where t.tgname = any ($1) and not t.tgisinternal group by 1 order by 1";

/// Where triggers of these names are: tables as they are written in SQL, each with how many of them fire.
///
/// # Errors
/// What Postgres says.
pub async fn triggers_on(
    connection: &mut PgConnection,
    triggers: &[String],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query(TRIGGERS).bind(triggers).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("firing")?))).collect()
}

const GRANTS: &str = "/* brasa */ select format('grant %s on %s to %s%s', given.privilege_type, $1,
        case when given.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(given.grantee)) end,
        case when given.is_grantable then ' with grant option' else '' end)
    from pg_class c, aclexplode(c.relacl) as given where c.oid = to_regclass($1) and given.grantee <> c.relowner";

/// What gives others the rights again that they have on a view; nothing where there is no such view.
///
/// # Errors
/// What Postgres says.
pub async fn grants_on(connection: &mut PgConnection, view: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(GRANTS).bind(view).fetch_all(connection).await
}

/// The collation is a part of what makes values equal.
const KEY_KINDS: &str =
    "/* brasa */ select format_type(a.atttypid, -1) || case when a.attcollation in (0, t.typcollation) then ''
        else ' collate ' || a.attcollation::regcollation end
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = to_regclass($1) and a.attname = $2 and not a.attisdropped";

/// The type of a column, with its collation where that is not the usual one of its type.
///
/// # Errors
/// What Postgres says.
pub async fn key_kind(
    connection: &mut PgConnection,
    table: &str,
    column: &str,
) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(KEY_KINDS).bind(table).bind(column).fetch_one(connection).await
}

/// Whether this role sees only some of the rows of a table.
///
/// # Errors
/// What Postgres says.
pub async fn sees_part(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    let ask = "/* brasa */ select coalesce(row_security_active(to_regclass($1)::oid), false)";
    sqlx::query_scalar(ask).bind(table).fetch_one(connection).await
}
