//! What the catalogues of the database say about tables, and about triggers of ours.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::postgres::types::Oid;
use sqlx::{PgConnection, Row as _};

use crate::db::changes::Dependency;
use crate::db::changes::dependency::name;
use crate::db::changes::triggers::TriggerError;
use crate::db::quoted;

/// Without the schema it is the one that the search path finds first.
const FIND: &str = "/* brasa */
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
        c.relpersistence::text as lasting, c.oid < 16384 as is_system,
        (select quote_ident(pn.nspname) || '.' || quote_ident(p.relname)
            from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
            where i.inhrelid = c.oid order by i.inhseqno limit 1) as parent
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and case when $1::text is null then pg_table_is_visible(c.oid) else n.nspname = $1 end";

/// A table and everything that is a part of it, each once.
const TREE: &str = "/* brasa */ with recursive tree (oid, depth) as (
        select $1::oid, 0 union all
        select i.inhrelid, tree.depth + 1 from tree join pg_inherits i on i.inhparent = tree.oid)
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind
    from (select oid, min(depth) as depth from tree group by oid) as once
    join pg_class c on c.oid = once.oid join pg_namespace n on n.oid = c.relnamespace
    order by depth, n.nspname, c.relname";

/// Types of which nobody but the database itself can say how they become text, and whose text is the same
/// whatever a session sets.
const COLUMNS: &str = "/* brasa */ select a.attname::text as name, t.typnamespace = 'pg_catalog'::regnamespace
        and t.typname in ('int2', 'int4', 'int8', 'numeric', 'bool', 'text', 'varchar', 'bpchar', 'uuid', 'oid')
        as is_plain
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped";

const FUNCTIONS: &str = "/* brasa */ select p.oid, p.proname::text as name, p.prosrc as body,
        pg_get_userbyid(p.proowner)::text as owner, pg_has_role(p.proowner, 'usage') as is_mine
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'brasa' and p.prorettype = 'trigger'::regtype
        and p.proname ~ '^cache_(insert|update|delete|truncate)_[0-9a-f]{16}_[0-9a-f]{16}$'
    order by p.proname";

const TRIGGERS: &str = "/* brasa */
    select t.tgrelid as on_oid, n.nspname::text as schema, c.relname::text as on_name,
        t.tgname::text as name, p.proname::text as function, t.tgenabled in ('O', 'A') as is_enabled
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        join pg_proc p on p.oid = t.tgfoid
    where t.tgfoid = any ($1) and not t.tgisinternal
    order by n.nspname, c.relname, t.tgname";

/// A table or a part of one.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) oid: Oid,
    pub(super) schema: String,
    pub(super) name: String,
}

impl Relation {
    /// For people, and for names that are derived from it.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", name(&self.schema), name(&self.name))
    }

    /// For SQL.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A function of ours that is there.
#[derive(Debug)]
pub(super) struct Function {
    oid: Oid,
    pub(super) name: String,
    pub(super) body: String,
    pub(super) owner: String,
    pub(super) is_mine: bool,
}

impl Function {
    /// Which table it is for.
    pub(super) fn id(&self) -> &str {
        self.name.split('_').nth(2).unwrap_or_default()
    }
}

/// A trigger of ours that is there.
#[derive(Debug)]
pub(super) struct Trigger {
    pub(super) on: Relation,
    pub(super) name: String,
    pub(super) function: String,
    pub(super) is_enabled: bool,
}

/// Everything of ours that is there.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) functions: Vec<Function>,
    pub(super) triggers: Vec<Trigger>,
}

impl Ours {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, TriggerError> {
        Self::ask(connection).await.map_err(TriggerError::reading)
    }

    async fn ask(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query(FUNCTIONS).fetch_all(&mut *connection).await?;
        let functions = rows.iter().map(function).collect::<Result<Vec<_>, _>>()?;
        let oids: Vec<Oid> = functions.iter().map(|function| function.oid).collect();
        let rows = sqlx::query(TRIGGERS).bind(oids).fetch_all(connection).await?;
        let triggers = rows.iter().map(trigger).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { functions, triggers })
    }
}

fn function(row: &PgRow) -> Result<Function, sqlx::Error> {
    Ok(Function {
        oid: row.try_get("oid")?,
        name: row.try_get("name")?,
        body: row.try_get("body")?,
        owner: row.try_get("owner")?,
        is_mine: row.try_get("is_mine")?,
    })
}

fn trigger(row: &PgRow) -> Result<Trigger, sqlx::Error> {
    let on = Relation {
        oid: row.try_get("on_oid")?,
        schema: row.try_get("schema")?,
        name: row.try_get("on_name")?,
    };
    Ok(Trigger {
        on,
        name: row.try_get("name")?,
        function: row.try_get("function")?,
        is_enabled: row.try_get("is_enabled")?,
    })
}

fn relation(row: &PgRow) -> Result<Relation, sqlx::Error> {
    Ok(Relation { oid: row.try_get("oid")?, schema: row.try_get("schema")?, name: row.try_get("name")? })
}

/// The table that a dependency means, whatever it is.
pub(super) async fn find(
    connection: &mut PgConnection,
    dependency: &Dependency,
) -> Result<(Relation, PgRow), TriggerError> {
    let query = sqlx::query(FIND).bind(dependency.schema.as_deref()).bind(&dependency.table);
    let row = query.fetch_optional(connection).await.map_err(TriggerError::reading)?;
    let shown = Dependency { columns: Vec::new(), ..dependency.clone() }.to_string();
    let row = row.ok_or(TriggerError::NoTable { table: shown })?;
    Ok((relation(&row).map_err(TriggerError::reading)?, row))
}

/// The table that a dependency means, if it can have the triggers.
pub(super) async fn find_table(
    connection: &mut PgConnection,
    dependency: &Dependency,
) -> Result<Relation, TriggerError> {
    let (table, row) = find(connection, dependency).await?;
    let shown = table.shown();
    if let Some(what) = what_else(&table, &row).map_err(TriggerError::reading)? {
        return Err(TriggerError::NotATable { table: shown, what: what.to_owned() });
    }
    match row.try_get("parent").map_err(TriggerError::reading)? {
        Some(parent) => Err(TriggerError::Part { table: shown, parent }),
        None => Ok(table),
    }
}

/// What it is, if it is not a table of the application.
fn what_else(table: &Relation, row: &PgRow) -> Result<Option<&'static str>, sqlx::Error> {
    let (kind, lasting): (String, String) = (row.try_get("kind")?, row.try_get("lasting")?);
    Ok(match (kind.as_str(), lasting.as_str()) {
        ("v", _) => Some("a view"),
        ("m", _) => Some("a materialized view"),
        ("f", _) => Some("a foreign table"),
        (_, "t") => Some("a temporary table"),
        _ if row.try_get("is_system")? => Some("a table of the database itself"),
        _ if table.schema == "brasa" => Some("a table of Brasa itself"),
        _ => None,
    })
}

/// The table and its parts, the table first.
pub(super) async fn tree(
    connection: &mut PgConnection,
    table: &Relation,
) -> Result<Vec<Relation>, TriggerError> {
    let rows =
        sqlx::query(TREE).bind(table.oid).fetch_all(connection).await.map_err(TriggerError::reading)?;
    let mut parts = Vec::new();
    for row in &rows {
        let part = relation(row).map_err(TriggerError::reading)?;
        let kind: String = row.try_get("kind").map_err(TriggerError::reading)?;
        if kind == "f" {
            return Err(TriggerError::ForeignPart { table: table.shown(), part: part.shown() });
        }
        parts.push(part);
    }
    Ok(parts)
}

/// The columns of a table, and whether the text of each is the same in every session.
pub(super) async fn columns(
    connection: &mut PgConnection,
    table: &Relation,
) -> Result<BTreeMap<String, bool>, TriggerError> {
    let rows = sqlx::query(COLUMNS).bind(table.oid).fetch_all(connection).await;
    let rows = rows.map_err(TriggerError::reading)?;
    let read = |row: &PgRow| Ok((row.try_get("name")?, row.try_get("is_plain")?));
    rows.iter().map(read).collect::<Result<_, _>>().map_err(TriggerError::reading)
}
