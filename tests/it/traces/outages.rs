//! A collector that is away is nobody's trouble but the traces'.

use std::time::{Duration, Instant};

use brasa_tests::World;
use brasa_tests::process::{Brasa, Running, Signal, http_get, within};
use serde_json::json;

use super::GIVEN;
use super::collector::{Collector, Mood};

/// How many jobs run.
const JOBS: usize = 300;
/// How long a test waits.
const SOON: Duration = Duration::from_secs(30);

/// A worker that has run all jobs, and tells this collector of them.
async fn worked(world: &World, collector: &Collector) -> Running {
    let config = format!("[sql.one]\nsql = \"select 1\"\n{}", collector.section("timeout = \"100ms\""));
    let worker = Brasa::configured(world, &config).start(["worker", "--listen", "127.0.0.1:0"]);
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        let mut job = world.job("sql.run", &json!({ "name": "one" }));
        job.trace = Some(GIVEN.to_owned());
        jobs.push(job);
    }
    for jobs in jobs.chunks(100) {
        world.queue("default").enqueue_all(jobs).await.unwrap();
    }
    let all = u64::try_from(JOBS).unwrap();
    within(SOON, "all jobs are done", async || {
        let totals = world.counts().await.totals;
        (totals.get("done") == Some(&all)).then_some(())
    })
    .await;
    worker
}

/// How many spans became of this.
async fn spans(worker: &Running, verdict: &str) -> usize {
    let (_, metrics) = http_get(worker.address().await, "/metrics").await.unwrap();
    let series = format!("brasa_trace_spans_total{{verdict=\"{verdict}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(series.as_str()));
    count.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

fn complaints(log: &str) -> usize {
    log.lines().filter(|line| line.contains("spans of traces are not taken")).count()
}

/// Asked to end, it does, and says so by its code.
async fn ends_soon(worker: Running) -> String {
    let begun = Instant::now();
    worker.signal(Signal::Terminate);
    let ended = worker.ended(SOON).await.with_code(0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    ended.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_do_not_wait_for_a_collector_that_hangs_and_what_it_did_not_take_is_counted() {
    let (world, collector) = (World::new().await, Collector::start(Mood::Hangs).await);
    let worker = worked(&world, &collector).await;
    // Each job has a span of its own, and one for its statement.
    within(SOON, "they are given up", async || (spans(&worker, "dropped").await == JOBS * 2).then_some(()))
        .await;
    assert_eq!((spans(&worker, "sent").await, complaints(&worker.log())), (0, 1));
    let log = ends_soon(worker).await;
    assert_eq!(complaints(&log), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_collector_hangs_ends_in_time() {
    let (world, collector) = (World::new().await, Collector::start(Mood::Hangs).await);
    let log = ends_soon(worked(&world, &collector).await).await;
    assert!(complaints(&log) <= 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_comes_back_takes_what_ends_from_then_on() {
    let (world, collector) = (World::new().await, Collector::start(Mood::Refuses(400)).await);
    let worker = worked(&world, &collector).await;
    within(SOON, "they are refused", async || (spans(&worker, "dropped").await == JOBS * 2).then_some(()))
        .await;
    collector.turn(Mood::Takes);
    let mut job = world.job("sql.run", &json!({ "name": "one" }));
    (job.id, job.trace) = ("after".to_owned(), Some(GIVEN.to_owned()));
    world.queue("default").enqueue(&job).await.unwrap();
    within(SOON, "it is told of", async || (collector.attempts("after").len() == 1).then_some(())).await;
    let log = ends_soon(worker).await;
    assert_eq!(complaints(&log), 1, "{log}");
    assert!(log.contains("takes spans again"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_cannot_take_for_a_moment_is_sent_again() {
    let (world, collector) = (World::new().await, Collector::start(Mood::Refuses(503)).await);
    let worker = worked(&world, &collector).await;
    within(SOON, "somebody asked", async || (!collector.heads().is_empty()).then_some(())).await;
    collector.turn(Mood::Takes);
    within(SOON, "they arrive", async || {
        (spans(&worker, "sent").await + spans(&worker, "dropped").await == JOBS * 2).then_some(())
    })
    .await;
    assert!(spans(&worker, "sent").await > 0);
    let _log = ends_soon(worker).await;
}
