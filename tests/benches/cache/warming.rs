//! How fast 10,000 values are warmed, against one query and one SET for each: rows by their primary key, which is the
//! least that a loader can do.

use std::time::Instant;

use anyhow::{Context as _, Result};
use brasa_jobs::Reach;
use brasa_jobs::cache::{Filler, Wanted};
use brasa_tests::bench::{Bar, Row, middle, ratios};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::sync::Arc;

use super::ground::Ground;

const KEYS: i32 = 10_000;
const WARM: &str = r#"
    [warm.pair]
    for_each = { sql = "select id from pairs", params = ["id"] }
    sql = "select id, to_jsonb(p) as value from pairs p where id = any($1)"
    key = "KEY:pair:{id}"
    ttl = "1h"
    batch = 500
    warm_on = []
"#;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    ground.sql(
        "drop table if exists pairs;
         create table pairs as select row_number() over ()::int as id, f.carrier, f.flight, f.origin, f.dest, f.dep_delay,
             f.arr_delay, f.time_hour from flights f limit 10000;
         alter table pairs add primary key (id); analyze pairs",
    )?;
    ground.forget()?;
    let (mut ours, mut single, mut bare, mut alone) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ground.repeats {
        ours.push(f64::from(KEYS) / ground.wait(warm(ground, WARM))?);
        alone.push(f64::from(KEYS) / ground.wait(warm(ground, &WARM.replace("batch = 500", "batch = 1")))?);
        single.push(f64::from(KEYS) / ground.wait(one_by_one(ground))?);
        bare.push(f64::from(KEYS) / ground.wait(in_batches(ground))?);
    }
    let (ratio, words) = ratios(&ours, &single);
    Ok(vec![
        Row::new("warming 10,000 values", "keys/s")
            .ours(&middle(&ours))
            .beside("one query per key", &middle(&single))
            .note(words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtLeast(15.0)),
        Row::new("the same over one query per key with the same guarantees", "x")
            .ours(&ratios(&ours, &alone).0),
        Row::new("batches of SETs that guarantee nothing, over one query per key", "x")
            .ours(&ratios(&bare, &single).0),
    ])
}

/// As the job does it; returns the seconds.
async fn warm(ground: &Ground, text: &str) -> Result<f64> {
    let config = ground.world.config(&ground.config(text));
    let warmer = config.warm.get("pair").context("the warmer")?.clone();
    let pool = Some(ground.world.pool.clone());
    let reach = Reach::new(Arc::new(config), pool, ground.world.store.apart(), ground.world.clock.clone());
    let loaders = reach.loaders().context("Postgres")?;
    loaders.ensure_epoch().await?;
    let filler = Filler::new(loaders, "pair", &warmer, "bench");
    let begun = Instant::now();
    let keys = filler.keys().await?.context("keys")?;
    let fill = |keys: &[Vec<String>]| {
        filler.fill(keys.iter().map(|texts| Wanted { texts: texts.clone(), token: None }).collect())
    };
    // As many at once as the job has by default.
    let at_once = 2 * usize::try_from(ground.world.config("").cache.loaders)?;
    let mut filling = stream::iter(keys.chunks(warmer.batch).map(fill)).buffer_unordered(at_once);
    let mut count = 0;
    while let Some(tally) = filling.try_next().await? {
        count += tally.filled;
    }
    let took = begun.elapsed().as_secs_f64();
    anyhow::ensure!(count == usize::try_from(KEYS)?, "only {count} were filled");
    Ok(took)
}

/// As people do it; returns the seconds.
async fn one_by_one(ground: &Ground) -> Result<f64> {
    let client = redis::Client::open(ground.world.redis_url.as_str())?;
    let mut line = client.get_multiplexed_async_connection().await?;
    let mut connection = ground.world.pool.acquire().await?;
    let begun = Instant::now();
    for id in 1..=KEYS {
        let value: String = sqlx::query_scalar("select to_jsonb(p)::text from pairs p where id = $1")
            .bind(id)
            .fetch_one(&mut *connection)
            .await?;
        let mut set = redis::cmd("SET");
        set.arg(format!("{}:single:{id}", ground.world.prefix)).arg(value).arg("EX").arg(3_600);
        set.query_async::<()>(&mut line).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// The least that a batch can do: a query for many keys, and SETs that do not wait for one another. Nothing keeps what it
/// writes from being older than what an invalidation took away. Returns the seconds.
async fn in_batches(ground: &Ground) -> Result<f64> {
    let client = redis::Client::open(ground.world.redis_url.as_str())?;
    let line = client.get_multiplexed_async_connection().await?;
    let ids: Vec<i32> = (1..=KEYS).collect();
    let begun = Instant::now();
    let fill = |ids: Vec<i32>| {
        let mut line = line.clone();
        async move {
            let rows: Vec<(i32, String)> =
                sqlx::query_as("select id, to_jsonb(p)::text from pairs p where id = any($1)")
                    .bind(ids)
                    .fetch_all(&ground.world.pool)
                    .await?;
            let mut sets = redis::pipe();
            for (id, value) in rows {
                sets.set_ex(format!("{}:bare:{id}", ground.world.prefix), value, 3_600).ignore();
            }
            anyhow::Ok(sets.query_async::<()>(&mut line).await?)
        }
    };
    let batches: Vec<Vec<i32>> = ids.chunks(500).map(<[i32]>::to_vec).collect();
    stream::iter(batches.into_iter().map(fill)).buffer_unordered(4).try_collect::<Vec<()>>().await?;
    Ok(begun.elapsed().as_secs_f64())
}
