//! How fast rows are written that wait in a stream, against those who write them one by one, and those who read them in
//! a group and acknowledge them; and how fast counts are.

use std::time::Instant;

use anyhow::{Result, ensure};
use brasa_tests::bench::{Bar, Row, middle, ratios};
use serde_json::Value;

use super::{Ground, REPEATS, visit};

/// How many rows are written in batches, and how many one by one.
const ROWS: (usize, usize) = (50_000, 2_000);
/// How many counts.
const COUNTS: (usize, usize) = (50_000, 3_000);
/// What a group gives: streams, their entries, and the fields of each.
type Entries = Vec<(String, Vec<(String, Vec<(String, String)>)>)>;
/// How many rows the group takes at a time.
const BATCH: usize = 1_000;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let (mut ours, mut single, mut group) = (vec![], vec![], vec![]);
    for _ in 0..REPEATS {
        ours.push(ground.wait(batched(ground))?);
        single.push(ground.wait(one_by_one(ground))?);
        group.push(ground.wait(in_a_group(ground))?);
    }
    let (over_single, words) = ratios(&ours, &single);
    let (over_group, group_words) = ratios(&ours, &group);
    let mut rows = vec![
        Row::new("rows written, per second", "rows/s")
            .ours(&middle(&ours))
            .beside("one INSERT for each", &middle(&single))
            .note(words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&over_single).bar(Bar::AtLeast(50.0)),
        Row::new("rows written, per second", "rows/s")
            .ours(&middle(&ours))
            .beside("a group, UNNEST and XACK", &middle(&group))
            .note(group_words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&over_group).bar(Bar::AtLeast(1.4)),
    ];
    rows.extend(counts(ground)?);
    Ok(rows)
}

fn counts(ground: &Ground) -> Result<Vec<Row>> {
    let (mut ours, mut single) = (vec![], vec![]);
    for _ in 0..REPEATS {
        let all: Vec<String> =
            (0..COUNTS.0).map(|n| format!(r#"{{"page": "/{}", "hits": 1}}"#, n % 100)).collect();
        ours.push(ground.wait(async {
            ground.add("counts", &all).await?;
            let (took, rows, _) = ground.drain("counts").await?;
            ensure!(usize::try_from(rows)? == COUNTS.0, "only {rows} counts were written");
            anyhow::Ok(per_second(COUNTS.0, took))
        })?);
        single.push(ground.wait(async {
            let mut connection = ground.world.pool.acquire().await?;
            let begun = Instant::now();
            for n in 0..COUNTS.1 {
                let update = sqlx::query("update counts set hits = hits + 1 where page = $1");
                update.bind(format!("/{}", n % 100)).execute(&mut *connection).await?;
            }
            anyhow::Ok(per_second(COUNTS.1, begun.elapsed().as_secs_f64()))
        })?);
    }
    let (ratio, words) = ratios(&ours, &single);
    Ok(vec![
        Row::new("counts of 100 pages, per second", "counts/s")
            .ours(&middle(&ours))
            .beside("one UPDATE for each", &middle(&single))
            .note(words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtLeast(30.0)),
    ])
}

fn per_second(count: usize, took_s: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took_s
}

async fn empty(ground: &Ground) -> Result<()> {
    sqlx::query("truncate visits").execute(&ground.world.pool).await?;
    sqlx::query("checkpoint").execute(&ground.world.pool).await?;
    Ok(())
}

async fn batched(ground: &Ground) -> Result<f64> {
    empty(ground).await?;
    ground.add("visits", &(0..ROWS.0).map(visit).collect::<Vec<_>>()).await?;
    let (took, rows, dead) = ground.drain("visits").await?;
    ensure!((usize::try_from(rows)?, dead) == (ROWS.0, 0), "{rows} rows were written, and {dead} were not");
    Ok(per_second(ROWS.0, took))
}

/// What is known of a row when it is bound.
fn fields(row: &str) -> Result<(i64, String, i64, i32, String)> {
    let row: Value = serde_json::from_str(row)?;
    let number = |name: &str| row[name].as_i64().unwrap_or_default();
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    Ok((number("id"), text("page"), number("visitor"), i32::try_from(number("took_ms"))?, text("agent")))
}

async fn one_by_one(ground: &Ground) -> Result<f64> {
    empty(ground).await?;
    let mut connection = ground.world.pool.acquire().await?;
    let begun = Instant::now();
    for id in 0..ROWS.1 {
        let (id, page, visitor, took, agent) = fields(&visit(id))?;
        let insert = "insert into visits (id, page, visitor, took_ms, agent) values ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(insert).bind(id).bind(page).bind(visitor).bind(took).bind(agent);
        insert.execute(&mut *connection).await?;
    }
    Ok(per_second(ROWS.1, begun.elapsed().as_secs_f64()))
}

/// As sinks usually are: a consumer group, one statement for a thousand rows, and what is written is acknowledged.
async fn in_a_group(ground: &Ground) -> Result<f64> {
    empty(ground).await?;
    ground.add("grouped", &(0..ROWS.0).map(visit).collect::<Vec<_>>()).await?;
    let key = ground.streams().key("grouped", 0);
    let client = redis::Client::open(ground.world.redis_url.as_str())?;
    let mut line = client.get_multiplexed_async_connection().await?;
    redis::cmd("XGROUP").arg(&["CREATE", &key, "sink", "0"]).query_async::<()>(&mut line).await?;
    let mut connection = ground.world.pool.acquire().await?;
    let begun = Instant::now();
    loop {
        let mut read = redis::cmd("XREADGROUP");
        read.arg(&["GROUP", "sink", "one", "COUNT"]).arg(BATCH).arg(&["STREAMS", &key, ">"]);
        let found: Option<Entries> = read.query_async(&mut line).await?;
        let entries = found.unwrap_or_default().into_iter().flat_map(|(_, entries)| entries);
        let entries: Vec<(String, Vec<(String, String)>)> = entries.collect();
        if entries.is_empty() {
            break;
        }
        let mut columns = (vec![], vec![], vec![], vec![], vec![]);
        for (_, pairs) in &entries {
            let (id, page, visitor, took, agent) = fields(&pairs[0].1)?;
            columns.0.push(id);
            columns.1.push(page);
            columns.2.push(visitor);
            columns.3.push(took);
            columns.4.push(agent);
        }
        let insert = "insert into visits (id, page, visitor, took_ms, agent)
            select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::int[], $5::text[]) on conflict do nothing";
        let insert = sqlx::query(insert).bind(columns.0).bind(columns.1).bind(columns.2);
        insert.bind(columns.3).bind(columns.4).execute(&mut *connection).await?;
        let ids: Vec<&String> = entries.iter().map(|(id, _)| id).collect();
        redis::cmd("XACK").arg(&key).arg("sink").arg(&ids).query_async::<()>(&mut line).await?;
        redis::cmd("XDEL").arg(&key).arg(&ids).query_async::<()>(&mut line).await?;
    }
    let took = begun.elapsed().as_secs_f64();
    redis::cmd("DEL").arg(&key).query_async::<()>(&mut line).await?;
    Ok(per_second(ROWS.0, took))
}
