//! Foreign keys, with the columns that an index has to begin with.

use sqlx::{PgConnection, Row as _};

use super::oid;

/// A foreign key. That of a partitioned table stands for those of its parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForeignKey {
    /// Its name, as it is called.
    pub name: String,
    /// The table that refers, by number.
    pub table_oid: u32,
    /// Its schema, as it is called.
    pub schema: String,
    /// The table without its schema, as it is called.
    pub bare: String,
    /// The table that refers, as it is written in SQL.
    pub table: String,
    /// The table that is referred to, as it is written in SQL.
    pub target: String,
    /// The index that its target is found by.
    pub target_index: u32,
    /// The columns that refer, as they are called.
    pub columns: Vec<String>,
    /// Their numbers.
    pub numbers: Vec<i16>,
    /// Their collations, with their schemas; none where the type has none.
    pub collations: Vec<Option<String>>,
    /// The parts of a partitioned table.
    pub parts: Vec<Part>,
    /// How many rows refer, as of the last look of VACUUM or ANALYZE; none where there was no such look.
    pub rows: Option<f64>,
    /// How many rows of the target were deleted or changed since counters began.
    pub changes: i64,
}

/// A part of a partitioned table that refers. Columns may have other numbers there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// Its number.
    pub oid: u32,
    /// Its schema, as it is called.
    pub schema: String,
    /// Its name, as it is called.
    pub bare: String,
    /// The part, as it is written in SQL.
    pub table: String,
    /// The numbers of the columns that refer.
    pub numbers: Vec<i16>,
}

const KEYS: &str = "
    /* brasa */ select k.oid::bigint as key, k.conname::text as name,
        c.oid::bigint as table_oid, n.nspname::text as schema,
        c.relname::text as bare, format('%I.%I', n.nspname, c.relname) as table, c.reltuples::float8 as rows,
        format('%I.%I', tn.nspname, t.relname) as target, k.conindid::bigint as target_index, k.conkey as numbers,
        array(select a.attname::text from unnest(k.conkey) with ordinality u(number, place)
              join pg_attribute a on a.attrelid = c.oid and a.attnum = u.number order by u.place) as columns,
        array(select case when co.oid is not null then format('%I.%I', con.nspname, co.collname) end
              from unnest(k.conkey) with ordinality u(number, place)
              join pg_attribute a on a.attrelid = c.oid and a.attnum = u.number
              left join pg_collation co on co.oid = a.attcollation
              left join pg_namespace con on con.oid = co.collnamespace order by u.place) as collations,
        coalesce(s.n_tup_upd + s.n_tup_del, 0) as changes
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_class t on t.oid = k.confrelid join pg_namespace tn on tn.oid = t.relnamespace
    left join pg_stat_all_tables s on s.relid = t.oid
    where k.contype = 'f' and k.conparentid = 0 and n.nspname <> 'brasa' and n.nspname !~ '^pg_'
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
          and d.deptype = 'e')
    order by k.oid";

/// The parts of the partitioned tables that refer. Not by `pg_partition_tree`, which locks what it looks at.
const PARTS: &str = "
    /* brasa */ with recursive tree as (
        select k.oid as key, i.inhrelid as part from pg_constraint k join pg_inherits i on i.inhparent = k.conrelid
        where k.contype = 'f' and k.conparentid = 0
        union all
        select t.key, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.part
    )
    select t.key::bigint as key, c.oid::bigint as part, n.nspname::text as schema, c.relname::text as bare,
        format('%I.%I', n.nspname, c.relname) as table, c.reltuples::float8 as rows,
        array(select b.attnum from unnest(k.conkey) with ordinality u(number, place)
              join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number
              join pg_attribute b on b.attrelid = c.oid and b.attname = a.attname order by u.place) as numbers
    from tree t join pg_constraint k on k.oid = t.key join pg_class c on c.oid = t.part
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relispartition order by t.key, c.oid";

/// The foreign keys of the application's tables.
pub(in crate::database::review) async fn foreign_keys(
    connection: &mut PgConnection,
) -> Result<Vec<ForeignKey>, sqlx::Error> {
    let keys = sqlx::query(KEYS).fetch_all(&mut *connection).await?;
    let parts = sqlx::query(PARTS).fetch_all(&mut *connection).await?;
    let mut found = Vec::new();
    for row in keys {
        let (key, rows): (i64, f64) = (row.try_get("key")?, row.try_get("rows")?);
        let mut foreign = ForeignKey {
            name: row.try_get("name")?,
            table_oid: oid(&row, "table_oid")?,
            schema: row.try_get("schema")?,
            bare: row.try_get("bare")?,
            table: row.try_get("table")?,
            target: row.try_get("target")?,
            target_index: oid(&row, "target_index")?,
            columns: row.try_get("columns")?,
            numbers: row.try_get("numbers")?,
            collations: row.try_get("collations")?,
            parts: Vec::new(),
            rows: Some(rows).filter(|rows| *rows >= 0.0),
            changes: row.try_get("changes")?,
        };
        let mut sum = 0.0;
        for part in parts.iter().filter(|part| part.try_get::<i64, _>("key").is_ok_and(|of| of == key)) {
            sum += part.try_get::<f64, _>("rows")?.max(0.0);
            foreign.parts.push(Part {
                oid: oid(part, "part")?,
                schema: part.try_get("schema")?,
                bare: part.try_get("bare")?,
                table: part.try_get("table")?,
                numbers: part.try_get("numbers")?,
            });
        }
        if !foreign.parts.is_empty() {
            foreign.rows = Some(sum);
        }
        found.push(foreign);
    }
    Ok(found)
}
