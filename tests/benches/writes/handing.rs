//! What handing over a row costs a request, against writing it.

use std::time::Instant;

use anyhow::Result;
use brasa_tests::bench::{Bar, Row, middle, ratios};

use super::{Ground, REPEATS, visit};

/// How many rows a round has.
const ROWS: usize = 1_000;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let (mut ours, mut inserts) = (vec![], vec![]);
    for round in 0..REPEATS {
        let (handed, inserted) = ground.wait(in_turns(ground, round * ROWS))?;
        ours.push(handed);
        inserts.push(inserted);
    }
    let (ratio, words) = ratios(&ours, &inserts);
    Ok(vec![
        Row::new("p50 of an XADD in a request", "µs")
            .ours(&middle(&ours))
            .beside("an INSERT", &middle(&inserts))
            .note(words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtMost(0.30)),
    ])
}

/// The middle of what each took, in µs.
async fn in_turns(ground: &Ground, first: usize) -> Result<(f64, f64)> {
    // Each by a connection that waits for its answer, as a request does: with nobody in between whom others share.
    let mut line = redis::Client::open(ground.world.redis_url.as_str())?.get_connection()?;
    let mut connection = ground.world.pool.acquire().await?;
    let key = ground.streams().key("handed", 0);
    let (mut handed, mut inserted) = (Vec::with_capacity(ROWS), Vec::with_capacity(ROWS));
    for id in first..first + ROWS {
        let row = visit(1_000_000_000 + id);
        let begun = Instant::now();
        redis::cmd("XADD").arg(&[&key, "*", "d", &row]).query::<String>(&mut line)?;
        handed.push(begun.elapsed().as_secs_f64() * 1e6);
        let begun = Instant::now();
        let insert = "insert into visits (id, page, visitor, took_ms, agent) values ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(insert).bind(i64::try_from(1_000_000_000 + id)?).bind("/page").bind(7_i64);
        insert.bind(7).bind("Mozilla/5.0 (X11; Linux x86_64)").execute(&mut *connection).await?;
        inserted.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    redis::cmd("DEL").arg(&key).query::<()>(&mut line)?;
    let median = |values: Vec<f64>| brasa_tests::bench::median(values);
    Ok((median(handed), median(inserted)))
}
