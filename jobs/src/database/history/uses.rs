//! How often indexes and tables were used, as far as that is known.

use std::time::Duration;

use brasa_shared::jiff::Timestamp;
use sqlx::{PgConnection, Row as _};

use super::facts::{IndexUse, TableUse};
use super::moment::{Moment, instant};

/// A server that was not looked at for so long is not known any more, in ms.
const SILENT_MS: i64 = 24 * 3_600_000;

/// A day counts where one spell of each server covers it whole, and only from when on all scans of the index are in the
/// days. A scan counts on whichever day it was seen, so that none is lost at the edges. An index of a server is the
/// same one where it has the same name and does the same.
const INDEX_USES: &str = r#"
    with nodes as (
        select distinct unnest($1::text[]) as node
    ), watched as (
        select n.node from nodes n where exists (
            select from brasa.care_spells s where s.node = n.node
                and s.last_at >= to_timestamp(($4::bigint - $5::bigint) / 1000.0))
    ), days as (
        select date '1970-01-01' + $2::int - n as day from generate_series(1, $3::int) n
    ), whole as (
        select d.day, d.day::timestamp at time zone 'UTC' as began from days d where not exists (
            select from nodes n where not exists (
                select from brasa.care_spells s where s.node = n.node
                    and s.counts_from <= d.day::timestamp at time zone 'UTC'
                    and s.last_at >= (d.day + 1)::timestamp at time zone 'UTC'))
    ), indexes as (
        select distinct schema, "table", index, signature from brasa.care_index_last
        where node = 'primary' or node not in ('primary') and 'primary' not in (select node from nodes)
            and node in (select node from nodes)
    ), known as (
        select i.*, l.since, l.scanned_at, l.node from indexes i
        join brasa.care_index_last l using (schema, "table", index, signature) join nodes n on n.node = l.node
    )
    select i.schema, i."table", i.index, i.signature,
           coalesce((select sum(d.scans) from brasa.care_index_days d join nodes using (node)
                     where d.day >= date '1970-01-01' + $2::int - $3::int and d.schema = i.schema
                         and d."table" = i."table" and d.index = i.index and d.signature = i.signature), 0)::bigint,
           (select count(*) from whole w where w.began >= k.since)::int,
           array(select n.node from nodes n where n.node not in (select node from watched)
                     or not n.node = any (coalesce(k.nodes, '{}')) order by 1),
           (extract(epoch from k.scanned_at) * 1000000)::bigint
    from indexes i left join lateral (
        select max(since) as since, max(scanned_at) as scanned_at, array_agg(node) as nodes from known
        where (schema, "table", index, signature) = (i.schema, i."table", i.index, i.signature)) k on true
    order by 1, 2, 3"#;

/// How often each index was used on these servers (`primary`, `replica`) in the last days before `now`, and how many of
/// the days count. Where a server is not known of, it is named in `unknown_on`, and nothing is to be concluded.
///
/// # Errors
/// What Postgres says.
pub async fn index_uses(
    connection: &mut PgConnection,
    now: Timestamp,
    nodes: &[&str],
    window_days: u32,
) -> Result<Vec<IndexUse>, sqlx::Error> {
    let (now, days) = (Moment::of(now), i32::try_from(window_days).unwrap_or(i32::MAX));
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    let query = sqlx::query(INDEX_USES).bind(nodes).bind(now.day()).bind(days).bind(now.ms).bind(SILENT_MS);
    let read = |row: &sqlx::postgres::PgRow| {
        let days: i32 = row.try_get(5)?;
        let scanned_at: Option<i64> = row.try_get(7)?;
        Ok(IndexUse {
            schema: row.try_get(0)?,
            table: row.try_get(1)?,
            index: row.try_get(2)?,
            signature: row.try_get(3)?,
            scans: row.try_get(4)?,
            days: u32::try_from(days).unwrap_or(0),
            unknown_on: row.try_get(6)?,
            scanned_at: scanned_at.map(instant),
        })
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// Whole hours; or whole days where the window is longer than hours are kept.
const TABLE_USES: &str = r#"
    /* brasa */ with spent as (
        select schema, "table", whole_scans, whole_rows, index_scans, inserted, updated, updated_in_place, deleted
        from brasa.care_table_hours
        where node = 'primary' and not $3 and hour >= to_timestamp($1::bigint / 1000.0)
            and hour <= to_timestamp($2::bigint / 1000.0)
        union all
        select schema, "table", whole_scans, whole_rows, index_scans, inserted, updated, updated_in_place, deleted
        from brasa.care_table_days
        where node = 'primary' and $3 and day >= (to_timestamp($1::bigint / 1000.0) at time zone 'UTC')::date
            and day <= (to_timestamp($2::bigint / 1000.0) at time zone 'UTC')::date
    )
    select format('%I.%I', schema, "table"), sum(whole_scans)::bigint, sum(whole_rows)::bigint,
           sum(index_scans)::bigint, sum(inserted)::bigint, sum(updated)::bigint, sum(updated_in_place)::bigint,
           sum(deleted)::bigint
    from spent group by schema, "table" order by 1"#;

/// How the primary's tables were used in the time before `now`, by whole hours; by whole days where that is longer than
/// hours are kept. A table that nothing was done with is not among them.
///
/// # Errors
/// What Postgres says.
pub async fn table_uses(
    connection: &mut PgConnection,
    now: Timestamp,
    window: Duration,
) -> Result<Vec<TableUse>, sqlx::Error> {
    let now = Moment::of(now);
    let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let is_long = window.as_secs() > u64::from(super::HOURLY_DAYS.unsigned_abs()) * 86_400;
    let begin = Moment { ms: now.ms.saturating_sub(window_ms).max(0) };
    let seconds = seconds(connection, begin, now).await?;
    let query = sqlx::query(TABLE_USES).bind(begin.hour_ms()).bind(now.ms).bind(is_long);
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(TableUse {
            table: row.try_get(0)?,
            seconds,
            whole_scans: row.try_get(1)?,
            whole_rows: row.try_get(2)?,
            index_scans: row.try_get(3)?,
            inserted: row.try_get(4)?,
            updated: row.try_get(5)?,
            updated_in_place: row.try_get(6)?,
            deleted: row.try_get(7)?,
        })
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// How much of a stretch of time the primary was watched, in seconds: by its spells, which are kept for ever.
pub(super) async fn seconds(
    connection: &mut PgConnection,
    begin: Moment,
    end: Moment,
) -> Result<f64, sqlx::Error> {
    let query = "
        select coalesce(sum(extract(epoch from least(last_at, to_timestamp($2::bigint / 1000.0))
                                  - greatest(counts_from, to_timestamp($1::bigint / 1000.0)))), 0)::double precision
        from brasa.care_spells
        where node = 'primary' and last_at > to_timestamp($1::bigint / 1000.0)
            and counts_from < to_timestamp($2::bigint / 1000.0)";
    sqlx::query_scalar(query).bind(begin.ms).bind(end.ms).fetch_one(connection).await
}

/// Whether there are tables for the history of what was counted.
///
/// # Errors
/// What Postgres says.
pub async fn is_kept(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('brasa.care_spells') is not null").fetch_one(connection).await
}

/// When somebody looked last at the primary, and why statements were not read then, where that is so; none before the
/// first look.
///
/// # Errors
/// What Postgres says.
pub async fn looked_at(
    connection: &mut PgConnection,
) -> Result<Option<(Timestamp, Option<String>)>, sqlx::Error> {
    let query = "select (extract(epoch from max(last_at)) * 1000)::bigint,
                        (select fault from brasa.care_statement_marks)
                 from brasa.care_spells where node = 'primary'";
    let row = sqlx::query(query).fetch_one(connection).await?;
    let (last, fault): (Option<i64>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(last.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|at| (at, fault)))
}
