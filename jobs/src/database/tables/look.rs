//! What is known of the tables of a database.

use std::time::Duration;

use sqlx::{PgConnection, Row as _};

/// A table, a materialized view, a foreign table, or the common one of partitions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Its number.
    pub oid: i64,
    /// Its name as it is written in SQL.
    pub name: String,
    /// What it is, as `pg_class.relkind` says it: `r`, `m`, `p` or `f`.
    pub kind: String,
    /// Whether this role may analyze and vacuum it.
    pub is_ours: bool,
    /// Who owns it.
    pub owner: String,
    /// It has parts, or tables that inherit from it.
    pub is_parent: bool,
    /// The partitioned table that it is a part of, however deep: its number.
    pub root: Option<i64>,
    /// How many rows it has, as of the last look of VACUUM or ANALYZE; none where there was no such look.
    pub tuples: Option<f64>,
    /// Rows that count, and rows that are gone and take up room.
    pub live: i64,
    /// Rows that are gone and take up room.
    pub dead: i64,
    /// Rows that changed since it was analyzed; of a parent, those of all its parts.
    pub changed: i64,
    /// How long ago it was analyzed, by whomever; none where nobody knows.
    pub analyzed: Option<Duration>,
    /// How long ago the last of its parts was.
    pub parts_analyzed: Option<Duration>,
    /// How long ago it was vacuumed, by whomever; none where nobody knows.
    pub vacuumed: Option<Duration>,
    /// What has no statistics and should: columns, expressions of indexes, statistics of several columns.
    pub missing: Vec<String>,
    /// How many transactions ago its oldest row was written, as far as that counts; and the same of multixacts.
    pub xid_age: i64,
    /// How old its oldest multixact is.
    pub mxid_age: i64,
    /// When autovacuum comes whatever else is set: the table's own `autovacuum_freeze_max_age`, or the server's.
    pub freeze_max_age: i64,
    /// The same of multixacts.
    pub mxid_freeze_max_age: i64,
    /// Somebody vacuums it now.
    pub is_being_vacuumed: bool,
}

/// The tables of a database.
#[derive(Debug, Clone, Default)]
pub struct Tables(pub Vec<Table>);

/// System schemas are the server's own business, and ours is looked after by its own settings.
const TABLES: &str = "/* brasa */ with recursive tree as (
        select inhparent as root, inhrelid as part from pg_inherits
        union
        select tree.root, i.inhrelid from tree join pg_inherits i on i.inhparent = tree.part),
    below as (
        select t.root, max(greatest(s.last_analyze, s.last_autoanalyze)) as analyzed,
            sum(coalesce(s.n_mod_since_analyze, 0))::bigint as changed, sum(greatest(p.reltuples, 0)) as tuples
        from tree t join pg_class p on p.oid = t.part left join pg_stat_all_tables s on s.relid = t.part
        where p.relkind in ('r', 'f') group by t.root),
    stats as materialized (select schemaname, tablename, attname, inherited from pg_stats),
    wanting as (
        select a.attrelid as oid, a.attname::text as what from pg_attribute a
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't' and a.attnum > 0 and not a.attisdropped
            and coalesce(a.attstattarget, -1) <> 0 and a.attgenerated <> 'v'
            and has_column_privilege(c.oid, a.attnum, 'select') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
            and not exists (select from stats s where s.schemaname = n.nspname and s.tablename = c.relname
                and s.attname = a.attname and s.inherited = (c.relkind = 'p'))
        union all
        select i.indrelid, 'expression of index ' || quote_ident(x.relname)
        from pg_index i join pg_class x on x.oid = i.indexrelid join pg_namespace n on n.oid = x.relnamespace
        join pg_class c on c.oid = i.indrelid
        where i.indexprs is not null and i.indisvalid and x.relkind = 'i' and c.relkind in ('r', 'm')
            and n.nspname !~ '^pg_' and has_table_privilege(x.oid, 'select') and not exists (
                select from stats s where s.schemaname = n.nspname and s.tablename = x.relname)
        union all
        select e.stxrelid, 'statistics ' || quote_ident(e.stxname)
        from pg_statistic_ext e join pg_namespace n on n.oid = e.stxnamespace
        where has_table_privilege(e.stxrelid, 'select') and pg_has_role(e.stxowner, 'usage')
            and e.stxkind && array['d', 'f', 'm']::\"char\"[] and not exists (
            select from pg_stats_ext s where s.statistics_schemaname = n.nspname and s.statistics_name = e.stxname
                and (s.n_distinct is not null or s.dependencies is not null or s.most_common_vals is not null)))
    select c.oid::bigint as oid, format('%I.%I', n.nspname, c.relname) as name, c.relkind::text as kind,
        pg_has_role(c.relowner, 'usage') or pg_has_role(d.datdba, 'usage')
            or case when current_setting('server_version_num')::int >= 170000
                then has_table_privilege(c.oid, 'maintain') else false end as is_ours,
        pg_get_userbyid(c.relowner)::text as owner, b.root is not null as is_parent,
        nullif(pg_partition_root(c.oid), c.oid)::oid::bigint as root,
        case when b.root is not null and c.relkind = 'p' then b.tuples else nullif(c.reltuples, -1) end::float8
            as tuples,
        coalesce(s.n_live_tup, 0) as live, coalesce(s.n_dead_tup, 0) as dead,
        case when c.relkind = 'p' then coalesce(b.changed, 0)
            else coalesce(s.n_mod_since_analyze, 0) + coalesce(b.changed, 0) end as changed,
        extract(epoch from clock_timestamp() - greatest(pg_stat_get_last_analyze_time(c.oid), s.last_autoanalyze))
            ::float8 as analyzed,
        extract(epoch from clock_timestamp() - b.analyzed)::float8 as parts_analyzed,
        extract(epoch from clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::float8 as vacuumed,
        coalesce(w.missing, '{}') as missing,
        greatest(case when c.relfrozenxid = '0' then 0 else age(c.relfrozenxid) end,
            case when t.relfrozenxid <> '0' then age(t.relfrozenxid) end)::bigint as xid_age,
        greatest(case when c.relminmxid = '0' then 0 else mxid_age(c.relminmxid) end,
            case when t.relminmxid <> '0' then mxid_age(t.relminmxid) end)::bigint as mxid_age,
        least(o.xid, current_setting('autovacuum_freeze_max_age')::bigint) as freeze_max_age,
        least(o.mxid, current_setting('autovacuum_multixact_freeze_max_age')::bigint) as mxid_freeze_max_age,
        exists (select from pg_stat_progress_vacuum v where v.relid = c.oid) as is_being_vacuumed
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_database d on d.datname = current_database()
    left join below b on b.root = c.oid left join pg_class t on t.oid = nullif(c.reltoastrelid, 0)
    left join pg_stat_all_tables s on s.relid = c.oid
    left join (select oid, array_agg(what order by what) as missing from wanting group by oid) w on w.oid = c.oid
    left join lateral (
        select max(option_value::bigint) filter (where option_name = 'autovacuum_freeze_max_age') as xid,
            max(option_value::bigint) filter (where option_name = 'autovacuum_multixact_freeze_max_age') as mxid
        from pg_options_to_table(c.reloptions)
        where option_name in ('autovacuum_freeze_max_age', 'autovacuum_multixact_freeze_max_age')) o on true
    where c.relkind in ('r', 'm', 'p', 'f') and c.relpersistence <> 't'
        and n.nspname not in ('information_schema', 'brasa') and n.nspname !~ '^pg_'
        and ($1::text is null or c.oid = to_regclass($1))
    order by c.oid";

/// Looks at all tables, or at one whose name is as it is written in SQL. No table is locked or read.
///
/// # Errors
/// What Postgres says.
pub async fn look(connection: &mut PgConnection, only: Option<&str>) -> Result<Tables, sqlx::Error> {
    let rows = sqlx::query(TABLES).bind(only).fetch_all(connection).await?;
    let ago = |seconds: Option<f64>| seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
    let table = |row: &sqlx::postgres::PgRow| {
        Ok(Table {
            oid: row.try_get("oid")?,
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            is_ours: row.try_get("is_ours")?,
            owner: row.try_get("owner")?,
            is_parent: row.try_get("is_parent")?,
            root: row.try_get("root")?,
            tuples: row.try_get("tuples")?,
            live: row.try_get("live")?,
            dead: row.try_get("dead")?,
            changed: row.try_get("changed")?,
            analyzed: ago(row.try_get("analyzed")?),
            parts_analyzed: ago(row.try_get("parts_analyzed")?),
            vacuumed: ago(row.try_get("vacuumed")?),
            missing: row.try_get("missing")?,
            xid_age: row.try_get("xid_age")?,
            mxid_age: row.try_get("mxid_age")?,
            freeze_max_age: row.try_get("freeze_max_age")?,
            mxid_freeze_max_age: row.try_get("mxid_freeze_max_age")?,
            is_being_vacuumed: row.try_get("is_being_vacuumed")?,
        })
    };
    rows.iter().map(table).collect::<Result<_, _>>().map(Tables)
}
