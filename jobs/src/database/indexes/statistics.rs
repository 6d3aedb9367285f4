//! What ANALYZE found, without the values: the database reduces them to lengths and shares.

use std::collections::HashMap;

use sqlx::postgres::types::Oid;
use sqlx::{PgConnection, Row as _};

use super::model::Statistics;

/// Of columns, and of the expressions of indexes. Lengths are only asked for where they differ, and only of types whose
/// text says how long a value is; of numbers it says how many groups of four digits there are.
const COLUMNS: &str = r"
    /* brasa */ with wanted as materialized (
        select distinct * from unnest($1::oid[], $2::smallint[]) as w(relid, place)
    ), named as materialized (
        select w.relid, w.place, n.nspname, c.relname, a.attname, a.attlen, a.atttypid, t.typcategory
        from wanted w
        join pg_class c on c.oid = w.relid
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = w.relid and a.attnum = w.place
        join pg_type t on t.oid = a.atttypid
    )
    select w.relid, w.place, s.null_frac, s.avg_width, s.n_distinct, s.most_common_freqs as shares,
           case when w.attlen < 0 then case
               when w.typcategory = 'S' then
                   array(select octet_length(v) from unnest(s.most_common_vals::text::text[]) v)
               when w.atttypid = 'bytea'::regtype then
                   array(select octet_length(v) / 2 - 1 from unnest(s.most_common_vals::text::text[]) v)
               when w.atttypid = 'numeric'::regtype then
                   array(select 2 + 2 * ceil(length(ltrim(split_part(v, '.', 1), '-0')) / 4.0)::int
                                  + 2 * ceil(length(rtrim(split_part(v, '.', 2), '0')) / 4.0)::int
                         from unnest(s.most_common_vals::text::text[]) v)
           end end as common_lengths,
           case when w.attlen < 0 then case
               when w.typcategory = 'S' then
                   array(select octet_length(v) from unnest(s.histogram_bounds::text::text[]) v)
               when w.atttypid = 'bytea'::regtype then
                   array(select octet_length(v) / 2 - 1 from unnest(s.histogram_bounds::text::text[]) v)
               when w.atttypid = 'numeric'::regtype then
                   array(select 2 + 2 * ceil(length(ltrim(split_part(v, '.', 1), '-0')) / 4.0)::int
                                  + 2 * ceil(length(rtrim(split_part(v, '.', 2), '0')) / 4.0)::int
                         from unnest(s.histogram_bounds::text::text[]) v)
           end end as lengths
    from named w
    join pg_stats s on s.schemaname = w.nspname and s.tablename = w.relname and s.attname = w.attname
                   and not s.inherited";

/// How many rows ANALYZE looks at: three hundred for each bar of the finest histogram of a table.
const SEEN: &str = "
    /* brasa */ select a.attrelid as relid,
           300.0 * max(coalesce(nullif(a.attstattarget, -1), current_setting('default_statistics_target')::int))
               ::double precision as seen
    from pg_attribute a where a.attrelid = any($1) and a.attnum > 0 and not a.attisdropped group by 1";

/// How many different values columns have together, where somebody has asked ANALYZE to count them.
const JOINT: &str = "
    /* brasa */ select c.oid as relid, e.n_distinct::text as counts
    from pg_stats_ext e
    join pg_namespace n on n.nspname = e.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = e.tablename
    where c.oid = any($1) and e.n_distinct is not null";

/// What is known of columns.
#[derive(Debug, Default)]
pub(super) struct Known {
    columns: HashMap<(u32, i16), Statistics>,
    seen: HashMap<u32, f64>,
    joint: HashMap<(u32, Vec<i16>), f64>,
}

impl Known {
    /// Reads it of these columns, each by its relation and its place in it.
    pub(super) async fn read(
        connection: &mut PgConnection,
        tables: &[Oid],
        columns: &[(Oid, i16)],
    ) -> Result<Self, sqlx::Error> {
        let mut known = Self::default();
        if columns.is_empty() {
            return Ok(known);
        }
        let (relations, places): (Vec<Oid>, Vec<i16>) = columns.iter().copied().unzip();
        let query = sqlx::query(COLUMNS).bind(&relations).bind(&places);
        for row in query.fetch_all(&mut *connection).await? {
            let floats = |name: &str| row.try_get::<Option<Vec<f32>>, _>(name).map(Option::unwrap_or_default);
            let lengths =
                |name: &str| row.try_get::<Option<Vec<Option<i32>>>, _>(name).map(Option::unwrap_or_default);
            let whole = |lengths: Vec<Option<i32>>| lengths.into_iter().flatten().map(f64::from).collect();
            let statistics = Statistics {
                null_share: row.try_get::<f32, _>("null_frac")?.into(),
                width: row.try_get::<i32, _>("avg_width")?.into(),
                distinct: row.try_get::<f32, _>("n_distinct")?.into(),
                common: floats("shares")?.into_iter().map(f64::from).collect(),
                common_lengths: whole(lengths("common_lengths")?),
                lengths: whole(lengths("lengths")?),
            };
            known.columns.insert((row.try_get::<Oid, _>("relid")?.0, row.try_get("place")?), statistics);
        }
        for row in sqlx::query(SEEN).bind(tables).fetch_all(&mut *connection).await? {
            known.seen.insert(row.try_get::<Oid, _>("relid")?.0, row.try_get("seen")?);
        }
        for row in sqlx::query(JOINT).bind(tables).fetch_all(connection).await? {
            let relation = row.try_get::<Oid, _>("relid")?.0;
            for (columns, count) in counts(row.try_get("counts")?) {
                known.joint.insert((relation, columns), count);
            }
        }
        Ok(known)
    }

    /// What is known of a column.
    pub(super) fn column(&self, relation: u32, place: i16) -> Option<&Statistics> {
        self.columns.get(&(relation, place))
    }

    /// How many rows of a table ANALYZE looks at.
    pub(super) fn seen(&self, table: u32) -> f64 {
        self.seen.get(&table).copied().unwrap_or(30_000.0)
    }

    /// How many different values these columns have together.
    pub(super) fn joint(&self, table: u32, columns: &[i16]) -> Option<f64> {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        self.joint.get(&(table, columns)).copied()
    }
}

/// The counts in a text such as `{"1, 2": 5000}`.
fn counts(text: &str) -> Vec<(Vec<i16>, f64)> {
    let Ok(counts) = serde_json::from_str::<HashMap<String, f64>>(text) else { return Vec::new() };
    let columns = |names: &str| {
        let mut columns: Vec<i16> = names.split(", ").map(str::parse).collect::<Result<_, _>>().ok()?;
        columns.sort_unstable();
        Some(columns)
    };
    counts.iter().filter_map(|(names, count)| Some((columns(names)?, *count))).collect()
}
