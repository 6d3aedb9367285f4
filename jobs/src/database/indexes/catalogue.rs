//! What the catalogue says of indexes, in one statement.
//!
//! To ask for the size of a relation, or for the text of an index, is to wait for whoever has locked it, and for whoever
//! waits to: `pg_get_indexdef` opens the table. So neither is asked for where somebody is there.

use std::time::{Duration, SystemTime};

use sqlx::postgres::PgRow;
use sqlx::postgres::types::Oid;
use sqlx::{PgConnection, Row as _};

use super::index::{Index, Key, Size, Withheld};
use super::model::Layout;
use super::signature::signature;

/// All indexes of tables of users, or those of some tables, or some.
const INDEXES: &str = concat!(
    "
    /* brasa */ with exclusive as materialized (
        select relation from pg_locks
        where locktype = 'relation' and mode = 'AccessExclusiveLock'
          and database = (select oid from pg_database where datname = current_database())
    ), built as materialized (
        select index_relid as oid from pg_stat_progress_create_index where index_relid <> 0
    ), busy as materialized (
        select relation from pg_locks
        where locktype = 'relation' and granted and pid <> pg_backend_pid()
          and mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                       'AccessExclusiveLock')
          and database = (select oid from pg_database where datname = current_database())
    ), picked as materialized (
        select i.*, c.relname, c.relkind, c.reltuples, c.relpages, c.reltablespace, c.reloptions, c.relispartition, am.amname,
               n.nspname, t.relname as table_name, t.reltuples as table_tuples,
               exists (select from exclusive e where e.relation in (i.indexrelid, i.indrelid)) as is_locked
        from pg_index i
        join pg_class c on c.oid = i.indexrelid
        join pg_class t on t.oid = i.indrelid
        join pg_namespace n on n.oid = c.relnamespace
        join pg_am am on am.oid = c.relam
        where t.relkind in ('r', 'm', 'p') and c.relpersistence <> 't'
          and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
          and ($1::oid[] is null or i.indrelid = any($1)) and ($2::oid[] is null or i.indexrelid = any($2))
    ), k as materialized (
        select p.indexrelid,
               array_agg(case when ta.attnum is not null then quote_ident(ta.attname)
                              when not p.is_locked then pg_get_indexdef(p.indexrelid, a.attnum, false)
                              else '(expression)' end order by a.attnum) as texts,
               array_agg(coalesce(ta.attnum, 0::smallint) order by a.attnum) as columns,
               array_agg(case when oc.oid is not null then format('%I.%I', ocn.nspname, oc.opcname) else '' end
                         order by a.attnum) as classes,
               array_agg(case when co.oid is not null then format('%I.%I', con.nspname, co.collname) end
                         order by a.attnum) as collations,
               array_agg(coalesce(p.indoption[a.attnum - 1], 0::smallint) order by a.attnum) as options,
               array_agg(a.attlen order by a.attnum) as lengths,
               array_agg(case a.attalign when 'd' then 8 when 'i' then 4 when 's' then 2 else 1 end
                         order by a.attnum) as aligns,
               array_agg(a.attstorage <> 'p' order by a.attnum) as packables,
               array_agg(coalesce(ta.attnotnull, false) order by a.attnum) as not_nulls,
               bool_and(case when a.attnum > p.indnkeyatts then false when pr.proname = 'btequalimage' then true
                             when pr.proname = 'btvarstrequalimage' then coalesce(co.collisdeterministic, true)
                             else false end) as is_equal_image
        from picked p
        join pg_attribute a on a.attrelid = p.indexrelid and a.attnum > 0
        left join pg_attribute ta on ta.attrelid = p.indrelid and ta.attnum = p.indkey[a.attnum - 1]
        left join pg_opclass oc on oc.oid = p.indclass[a.attnum - 1] and a.attnum <= p.indnkeyatts
        left join pg_namespace ocn on ocn.oid = oc.opcnamespace
        left join pg_collation co on co.oid = p.indcollation[a.attnum - 1] and a.attnum <= p.indnkeyatts
        left join pg_namespace con on con.oid = co.collnamespace
        left join pg_amproc ap on ap.amprocfamily = oc.opcfamily and ap.amproclefttype = oc.opcintype
                              and ap.amprocrighttype = oc.opcintype and ap.amprocnum = 4 and p.amname = 'btree'
        left join pg_proc pr on pr.oid = ap.amproc
        group by p.indexrelid
    )
    select p.indexrelid as oid, p.indrelid as table_oid, p.nspname::text as schema, p.relname::text as bare,
           format('%I.%I', p.nspname, p.relname) as name, format('%I.%I', p.nspname, p.table_name) as table_name,
           p.amname::text as method, p.indnkeyatts as key_count, p.indisunique, p.indisprimary, p.indisexclusion,
           p.indimmediate, p.indisvalid, p.indisready, p.indislive, p.indisreplident, p.indisclustered,
           p.relkind = 'I' as is_partitioned, p.is_locked, p.reltuples, p.relpages, p.table_tuples,
           p.indisunique and coalesce((to_jsonb(p) ->> 'indnullsnotdistinct')::boolean, false) as nulls_not_distinct,
           case when p.is_locked then null when p.relkind = 'I' then 0 else pg_relation_size(p.indexrelid) end as bytes,
           case when not p.is_locked then pg_get_indexdef(p.indexrelid) end as definition,
           p.indpred is not null as is_partial,
           case when p.indpred is not null and not p.is_locked then pg_get_expr(p.indpred, p.indrelid) end as predicate,
           array(select distinct m[1]::smallint
                 from regexp_matches(p.indpred::text, ':varattno (\\d+)', 'g') m) as predicate_columns,
           coalesce((select option_value::int from pg_options_to_table(p.reloptions)
                     where option_name = 'fillfactor'), 90) as fillfactor,
           coalesce((select option_value::boolean from pg_options_to_table(p.reloptions)
                     where option_name = 'deduplicate_items'), true) as deduplicates,
           (select spcname::text from pg_tablespace where oid = p.reltablespace) as tablespace,
           (select inhparent from pg_inherits where inhrelid = p.indexrelid and p.relispartition limit 1) as parent,
           (select conname::text from pg_constraint
            where conindid = p.indexrelid and conrelid = p.indrelid and contype in ('p', 'u', 'x') limit 1) as constraint_name,
           exists (select from pg_depend d
                   where d.classid = 'pg_class'::regclass and d.objid in (p.indexrelid, p.indrelid)
                     and d.deptype = 'e') as is_of_extension,
           exists (select from built b where b.oid = p.indexrelid)
               or not p.indisvalid and p.relkind = 'i'
                  and exists (select from busy b where b.relation in (p.indexrelid, p.indrelid)) as is_being_built,
           coalesce(s.idx_scan, 0) as scans, coalesce(s.idx_tup_read, 0) as tuples_read,
           extract(epoch from (to_jsonb(s) ->> 'last_idx_scan')::timestamptz)::double precision as scanned_at,
           coalesce(pg_stat_get_mod_since_analyze(p.indrelid), 0) as changed,
           greatest(pg_stat_get_last_analyze_time(p.indrelid), pg_stat_get_last_autoanalyze_time(p.indrelid))
               is not null as is_analyzed,
           k.texts, k.columns, k.classes, k.collations, k.options, k.lengths, k.aligns, k.packables, k.not_nulls,
           k.is_equal_image,
           ",
    signature!("p", "p.amname", "p.reloptions"),
    " as signature
    from picked p
    left join pg_stat_all_indexes s on s.indexrelid = p.indexrelid
    join k on k.indexrelid = p.indexrelid
    order by p.nspname, p.table_name, p.relname"
);

/// An index, and what its estimate is made of.
#[derive(Debug)]
pub(super) struct Found {
    /// What is told of it.
    pub(super) index: Index,
    /// How its columns lie in an entry.
    pub(super) layouts: Vec<Layout>,
    /// The numbers of its columns in the table; 0 for an expression.
    pub(super) columns: Vec<i16>,
    /// Columns that have no NULLs, as the table promises.
    pub(super) not_nulls: Vec<bool>,
    /// Columns of the table that its predicate is about.
    pub(super) predicate_columns: Vec<i16>,
    /// Equal keys are the same, byte for byte, so that rows may share one.
    pub(super) is_equal_image: bool,
    /// How many rows the table has, as of the last look.
    pub(super) table_tuples: f64,
    /// How many pages the index had then.
    pub(super) pages: f64,
    /// How many rows changed since ANALYZE.
    pub(super) changed: f64,
    /// It is known when ANALYZE was there.
    pub(super) is_analyzed: bool,
}

/// Reads them.
pub(super) async fn read(
    connection: &mut PgConnection,
    tables: Option<&[Oid]>,
    indexes: Option<&[Oid]>,
) -> Result<Vec<Found>, sqlx::Error> {
    let rows = sqlx::query(INDEXES).bind(tables).bind(indexes).fetch_all(connection).await?;
    rows.iter().map(found).collect()
}

fn found(row: &PgRow) -> Result<Found, sqlx::Error> {
    let lengths: Vec<i16> = row.try_get("lengths")?;
    let aligns: Vec<i32> = row.try_get("aligns")?;
    let packables: Vec<bool> = row.try_get("packables")?;
    let facts = lengths.into_iter().zip(aligns).zip(packables);
    Ok(Found {
        layouts: facts
            .map(|((len, align), is_packable)| Layout { len, align: align.unsigned_abs(), is_packable })
            .collect(),
        columns: row.try_get("columns")?,
        not_nulls: row.try_get("not_nulls")?,
        predicate_columns: row.try_get("predicate_columns")?,
        is_equal_image: row.try_get("is_equal_image")?,
        table_tuples: row.try_get::<f32, _>("table_tuples")?.into(),
        pages: row.try_get::<i32, _>("relpages")?.into(),
        #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
        changed: row.try_get::<i64, _>("changed")? as f64,
        is_analyzed: row.try_get("is_analyzed")?,
        index: index(row)?,
    })
}

fn index(row: &PgRow) -> Result<Index, sqlx::Error> {
    let oid = |name: &str| row.try_get::<Option<Oid>, _>(name).map(|oid| oid.map(|oid| oid.0));
    let (keys, included) = keys(row)?;
    let bytes: Option<i64> = row.try_get("bytes")?;
    let is_partial: bool = row.try_get("is_partial")?;
    let predicate: Option<String> = row.try_get("predicate")?;
    let tuples: f32 = row.try_get("reltuples")?;
    let pages: i32 = row.try_get("relpages")?;
    let scanned_at: Option<f64> = row.try_get("scanned_at")?;
    Ok(Index {
        oid: oid("oid")?.unwrap_or_default(),
        table_oid: oid("table_oid")?.unwrap_or_default(),
        schema: row.try_get("schema")?,
        bare: row.try_get("bare")?,
        name: row.try_get("name")?,
        table: row.try_get("table_name")?,
        method: row.try_get("method")?,
        keys,
        included,
        predicate: is_partial.then(|| predicate.unwrap_or_default()),
        is_unique: row.try_get("indisunique")?,
        nulls_not_distinct: row.try_get("nulls_not_distinct")?,
        is_primary: row.try_get("indisprimary")?,
        is_exclusion: row.try_get("indisexclusion")?,
        is_immediate: row.try_get("indimmediate")?,
        is_valid: row.try_get("indisvalid")?,
        is_ready: row.try_get("indisready")?,
        is_live: row.try_get("indislive")?,
        is_replica_identity: row.try_get("indisreplident")?,
        is_clustered: row.try_get("indisclustered")?,
        constraint: row.try_get("constraint_name")?,
        is_of_extension: row.try_get("is_of_extension")?,
        is_of_system: false,
        is_partitioned: row.try_get("is_partitioned")?,
        parent: oid("parent")?,
        fillfactor: row.try_get::<i32, _>("fillfactor")?.unsigned_abs(),
        deduplicates: row.try_get("deduplicates")?,
        tablespace: row.try_get("tablespace")?,
        // Before version 14, what nobody has looked at has no pages, either.
        tuples: (tuples >= 0.0 && pages > 0).then_some(f64::from(tuples)),
        size: bytes.map_or(Size::Locked, |bytes| Size::Bytes(bytes.unsigned_abs())),
        scans: row.try_get("scans")?,
        read: row.try_get("tuples_read")?,
        scanned_at: scanned_at
            .and_then(|at| Duration::try_from_secs_f64(at).ok())
            .map(|since| SystemTime::UNIX_EPOCH + since),
        definition: row.try_get::<Option<String>, _>("definition")?.unwrap_or_default(),
        signature: row.try_get("signature")?,
        is_being_built: row.try_get("is_being_built")?,
        estimate: Err(Withheld::NotThere),
        unshared: None,
    })
}

/// What it is ordered by, and what it has beside.
fn keys(row: &PgRow) -> Result<(Vec<Key>, Vec<String>), sqlx::Error> {
    let texts: Vec<String> = row.try_get("texts")?;
    let columns: Vec<i16> = row.try_get("columns")?;
    let classes: Vec<String> = row.try_get("classes")?;
    let collations: Vec<Option<String>> = row.try_get("collations")?;
    let options: Vec<i16> = row.try_get("options")?;
    let not_nulls: Vec<bool> = row.try_get("not_nulls")?;
    let count = usize::try_from(row.try_get::<i16, _>("key_count")?).unwrap_or_default();
    let mut keys = Vec::with_capacity(count);
    let mut included = Vec::new();
    let facts = texts.into_iter().zip(columns).zip(classes).zip(collations).zip(options).zip(not_nulls);
    for (((((text, column), class), collation), option), is_not_null) in facts {
        if keys.len() == count {
            included.push(text);
            continue;
        }
        keys.push(Key {
            text,
            column: (column != 0).then_some(column),
            class,
            collation,
            is_descending: option & 1 != 0,
            nulls_first: option & 2 != 0,
            is_not_null,
        });
    }
    Ok((keys, included))
}
