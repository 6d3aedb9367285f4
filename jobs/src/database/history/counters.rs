//! Differences of the counters of indexes and tables, added to days and hours.

use sqlx::PgConnection;

use super::moment::Moment;
use super::node::Sample;
use super::spells::Relation;

/// A counter that fell by itself belongs to an index that was made anew under its name, or was reset: it began at 0. Of
/// an index that was not there before, nothing is known until the next look.
const INDEXES: &str = r#"
    /* brasa */ with seen as materialized (
        select r ->> 0 as schema, r ->> 1 as "table", r ->> 2 as index, r ->> 3 as signature,
               (r ->> 4)::bigint as scans, to_timestamp((r ->> 5)::bigint / 1000000.0) as scanned_at
        from jsonb_array_elements($1::jsonb) r
    ), judged as materialized (
        select s.*, l.index is null or l.signature <> s.signature as is_new, l.scans > s.scans as has_fallen,
               case when l.index is null or l.signature <> s.signature or $2 = 'strange' then 0
                    when $2 = 'anew' or s.scans < l.scans then s.scans
                    else s.scans - l.scans end as delta,
               l.scans as scans_before, l.scanned_at as scanned_before, l.since as since_before
        from seen s left join brasa.care_index_last l
            on l.node = $3 and l.schema = s.schema and l."table" = s."table" and l.index = s.index
    ), kept as (
        insert into brasa.care_index_last as l (node, schema, "table", index, signature, scans, scanned_at, since)
        select $3, schema, "table", index, signature, scans,
               coalesce(scanned_at, case when delta > 0 then to_timestamp($4::bigint / 1000.0)
                                         when not is_new then scanned_before end),
               case when is_new or has_fallen and $2 in ('same', 'partly') then to_timestamp($4::bigint / 1000.0)
                    else since_before end
        from judged where is_new or scans <> scans_before or scanned_at is distinct from scanned_before
        on conflict (node, schema, "table", index) do update
        set signature = excluded.signature, scans = excluded.scans, scanned_at = excluded.scanned_at,
            since = excluded.since
    ), gone as (
        delete from brasa.care_index_last l
        where l.node = $3 and not exists (select from seen s where s.schema = l.schema and s."table" = l."table"
                                              and s.index = l.index)
    )
    insert into brasa.care_index_days as d (day, node, schema, "table", index, signature, scans)
    select date '1970-01-01' + $5::int, $3, schema, "table", index, signature, delta from judged where delta > 0
    on conflict (day, node, schema, "table", index, signature) do update set scans = d.scans + excluded.scans"#;

/// One counter of a table that fell shows that all of them began at 0.
const TABLES: &str = r#"
    /* brasa */ with seen as materialized (
        select r ->> 0 as schema, r ->> 1 as "table", (r ->> 2)::bigint as whole_scans, (r ->> 3)::bigint as whole_rows,
               (r ->> 4)::bigint as index_scans, (r ->> 5)::bigint as inserted, (r ->> 6)::bigint as updated,
               (r ->> 7)::bigint as updated_in_place, (r ->> 8)::bigint as deleted
        from jsonb_array_elements($1::jsonb) r
    ), judged as materialized (
        select s.*, l as before,
               $2 <> 'strange' and l."table" is not null as is_known,
               $2 = 'anew' or s.whole_scans < l.whole_scans or s.whole_rows < l.whole_rows or s.inserted < l.inserted
                   or s.updated < l.updated or s.updated_in_place < l.updated_in_place or s.deleted < l.deleted
                   as is_anew
        from seen s left join brasa.care_table_last l on l.node = $3 and l.schema = s.schema and l."table" = s."table"
    ), kept as (
        insert into brasa.care_table_last as l
        select $3, schema, "table", whole_scans, whole_rows, index_scans, inserted, updated, updated_in_place, deleted
        from judged
        where (before)."table" is null or row (whole_scans, whole_rows, index_scans, inserted, updated, deleted)
            is distinct from row ((before).whole_scans, (before).whole_rows, (before).index_scans, (before).inserted,
                                  (before).updated, (before).deleted)
        on conflict (node, schema, "table") do update
        set whole_scans = excluded.whole_scans, whole_rows = excluded.whole_rows, index_scans = excluded.index_scans,
            inserted = excluded.inserted, updated = excluded.updated, updated_in_place = excluded.updated_in_place,
            deleted = excluded.deleted
    ), gone as (
        delete from brasa.care_table_last l
        where l.node = $3 and not exists (select from seen s where s.schema = l.schema and s."table" = l."table")
    ), bases as (
        select j.*, case when is_anew then 0 else (before).whole_scans end as b1,
               case when is_anew then 0 else (before).whole_rows end as b2,
               -- An index that was dropped takes its scans along: then nothing is known of those since.
               case when is_anew then 0 else least((before).index_scans, index_scans) end as b3,
               case when is_anew then 0 else (before).inserted end as b4,
               case when is_anew then 0 else (before).updated end as b5,
               case when is_anew then 0 else (before).updated_in_place end as b6,
               case when is_anew then 0 else (before).deleted end as b7
        from judged j where is_known
    ), deltas as (
        select schema, "table", whole_scans - b1 as d1, whole_rows - b2 as d2, index_scans - b3 as d3,
               inserted - b4 as d4, updated - b5 as d5, updated_in_place - b6 as d6, deleted - b7 as d7
        from bases where row (whole_scans, whole_rows, index_scans, inserted, updated, updated_in_place, deleted)
            <> row (b1, b2, b3, b4, b5, b6, b7)
    ), hourly as (
        insert into brasa.care_table_hours as h
        select to_timestamp($5::bigint / 1000.0), $3, d.* from deltas d
        on conflict (hour, node, schema, "table") do update
        set whole_scans = h.whole_scans + excluded.whole_scans, whole_rows = h.whole_rows + excluded.whole_rows,
            index_scans = h.index_scans + excluded.index_scans, inserted = h.inserted + excluded.inserted,
            updated = h.updated + excluded.updated,
            updated_in_place = h.updated_in_place + excluded.updated_in_place, deleted = h.deleted + excluded.deleted
    )
    insert into brasa.care_table_days as h
    select date '1970-01-01' + $4::int, $3, d.* from deltas d
    on conflict (day, node, schema, "table") do update
    set whole_scans = h.whole_scans + excluded.whole_scans, whole_rows = h.whole_rows + excluded.whole_rows,
        index_scans = h.index_scans + excluded.index_scans, inserted = h.inserted + excluded.inserted,
        updated = h.updated + excluded.updated,
        updated_in_place = h.updated_in_place + excluded.updated_in_place, deleted = h.deleted + excluded.deleted"#;

/// Adds what a server counted since the last look.
pub(super) async fn add(
    connection: &mut PgConnection,
    node: &str,
    sample: &Sample,
    relation: Relation,
    now: Moment,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(INDEXES).bind(&sample.indexes).bind(relation.name()).bind(node);
    query.bind(now.ms).bind(now.day()).execute(&mut *connection).await?;
    let query = sqlx::query(TABLES).bind(&sample.tables).bind(relation.name()).bind(node);
    query.bind(now.day()).bind(now.hour_ms()).execute(connection).await.map(drop)
}
