//! What one row costs the others of its batch that cannot be written.

use anyhow::{Result, ensure};
use brasa_tests::bench::{Bar, Row, middle, ratios};

use super::{Ground, REPEATS, visit};

/// How many rows a batch has.
const ROWS: usize = 1_000;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let (mut clean, mut spoilt) = (vec![], vec![]);
    for round in 0..REPEATS * 3 {
        for (is_spoilt, took) in [(false, &mut clean), (true, &mut spoilt)] {
            took.push(ground.wait(batch(ground, round, is_spoilt))?);
        }
    }
    let (ratio, words) = ratios(&spoilt, &clean);
    Ok(vec![
        Row::new("a batch of 1,000 with one row that Postgres refuses", "ms")
            .ours(&middle(&spoilt))
            .beside("a batch without", &middle(&clean))
            .note(words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtMost(3.0)),
    ])
}

/// The milliseconds that a batch takes.
async fn batch(ground: &Ground, round: usize, is_spoilt: bool) -> Result<f64> {
    sqlx::query("truncate visits").execute(&ground.world.pool).await?;
    let mut rows: Vec<String> = (0..ROWS).map(visit).collect();
    if is_spoilt {
        // Somewhere, and not where it would be found soonest.
        rows[(round * 337 + 500) % ROWS] = visit(0).replace("\"took_ms\": 0", "\"took_ms\": 99999999999");
    }
    ground.add("visits", &rows).await?;
    let (took, written, dead) = ground.drain("visits").await?;
    let wanted = if is_spoilt { (ROWS - 1, 1) } else { (ROWS, 0) };
    ensure!(
        (usize::try_from(written)?, usize::try_from(dead)?) == wanted,
        "{written} written, {dead} buried"
    );
    Ok(took * 1e3)
}
