//! Tables: how large, how old, and when somebody last looked after them.

use sqlx::{PgConnection, Row as _};

use super::{maybe_bytes, oid};

/// What kind of table it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TableKind {
    /// One with rows.
    #[default]
    Plain,
    /// One whose rows are in its parts.
    Partitioned,
    /// What a query gave once.
    Materialized,
}

/// A table of the application.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "so the catalogue says")]
pub struct Table {
    /// Its number.
    pub oid: u32,
    /// As it is written in SQL.
    pub name: String,
    /// What kind it is.
    pub kind: TableKind,
    /// It is a part of a partitioned one.
    pub is_part: bool,
    /// How large it is with what is too long for its rows, and without indexes; none while somebody has locked it.
    pub bytes: Option<u64>,
    /// How many rows it has, as of the last look of VACUUM or ANALYZE; those of its parts where it is partitioned.
    pub rows: Option<f64>,
    /// Rows that are there, as counters say.
    pub live: i64,
    /// Rows that are gone, and whose room is still taken.
    pub dead: i64,
    /// Rows that changed since it was analyzed.
    pub changed: i64,
    /// How many dead rows it takes until autovacuum comes.
    pub vacuum_from: f64,
    /// Autovacuum is switched off for it.
    pub is_vacuum_off: bool,
    /// For how long nobody has vacuumed it, in seconds; none where nothing is known of it.
    pub vacuumed: Option<f64>,
    /// For how long nobody has analyzed it, in seconds; none where nothing is known of it.
    pub analyzed: Option<f64>,
    /// Of a partitioned one: whether there are statistics over all its parts; none where that cannot be seen.
    pub has_statistics: Option<bool>,
    /// It has a primary key.
    pub has_key: bool,
    /// Logical replication can tell its rows.
    pub has_identity: bool,
    /// It is among what is replicated.
    pub is_published: bool,
    /// How many transactions ago its oldest row that is not frozen was written.
    pub xid_age: i64,
    /// The same of multixacts.
    pub mxid_age: i64,
    /// Its rows may be read.
    pub is_readable: bool,
    /// As its owner is called.
    pub owner: String,
}

/// Sizes are not asked of what somebody has locked for himself, or waits to: the question would queue behind him.
const TABLES: &str = "
    /* brasa */ with locked as materialized (
        select relation from pg_locks where locktype = 'relation' and mode = 'AccessExclusiveLock'
            and pid <> pg_backend_pid()
          and database = (select oid from pg_database where datname = current_database())
    ), recursive_rows as (
        with recursive tree as (
            select i.inhparent as parent, i.inhrelid as part from pg_inherits i
            union all select t.parent, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.part
        ) select t.parent, sum(greatest(c.reltuples, 0))::float8 as rows from tree t join pg_class c on c.oid = t.part
          where c.relkind = 'r' group by t.parent
    )
    select c.oid::bigint as oid, format('%I.%I', n.nspname, c.relname) as name, c.relkind::text as kind,
        c.relispartition as is_part,
        case when c.relkind = 'p' then 0 when not exists (select from locked where relation in (c.oid, c.reltoastrelid))
            then pg_table_size(c.oid) end as bytes,
        case when c.relkind = 'p' then coalesce(p.rows, 0) else c.reltuples::float8 end as rows, c.relpages,
        coalesce(s.n_live_tup, 0) as live, coalesce(s.n_dead_tup, 0) as dead,
        coalesce(s.n_mod_since_analyze, 0) as changed,
        coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
            + coalesce(o.factor, current_setting('autovacuum_vacuum_scale_factor')::float8)
            * greatest(c.reltuples, 0) as vacuum_from,
        coalesce(o.is_off, false) or current_setting('autovacuum') = 'off' as is_vacuum_off,
        extract(epoch from now() - greatest(s.last_vacuum, s.last_autovacuum))::float8 as vacuumed,
        extract(epoch from now() - greatest(s.last_analyze, s.last_autoanalyze))::float8 as analyzed,
        case when c.relkind <> 'p' then null when has_table_privilege(c.oid, 'select') then exists (
            select from pg_stats t where t.schemaname = n.nspname and t.tablename = c.relname and t.inherited)
            when c.reltuples >= 0 and current_setting('server_version_num')::int >= 140000 then true end
            as has_statistics,
        exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as has_key,
        c.relreplident = 'f' or exists (select from pg_index i where i.indrelid = c.oid and
            (i.indisreplident or i.indisprimary and c.relreplident = 'd')) as has_identity,
        exists (select from pg_publication where puballtables)
            or exists (select from pg_publication_rel r where r.prrelid = c.oid) as is_published,
        case when c.relkind = 'p' then 0 else age(c.relfrozenxid) end::bigint as xid_age,
        case when c.relkind = 'p' then 0 else mxid_age(c.relminmxid) end::bigint as mxid_age,
        coalesce(has_table_privilege(c.oid, 'select'), false) as is_readable, pg_get_userbyid(c.relowner)::text as owner
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join recursive_rows p on p.parent = c.oid
    left join pg_stat_all_tables s on s.relid = c.oid
    left join lateral (
        select max(option_value::float8) filter (where option_name = 'autovacuum_vacuum_threshold') as threshold,
            max(option_value::float8) filter (where option_name = 'autovacuum_vacuum_scale_factor') as factor,
            bool_or(option_name = 'autovacuum_enabled' and lower(option_value) in ('false', 'off', 'no', '0')) as is_off
        from pg_options_to_table(c.reloptions)
        where option_name in ('autovacuum_vacuum_threshold', 'autovacuum_vacuum_scale_factor', 'autovacuum_enabled')
    ) o on true
    where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't'
      and n.nspname not in ('information_schema', 'brasa') and n.nspname !~ '^pg_'
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
          and d.deptype = 'e')
    order by c.oid";

/// The application's tables.
pub(in crate::database::review) async fn tables(
    connection: &mut PgConnection,
) -> Result<Vec<Table>, sqlx::Error> {
    let rows = sqlx::query(TABLES).fetch_all(connection).await?;
    let table = |row| -> Result<Table, sqlx::Error> {
        let row: &sqlx::postgres::PgRow = row;
        let kind = match row.try_get::<String, _>("kind")?.as_str() {
            "p" => TableKind::Partitioned,
            "m" => TableKind::Materialized,
            _ => TableKind::Plain,
        };
        let (count, pages): (f64, i32) = (row.try_get("rows")?, row.try_get("relpages")?);
        // Before version 14 a table that nobody has looked at has zero rows in zero pages.
        let is_known = count > 0.0 || (count >= 0.0 && (pages > 0 || kind == TableKind::Partitioned));
        Ok(Table {
            oid: oid(row, "oid")?,
            name: row.try_get("name")?,
            kind,
            is_part: row.try_get("is_part")?,
            bytes: maybe_bytes(row, "bytes")?,
            rows: Some(count).filter(|_| is_known),
            live: row.try_get("live")?,
            dead: row.try_get("dead")?,
            changed: row.try_get("changed")?,
            vacuum_from: row.try_get("vacuum_from")?,
            is_vacuum_off: row.try_get("is_vacuum_off")?,
            vacuumed: row.try_get("vacuumed")?,
            analyzed: row.try_get("analyzed")?,
            has_statistics: row.try_get("has_statistics")?,
            has_key: row.try_get("has_key")?,
            has_identity: row.try_get("has_identity")?,
            is_published: row.try_get("is_published")?,
            xid_age: row.try_get("xid_age")?,
            mxid_age: row.try_get("mxid_age")?,
            is_readable: row.try_get("is_readable")?,
            owner: row.try_get("owner")?,
        })
    };
    rows.iter().map(table).collect()
}
