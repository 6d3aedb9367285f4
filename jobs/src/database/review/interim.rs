//! The indexes of a database, without an estimate of what they should be like.

use sqlx::{PgConnection, Row as _};

use crate::database::indexes::{Index, Key, Size, Withheld};

/// Sizes are not asked of what somebody has locked for himself, or waits to: the question would queue behind him.
const INDEXES: &str = "
    with locked as materialized (
        select relation from pg_locks where locktype = 'relation' and mode = 'AccessExclusiveLock'
            and pid <> pg_backend_pid()
          and database = (select oid from pg_database where datname = current_database())
    )
    select c.oid::bigint as oid, t.oid::bigint as table_oid, n.nspname::text as schema, c.relname::text as bare,
        format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', tn.nspname, t.relname) as table,
            m.amname::text as method,
        i.indnkeyatts::int as keys, i.indnatts::int as columns, pg_get_expr(i.indpred, i.indrelid) as predicate,
        i.indisunique, coalesce((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false) as nulls_same, i.indisprimary,
        i.indisexclusion, i.indimmediate, i.indisvalid, i.indisready, i.indislive, i.indisreplident, i.indisclustered,
        k.conname::text as constraint, c.relkind = 'I' as is_partitioned, h.inhparent::bigint as parent,
            c.reltuples::float8 as tuples,
        case when c.relkind = 'I' then 0 when not exists (select from locked where relation in (c.oid, t.oid))
            then pg_relation_size(c.oid) end as bytes,
        coalesce(s.idx_scan, 0) as scans, coalesce(s.idx_tup_read, 0) as read, pg_get_indexdef(c.oid) as definition,
        exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid
            and d.deptype = 'e') as is_of_extension,
        exists (select from pg_stat_progress_create_index p where p.index_relid = c.oid) as is_being_built,
        array(select coalesce(pg_get_indexdef(c.oid, p, true), '') from generate_series(1, i.indnatts) p
            order by p) as texts,
        array(select number from unnest(i.indkey::int2[]) with ordinality u(number, place) order by place) as numbers,
        array(select on_.nspname || '.' || o.opcname from unnest(i.indclass) with ordinality u(class, place)
              join pg_opclass o on o.oid = u.class join pg_namespace on_ on on_.oid = o.opcnamespace
                  order by u.place) as classes,
        array(select coalesce(cn.nspname || '.' || l.collname, '')
            from unnest(i.indcollation) with ordinality u(collation_, place)
              left join pg_collation l on l.oid = u.collation_ left join pg_namespace cn on cn.oid = l.collnamespace
              order by u.place) as collations,
        array(select option from unnest(i.indoption::int2[]) with ordinality u(option, place) order by place) as options
    from pg_index i
    join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_class t on t.oid = i.indrelid join pg_namespace tn on tn.oid = t.relnamespace
    join pg_am m on m.oid = c.relam
    left join pg_constraint k on k.conindid = c.oid and k.contype in ('p', 'u', 'x')
    left join pg_inherits h on h.inhrelid = c.oid
    left join pg_stat_all_indexes s on s.indexrelid = c.oid
    where tn.nspname not in ('information_schema', 'brasa') and tn.nspname !~ '^pg_' and t.relpersistence <> 't'
    order by c.oid";

/// The indexes of the application's tables.
pub(super) async fn indexes(connection: &mut PgConnection) -> Result<Vec<Index>, sqlx::Error> {
    let rows = sqlx::query(INDEXES).fetch_all(connection).await?;
    // What has gone since it was listed has no definition any more.
    let is_there = |row: &&sqlx::postgres::PgRow| {
        row.try_get::<Option<&str>, _>("definition").is_ok_and(|it| it.is_some())
    };
    rows.iter().filter(is_there).map(index).collect()
}

fn index(row: &sqlx::postgres::PgRow) -> Result<Index, sqlx::Error> {
    let number = |oid: i64| u32::try_from(oid).map_err(|error| sqlx::Error::Decode(error.into()));
    let (texts, numbers): (Vec<String>, Vec<i16>) = (row.try_get("texts")?, row.try_get("numbers")?);
    let (classes, collations): (Vec<String>, Vec<String>) =
        (row.try_get("classes")?, row.try_get("collations")?);
    let options: Vec<i16> = row.try_get("options")?;
    let count: i32 = row.try_get("keys")?;
    let count = usize::try_from(count).unwrap_or_default();
    let mut keys = Vec::new();
    for (place, text) in texts.iter().take(count).enumerate() {
        let option = options.get(place).copied().unwrap_or_default();
        keys.push(Key {
            text: text.clone(),
            column: numbers.get(place).copied().filter(|number| *number != 0),
            class: classes.get(place).cloned().unwrap_or_default(),
            collation: collations.get(place).cloned().filter(|collation| !collation.is_empty()),
            is_descending: option & 1 != 0,
            nulls_first: option & 2 != 0,
        });
    }
    let definition: String = row.try_get("definition")?;
    let tuples: f64 = row.try_get("tuples")?;
    let bytes: Option<i64> = row.try_get("bytes")?;
    Ok(Index {
        oid: number(row.try_get("oid")?)?,
        table_oid: number(row.try_get("table_oid")?)?,
        schema: row.try_get("schema")?,
        bare: row.try_get("bare")?,
        name: row.try_get("name")?,
        table: row.try_get("table")?,
        method: row.try_get("method")?,
        keys,
        included: texts.into_iter().skip(count).collect(),
        predicate: row.try_get("predicate")?,
        is_unique: row.try_get("indisunique")?,
        nulls_not_distinct: row.try_get("nulls_same")?,
        is_primary: row.try_get("indisprimary")?,
        is_exclusion: row.try_get("indisexclusion")?,
        is_immediate: row.try_get("indimmediate")?,
        is_valid: row.try_get("indisvalid")?,
        is_ready: row.try_get("indisready")?,
        is_live: row.try_get("indislive")?,
        is_replica_identity: row.try_get("indisreplident")?,
        is_clustered: row.try_get("indisclustered")?,
        constraint: row.try_get("constraint")?,
        is_of_extension: row.try_get("is_of_extension")?,
        is_of_system: false,
        is_partitioned: row.try_get("is_partitioned")?,
        parent: row.try_get::<Option<i64>, _>("parent")?.map(number).transpose()?,
        fillfactor: 90,
        deduplicates: true,
        tuples: Some(tuples).filter(|tuples| *tuples >= 0.0),
        size: bytes.and_then(|bytes| u64::try_from(bytes).ok()).map_or(Size::Locked, Size::Bytes),
        scans: row.try_get("scans")?,
        read: row.try_get("read")?,
        scanned_at: None,
        signature: definition.clone(),
        definition,
        is_being_built: row.try_get("is_being_built")?,
        estimate: Err(Withheld::NoStatistics),
    })
}
