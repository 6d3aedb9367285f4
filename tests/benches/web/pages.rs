//! Every page, while a million jobs wait and a hundred thousand are dead.

use std::time::Instant;

use anyhow::{Result, ensure};
use brasa_jobs::Envelope;
use brasa_shared::clock::Clock;
use brasa_shared::queue::{Keep, Queue};
use brasa_tests::bench::{Bar, Row, middle};
use brasa_tests::hand::{Hand, dead};
use reqwest::Method;
use serde_json::json;

use super::{Ground, REPEATS};

/// How many jobs wait, and how many are dead.
const JOBS: (usize, usize) = (1_000_000, 100_000);
/// The same in a quick run.
const QUICK_JOBS: (usize, usize) = (100_000, 10_000);
/// How many are brought at a time.
const AT_ONCE: usize = 1_000;
/// What a page may take, ms.
const PAGE_MAX_MS: f64 = 100.0;
/// What the dead died of.
const REASONS: [&str; 4] = [
    "could not connect to 10.0.0.7: connection refused",
    "statement `nothing` took longer than 30s",
    "duplicate key value violates unique constraint \"orders_pkey\"",
    "endpoint `mail` answered 422 Unprocessable Entity: no such address",
];
/// The pages of the menu, that which is the longest to look at first, and searches that cannot ask an index.
const PAGES: [&str; 16] = [
    "/database",
    "/",
    "/queues",
    "/jobs",
    "/jobs?state=dead",
    "/jobs?q=nothing",
    "/dead",
    "/schedules",
    "/workers",
    "/cache",
    "/aggregates",
    "/writes",
    "/recommendations",
    "/audit",
    "/about",
    "/api/v1/queues",
];

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let (waiting, buried) = if ground.is_quick { QUICK_JOBS } else { JOBS };
    ground.wait(fill(ground, waiting, buried))?;
    let mut rows = Vec::new();
    for path in PAGES {
        let mut times = Vec::new();
        for _ in 0..REPEATS {
            times.push(ground.wait(look(ground, path))?);
        }
        let name = format!("{path}, {waiting} jobs wait and {buried} are dead");
        let words = format!("the first {:.1}, the others {:.1?}", times[0], &times[1..]);
        rows.push(Row::new(name, "ms").ours(&middle(&times)).bar(Bar::AtMost(PAGE_MAX_MS)).note(words));
    }
    Ok(rows)
}

/// How long a page takes until its last byte is there, ms.
async fn look(ground: &Ground, path: &str) -> Result<f64> {
    let begun = Instant::now();
    let answer = ground.request(Method::GET, path).send().await?;
    let status = answer.status();
    let page = answer.text().await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(status == 200, "{path}: {status}: {page}");
    Ok(took)
}

async fn fill(ground: &Ground, waiting: usize, buried: usize) -> Result<()> {
    let [none, all] = [0, 1_000_000].map(|count| Keep { count, age_ms: 30 * 86_400_000, bytes: 0 });
    let (big, grave) = (ground.world.queue("big"), ground.world.queue("dead").keeping(none, all));
    let fleet = ground.world.fleet();
    fleet.add_queue("big").await?;
    fleet.add_queue("dead").await?;
    for _ in (0..waiting).step_by(AT_ONCE) {
        big.enqueue_all(&jobs()?).await?;
    }
    for _ in (0..buried).step_by(AT_ONCE) {
        grave.enqueue_all(&jobs()?).await?;
        bury_all(&grave).await?;
    }
    let counts = grave.counts().await?;
    ensure!(usize::try_from(counts.dead)? == buried, "{} are dead", counts.dead);
    Ok(())
}

/// Buries what waits, for one of a few reasons.
async fn bury_all(queue: &Queue) -> Result<()> {
    let digger = Hand::new("digger", &["sql.run"]);
    loop {
        let claimed = digger.claim(queue, AT_ONCE).await;
        if claimed.is_empty() {
            return Ok(());
        }
        let burials: Vec<_> =
            claimed.iter().zip(REASONS.iter().cycle()).map(|(job, reason)| dead(job, reason)).collect();
        queue.bury(&burials).await?;
    }
}

fn jobs() -> Result<Vec<Envelope>> {
    let now = Clock::System.now();
    (0..AT_ONCE).map(|_| Ok(Envelope::new("sql.run", &json!({ "name": "nothing" }), now)?)).collect()
}
