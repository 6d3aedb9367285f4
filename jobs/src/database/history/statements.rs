//! What statements cost since the last look, from `pg_stat_statements`, which is never reset by us: others read it too.
//!
//! A statement whose counters fell, or that says it is counted since another time, or all of them after a reset, began
//! at 0: then what it says now is the difference. One that was thrown out and came back in the same stretch of time
//! is known by its longest time, which never falls otherwise.

use std::collections::BTreeMap;

use brasa_shared::db;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::look::Looked;
use super::moment::Moment;
use super::spells::Relation;
use super::text::{Statement, read_text};

/// The version of the extension that has the columns that are read.
const VERSION_MIN: (u32, u32) = (1, 8);

const EXTENSION: &str = "/* brasa */ select n.nspname::text, e.extversion,
        (select position('pg_stat_statements' in setting) > 0 from pg_settings where name = 'shared_preload_libraries')
    from (select) x left join pg_extension e on e.extname = 'pg_stat_statements'
    left join pg_namespace n on n.oid = e.extnamespace";

const ADD: &str = "
    /* brasa */ with seen as materialized (
        select s.userid, s.queryid, {toplevel} as toplevel, s.calls, s.total_exec_time as total_ms,
               s.max_exec_time as max_ms,
               s.calls * (s.stddev_exec_time * s.stddev_exec_time + s.mean_exec_time * s.mean_exec_time) as squares,
               s.rows, s.shared_blks_hit + s.local_blks_hit as hit, s.shared_blks_read + s.local_blks_read as read,
               s.temp_blks_written as temp, s.wal_bytes, {since} as since
        from {schema}.pg_stat_statements(false) s
        -- Said so that the planner takes it for many rows: it would look each up by itself otherwise.
        where coalesce(s.dbid = (select oid from pg_database where datname = current_database()), false)
    ), matched as (
        select s.*, l.fingerprint, l.calls as l_calls, l.total_ms as l_total_ms, l.squares as l_squares,
               l.rows as l_rows,
               l.hit as l_hit, l.read as l_read, l.temp as l_temp, l.wal_bytes as l_wal_bytes, l.since as l_since,
               l.queryid is null as is_new,
               l.queryid is not null and ({1} = 'restart' or s.calls < l.calls or s.total_ms < l.total_ms
                   or s.max_ms < l.max_ms or s.rows < l.rows or s.hit < l.hit or s.read < l.read or s.temp < l.temp
                   or s.wal_bytes < l.wal_bytes or s.since is distinct from l.since) as restarts
        from seen s left join brasa.care_statement_last l
            on l.userid = s.userid and l.queryid = s.queryid and l.toplevel = s.toplevel
        where s.queryid is not null
    ), judged as materialized (
        select m.*, case when {1} = 'baseline' then 'all' when is_new or restarts then 'none' else 'last' end as base
        from matched m
        -- Most statements did not run: that is seen by two of their figures.
        where is_new or {1} = 'restart' or fingerprint is null or calls <> l_calls or total_ms <> l_total_ms
            or since is distinct from l_since
    ), kept as (
        insert into brasa.care_statement_last as l
        select userid, queryid, toplevel, fingerprint, calls, total_ms, max_ms, squares, rows, hit, read, temp,
            wal_bytes,
               since
        from judged
        on conflict (userid, queryid, toplevel) do update
        set calls = excluded.calls, total_ms = excluded.total_ms, max_ms = excluded.max_ms, squares = excluded.squares,
            rows = excluded.rows, hit = excluded.hit, read = excluded.read, temp = excluded.temp,
            wal_bytes = excluded.wal_bytes, since = excluded.since
    ), gone as (
        -- Nothing has gone where as many are there as are known and new: that is seen at once.
        delete from brasa.care_statement_last l
        where (select count(*) from brasa.care_statement_last) + (select count(*) from judged where is_new)
                  > (select count(queryid) from seen)
          and not exists (select from seen s where s.userid = l.userid and s.queryid = l.queryid
                              and s.toplevel = l.toplevel)
    ), deltas as materialized (
        select userid::bigint, queryid, toplevel, fingerprint, restarts::int as restarts,
               case base when 'last' then calls - l_calls when 'none' then calls else 0 end as calls,
               case base when 'last' then total_ms - l_total_ms when 'none' then total_ms else 0 end as total_ms,
               greatest(case base when 'last' then squares - l_squares when 'none' then squares else 0 end, 0)
                   as squares,
               case base when 'last' then rows - l_rows when 'none' then rows else 0 end as rows,
               case base when 'last' then hit - l_hit when 'none' then hit else 0 end as hit,
               case base when 'last' then read - l_read when 'none' then read else 0 end as read,
               case base when 'last' then temp - l_temp when 'none' then temp else 0 end as temp,
               case base when 'last' then wal_bytes - l_wal_bytes when 'none' then wal_bytes else 0 end as wal_bytes
        from judged
    ), summed as materialized (
        select fingerprint, {sums}, sum(restarts)::int as restarts from deltas
        where fingerprint is not null and calls > 0 group by fingerprint
    ), {written}
    select (select count(queryid) from seen), (select count(*) - count(queryid) from seen),
           coalesce((select sum(calls) from deltas), 0)::bigint,
           coalesce((select sum(restarts) from deltas), 0)::bigint,
           (select coalesce(jsonb_agg(to_jsonb(d)), '[]') from deltas d where fingerprint is null)::text";

/// Texts, which cost far more to read than counters do. What is longer than that is told apart by its begin, so that
/// thousands of them fit into memory at the first look.
const TEXTS: &str = "
    /* brasa */ select s.userid::bigint, s.queryid, {toplevel}, left(s.query, 8192)
    from {schema}.pg_stat_statements(true) s
    where s.dbid = (select oid from pg_database where datname = current_database()) and s.query is not null
        and s.queryid = any ($1::text[]::bigint[])";

/// The same of statements whose texts are only known now.
const ADD_NAMED: &str = "
    /* brasa */ with deltas as materialized (
        select * from jsonb_to_recordset({4}::jsonb) as d(userid bigint, queryid bigint, toplevel boolean,
            fingerprint text, restarts int, calls bigint, total_ms double precision, squares double precision,
            rows bigint, hit bigint, read bigint, temp bigint, wal_bytes numeric)
    ), named as (
        update brasa.care_statement_last l set fingerprint = d.fingerprint from deltas d
        where l.userid = d.userid::oid and l.queryid = d.queryid and l.toplevel = d.toplevel and d.fingerprint <> {1}
    ), summed as materialized (
        select fingerprint, {sums}, sum(restarts)::int as restarts from deltas where calls > 0 group by fingerprint
    ), {written}
    select 1";

const SUMS: &str = "sum(calls)::bigint as calls, sum(total_ms) as total_ms, sum(squares) as squares,
    sum(rows)::bigint as rows, sum(hit)::bigint as hit, sum(read)::bigint as read, sum(temp)::bigint as temp,
    sum(wal_bytes) as wal_bytes";

/// Adds `summed` to the differences and to the hour.
const WRITTEN: &str = "written as (
        insert into brasa.care_statement_deltas as w select to_timestamp({2}::bigint / 1000.0), s.* from summed s
        on conflict (taken_at, fingerprint) do update
        set {added}, restarts = w.restarts + excluded.restarts
    ), hourly as (
        insert into brasa.care_statement_hours as w
        select to_timestamp({3}::bigint / 1000.0), fingerprint, calls, total_ms, squares, rows, hit, read, temp,
            wal_bytes
        from summed
        on conflict (hour, fingerprint) do update set {added}
    )";

const ADDED: &str = "calls = w.calls + excluded.calls, total_ms = w.total_ms + excluded.total_ms,
    squares = w.squares + excluded.squares, rows = w.rows + excluded.rows, hit = w.hit + excluded.hit,
    read = w.read + excluded.read, temp = w.temp + excluded.temp, wal_bytes = w.wal_bytes + excluded.wal_bytes";

/// Where the extension is, and what it can.
struct Extension {
    schema: String,
    version: (u32, u32),
}

impl Extension {
    fn has(&self, minor: u32) -> bool {
        self.version >= (1, minor)
    }
}

/// Adds what statements cost since the last look; says among the problems what stands in the way.
pub(super) async fn add(
    connection: &mut PgConnection,
    relation: Relation,
    now: Moment,
    looked: &mut Looked,
) -> Result<(), sqlx::Error> {
    let extension = match find(connection).await? {
        Ok(extension) => extension,
        Err(fault) => {
            mark(connection, None, None, Some(&fault), now).await?;
            looked.problems.push(fault);
            return Ok(());
        }
    };
    let (reset, dealloc) = info(connection, &extension).await?;
    let query = "select reset_at, dealloc from brasa.care_statement_marks where fault is null";
    let before: Option<(Option<String>, Option<i64>)> =
        sqlx::query_as(query).fetch_optional(&mut *connection).await?;
    let mode = match &before {
        None => "baseline",
        Some(_) if relation == Relation::Strange => "baseline",
        // Where it is not said when they were reset, a crash is known to have done so.
        Some((before, _)) if *before != reset || reset.is_none() && relation == Relation::Crashed => {
            "restart"
        }
        Some(_) => "same",
    };
    let rows = fetch(connection, &filled(ADD, &extension), &values(mode, now, "")).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let found = &mut looked.statements;
    (found.known, found.calls, found.restarts) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    let forgot = mode != "same";
    found.evictions = dealloc
        .zip(before.and_then(|(_, before)| before))
        .map(|(now, before)| if forgot || now < before { now } else { now - before });
    let hidden: i64 = row.try_get(1)?;
    if hidden > 0 {
        looked.problems.push(format!(
            "{hidden} statements of other roles are hidden: grant pg_read_all_stats to the role of the worker"
        ));
    }
    let unnamed: String = row.try_get(4)?;
    let unnamed: Vec<Value> =
        serde_json::from_str(&unnamed).map_err(|error| sqlx::Error::Decode(error.into()))?;
    if !unnamed.is_empty() {
        looked.statements.texts = name(connection, &extension, unnamed, now).await?;
    }
    mark(connection, reset.as_deref(), dealloc, None, now).await
}

/// The statement for this version of the extension, which takes a list of texts as its only parameter.
fn filled(template: &str, extension: &Extension) -> String {
    let sql = template
        .replace("{written}", WRITTEN)
        .replace("{added}", ADDED)
        .replace("{sums}", SUMS)
        .replace("{schema}", &db::quoted(&extension.schema))
        .replace("{toplevel}", if extension.has(9) { "s.toplevel" } else { "true" })
        .replace("{since}", if extension.has(11) { "s.stats_since::text" } else { "null::text" });
    (1..=4).fold(sql, |sql, place| sql.replace(&format!("{{{place}}}"), &format!("($1::text[])[{place}]")))
}

async fn fetch(
    connection: &mut PgConnection,
    sql: &str,
    texts: &[String],
) -> Result<Vec<PgRow>, sqlx::Error> {
    let texts = db::array_of_texts(texts).into_iter().collect::<Vec<_>>();
    db::fetch(connection, sql, &texts).await
}

/// What the statements take that add differences.
fn values(first: &str, now: Moment, last: &str) -> [String; 4] {
    [first.to_owned(), now.ms.to_string(), now.hour_ms().to_string(), last.to_owned()]
}

/// Finds the extension, or says what is missing.
async fn find(connection: &mut PgConnection) -> Result<Result<Extension, String>, sqlx::Error> {
    let row = sqlx::query(EXTENSION).fetch_one(connection).await?;
    let (schema, version): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    let is_loaded: Option<bool> = row.try_get(2)?;
    let Some((schema, version)) = schema.zip(version) else {
        return Ok(Err(
            "statements are not counted: add pg_stat_statements to shared_preload_libraries, restart Postgres, and \
             run `create extension pg_stat_statements` in this database"
                .to_owned(),
        ));
    };
    // Whoever may not read the setting is told by the extension itself.
    if is_loaded == Some(false) {
        return Ok(Err(
            "statements are not counted: shared_preload_libraries lacks pg_stat_statements; add it \
                       and restart Postgres"
                .to_owned(),
        ));
    }
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let numbers = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if numbers < VERSION_MIN {
        return Ok(Err(format!(
            "statements are not read: pg_stat_statements is of version {version}; run `alter extension \
             pg_stat_statements update`"
        )));
    }
    Ok(Ok(Extension { schema, version: numbers }))
}

/// When all was reset, and how often statements were thrown out: known from version 1.9 on.
async fn info(
    connection: &mut PgConnection,
    extension: &Extension,
) -> Result<(Option<String>, Option<i64>), sqlx::Error> {
    if !extension.has(9) {
        return Ok((None, None));
    }
    let schema = db::quoted(&extension.schema);
    let sql = format!(
        "/* brasa */ select extract(epoch from stats_reset)::text, dealloc from {schema}.pg_stat_statements_info"
    );
    let rows = db::fetch(connection, &sql, &[]).await?;
    rows.first().map_or(Ok((None, None)), |row| Ok((row.try_get(0)?, row.try_get(1)?)))
}

/// Reads the texts of statements that were not known before, and adds what they cost; returns how many there were.
async fn name(
    connection: &mut PgConnection,
    extension: &Extension,
    unnamed: Vec<Value>,
    now: Moment,
) -> Result<usize, sqlx::Error> {
    let ids: Vec<String> =
        unnamed.iter().filter_map(|delta| Some(delta.get("queryid")?.to_string())).collect();
    let rows = fetch(connection, &filled(TEXTS, extension), &ids).await?;
    let mut known: BTreeMap<(i64, i64, bool), Statement> = BTreeMap::new();
    for row in &rows {
        let text: String = row.try_get(3)?;
        known.insert((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), read_text(&text));
    }
    let gone = Statement::gone();
    let mut named = unnamed;
    for delta in &mut named {
        let number = |field: &str| delta.get(field).and_then(Value::as_i64).unwrap_or_default();
        let toplevel = delta.get("toplevel").and_then(Value::as_bool).unwrap_or(true);
        let found = known.get(&(number("userid"), number("queryid"), toplevel)).unwrap_or(&gone);
        delta["fingerprint"] = Value::from(found.fingerprint.as_str());
    }
    keep(connection, known.values().chain([&gone]), now).await?;
    let named = Value::from(named).to_string();
    let values = values(&gone.fingerprint, now, &named);
    fetch(connection, &filled(ADD_NAMED, extension), &values).await?;
    Ok(known.len())
}

async fn keep(
    connection: &mut PgConnection,
    statements: impl Iterator<Item = &Statement>,
    now: Moment,
) -> Result<(), sqlx::Error> {
    let (mut fingerprints, mut texts, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for statement in statements {
        fingerprints.push(statement.fingerprint.as_str());
        texts.push(statement.text.as_str());
        ours.push(statement.is_ours);
    }
    let query = "insert into brasa.care_statement_texts (fingerprint, text, is_ours, known_at)
                 select f, t, o, to_timestamp($4::bigint / 1000.0)
                 from unnest($1::text[], $2::text[], $3::bool[]) as x(f, t, o)
                 on conflict (fingerprint) do nothing";
    let query = sqlx::query(query).bind(fingerprints).bind(texts).bind(ours).bind(now.ms);
    query.execute(connection).await.map(drop)
}

/// Notes how things stand, for the next look.
async fn mark(
    connection: &mut PgConnection,
    reset: Option<&str>,
    dealloc: Option<i64>,
    fault: Option<&str>,
    now: Moment,
) -> Result<(), sqlx::Error> {
    let query = "insert into brasa.care_statement_marks (reset_at, dealloc, fault, taken_at)
                 values ($1, $2, $3, to_timestamp($4::bigint / 1000.0))
                 on conflict (only_one) do update set reset_at = excluded.reset_at, dealloc = excluded.dealloc,
                     fault = excluded.fault, taken_at = excluded.taken_at";
    let query = sqlx::query(query).bind(reset).bind(dealloc).bind(fault).bind(now.ms);
    query.execute(connection).await.map(drop)
}
