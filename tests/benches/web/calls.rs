//! What a call of the API takes that enqueues a job, against the same job enqueued by the engine.

use std::time::Instant;

use anyhow::{Result, ensure};
use brasa_jobs::Envelope;
use brasa_shared::clock::Clock;
use brasa_tests::bench::{Row, median, middle, ratios};
use reqwest::Method;
use serde_json::json;

use super::{Ground, REPEATS};

/// How many calls make a figure.
const CALLS: usize = 500;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let (mut ours, mut engine) = (vec![], vec![]);
    for _ in 0..REPEATS {
        ours.push(ground.wait(by_api(ground))?);
        engine.push(ground.wait(by_engine(ground))?);
    }
    let (_, words) = ratios(&ours, &engine);
    Ok(vec![
        Row::new("p50 of POST /api/v1/jobs", "µs")
            .ours(&middle(&ours))
            .beside("the same by the engine", &middle(&engine))
            .note(words),
    ])
}

async fn by_api(ground: &Ground) -> Result<f64> {
    let body = json!({ "kind": "sql.run", "queue": "calls", "args": { "name": "nothing" } });
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let call = ground.request(Method::POST, "/api/v1/jobs").header("content-type", "application/json");
        let call = call.body(body.to_string());
        let begun = Instant::now();
        let answer = call.send().await?;
        let status = answer.status();
        let said = answer.text().await?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        ensure!(status == 201, "{status}: {said}");
    }
    Ok(median(times))
}

async fn by_engine(ground: &Ground) -> Result<f64> {
    let queue = ground.world.queue("calls");
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let job = Envelope::new("sql.run", &json!({ "name": "nothing" }), Clock::System.now())?;
        let begun = Instant::now();
        queue.enqueue(&job).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(times))
}
