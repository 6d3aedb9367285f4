//! What statements cost, what is usual for them, and which became slower.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_shared::jiff::Timestamp;
use sqlx::{PgConnection, Row as _};

use super::RAW_DAYS;
use super::baseline::{PAST_HOURS, SAMPLE_CALLS_MIN, TICKS, Tick, is_regressed, usual};
use super::facts::StatementUse;
use super::moment::Moment;
use super::uses::seconds;

/// Of how many statements, the most costly first, it is worked out what is usual.
const JUDGED_MAX: i64 = 500;
const HOUR_MS: i64 = 3_600_000;

/// Differences between looks; or sums by the hour where the window is longer than those are kept.
const SPENT: &str = "
    with raw as (
        select fingerprint, calls, total_ms, squares, rows, hit, read, temp from brasa.care_statement_deltas
        where not $3 and taken_at > to_timestamp($1::bigint / 1000.0) and taken_at <= to_timestamp($2::bigint / 1000.0)
        union all
        select fingerprint, calls, total_ms, squares, rows, hit, read, temp from brasa.care_statement_hours
        where $3 and hour >= to_timestamp($1::bigint / 1000.0) and hour <= to_timestamp($2::bigint / 1000.0)
    ), summed as (
        select fingerprint, sum(calls)::bigint as calls, sum(total_ms) as total_ms, sum(squares) as squares,
               sum(rows)::bigint as rows, sum(hit)::bigint as hit, sum(read)::bigint as read, sum(temp)::bigint as temp
        from raw group by fingerprint
    )
    select s.fingerprint, coalesce(t.text, ''), coalesce(t.is_ours, false), s.calls, s.total_ms, s.squares, s.rows,
           s.hit, s.read, s.temp, coalesce(s.total_ms / nullif(sum(s.total_ms) over (), 0), 0)
    from summed s left join brasa.care_statement_texts t using (fingerprint)
    order by s.total_ms desc, s.fingerprint";

/// The last looks, the newest first, with what each statement had of each. The time of a look covers what was before
/// it.
const TICKS_OF: &str = "
    with looks as (
        select taken_at, seconds from brasa.care_looks
        where node = 'primary' and seconds > 0 and taken_at <= to_timestamp($1::bigint / 1000.0)
            and taken_at > to_timestamp($1::bigint / 1000.0) - interval '1 day'
        order by taken_at desc limit $2
    )
    select d.fingerprint, (extract(epoch from l.taken_at) * 1000)::bigint,
           (extract(epoch from min(l.taken_at) over ()) * 1000)::bigint,
           (first_value(l.seconds) over (order by l.taken_at) * 1000)::bigint,
           d.calls, d.total_ms / d.calls,
           coalesce(d.total_ms / nullif(sum(d.total_ms) over (partition by l.taken_at), 0), 0)
    from looks l join brasa.care_statement_deltas d on d.taken_at = l.taken_at and d.calls > 0
    order by l.taken_at desc";

const HOURS_OF: &str = "
    select fingerprint, extract(epoch from hour)::bigint / 3600, total_ms / calls from brasa.care_statement_hours
    where fingerprint = any ($1) and calls >= $4
        and hour >= to_timestamp($2::bigint / 1000.0) and hour < to_timestamp($3::bigint / 1000.0)";

/// What statements of the primary cost in the time before `now`, the most costly first, with what is usual for the
/// first five hundred.
///
/// # Errors
/// What Postgres says.
pub async fn statement_uses(
    connection: &mut PgConnection,
    now: Timestamp,
    window: Duration,
) -> Result<Vec<StatementUse>, sqlx::Error> {
    let now = Moment::of(now);
    let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let is_long = window.as_secs() > u64::from(RAW_DAYS.unsigned_abs()) * 86_400;
    let begin = Moment { ms: now.ms.saturating_sub(window_ms).max(0) };
    let seconds =
        if is_long { seconds(connection, begin, now).await? } else { looked(connection, begin, now).await? };
    let query = sqlx::query(SPENT).bind(begin.ms).bind(now.ms).bind(is_long);
    let rows = query.fetch_all(&mut *connection).await?;
    let mut uses = rows.iter().map(|row| read(row, seconds)).collect::<Result<Vec<_>, _>>()?;
    judge(connection, &mut uses, now).await?;
    Ok(uses)
}

/// For how many seconds there are differences of statements. A reset of other counters takes nothing away from them.
async fn looked(connection: &mut PgConnection, begin: Moment, end: Moment) -> Result<f64, sqlx::Error> {
    let query = "select coalesce(sum(seconds), 0) from brasa.care_looks where node = 'primary'
                 and taken_at > to_timestamp($1::bigint / 1000.0) and taken_at <= to_timestamp($2::bigint / 1000.0)";
    sqlx::query_scalar(query).bind(begin.ms).bind(end.ms).fetch_one(connection).await
}

#[expect(clippy::cast_precision_loss, reason = "a mean needs no exact number of calls")]
fn read(row: &sqlx::postgres::PgRow, seconds: f64) -> Result<StatementUse, sqlx::Error> {
    let (calls, total_ms, squares): (i64, f64, f64) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    let mean_ms = if calls == 0 { 0.0 } else { total_ms / calls as f64 };
    let variance = if calls == 0 { 0.0 } else { squares / calls as f64 - mean_ms * mean_ms };
    Ok(StatementUse {
        fingerprint: row.try_get(0)?,
        text: row.try_get(1)?,
        is_ours: row.try_get(2)?,
        seconds,
        calls,
        total_ms,
        mean_ms,
        deviation_ms: variance.max(0.0).sqrt(),
        rows: row.try_get(6)?,
        hit: row.try_get(7)?,
        read: row.try_get(8)?,
        temp: row.try_get(9)?,
        share: row.try_get(10)?,
        usual_ms: None,
        is_regressed: false,
    })
}

/// Fills in what is usual for the most costly statements, and which of them became slower.
async fn judge(
    connection: &mut PgConnection,
    uses: &mut [StatementUse],
    now: Moment,
) -> Result<(), sqlx::Error> {
    let looks = i64::try_from(TICKS).unwrap_or(i64::MAX);
    let rows = sqlx::query(TICKS_OF).bind(now.ms).bind(looks).fetch_all(&mut *connection).await?;
    let mut ticks: BTreeMap<String, Vec<Tick>> = BTreeMap::new();
    let mut oldest = now;
    for row in &rows {
        let (first, lasted): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        oldest = Moment { ms: first - lasted };
        let tick = Tick { calls: row.try_get(4)?, mean_ms: row.try_get(5)?, share: row.try_get(6)? };
        ticks.entry(row.try_get(0)?).or_default().push(tick);
    }
    // What is judged is not part of what it is compared with.
    let until = oldest.hour_ms();
    let judged = usize::try_from(JUDGED_MAX).unwrap_or(usize::MAX);
    let names: Vec<&str> = uses.iter().take(judged).map(|one| one.fingerprint.as_str()).collect();
    let query = sqlx::query(HOURS_OF).bind(names).bind(until - PAST_HOURS * HOUR_MS).bind(until);
    let rows = query.bind(SAMPLE_CALLS_MIN).fetch_all(connection).await?;
    let mut hours: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for row in &rows {
        hours.entry(row.try_get(0)?).or_default().push((row.try_get(1)?, row.try_get(2)?));
    }
    let nothing = Vec::new();
    for one in uses.iter_mut().take(judged) {
        one.usual_ms = hours.get(&one.fingerprint).and_then(|past| usual(past, now.hour_ms() / HOUR_MS));
        let last = ticks.get(&one.fingerprint).unwrap_or(&nothing);
        one.is_regressed = is_regressed(last, one.usual_ms);
    }
    Ok(())
}
