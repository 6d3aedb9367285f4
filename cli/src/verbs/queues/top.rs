//! `brasa queues top`: what goes on, as it goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use brasa_shared::queue::Counts;
use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, distance};
use crate::verbs::arguments::duration;

/// Show queues as they change, until you stop it
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    every: Duration,
    /// End after so many looks
    #[arg(long, value_name = "LOOKS")]
    count: Option<u32>,
}

/// What a look found, and when.
struct Look {
    at: Instant,
    queues: BTreeMap<String, Counts>,
}

/// How fast a queue is, per second.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    enqueued: f64,
    done: f64,
    retried: f64,
}

impl Top {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let mut before = look(app).await?;
        let mut looks = 0;
        while self.count.is_none_or(|count| looks < count) {
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                ended = tokio::signal::ctrl_c() => return Ok(ended?),
            }
            let now = look(app).await?;
            show(app, &before, &now, out).await?;
            before = now;
            looks += 1;
        }
        Ok(())
    }
}

async fn look(app: &App) -> Result<Look, Failure> {
    let mut queues = BTreeMap::new();
    for (name, queue) in app.all_queues().await? {
        queues.insert(name, queue.counts().await?);
    }
    Ok(Look { at: Instant::now(), queues })
}

async fn show(app: &App, before: &Look, now: &Look, out: &mut Output) -> Result<(), Failure> {
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    let workers = app.fleet().live_workers().await?;
    let slots: usize = workers.iter().map(|worker| worker.concurrency).sum();
    let mut rows = Vec::new();
    let mut value = serde_json::Map::new();
    for (name, counts) in &now.queues {
        let pace = before.queues.get(name).map_or_else(Pace::default, |old| pace(old, counts, seconds));
        rows.push(row(app, name, counts, pace));
        value.insert(
            name.clone(),
            json!({ "waiting": counts.waiting, "delayed": counts.delayed, "running": counts.running,
                "dead": counts.dead, "bytes": counts.bytes, "enqueued_per_s": pace.enqueued,
                "done_per_s": pace.done, "retried_per_s": pace.retried,
                "seconds_to_empty": to_empty(counts, pace) }),
        );
    }
    out.clear()?;
    out.line(format!("{} worker(s), {slots} slots; Ctrl-C ends this\n", workers.len()))?;
    let header = [
        "QUEUE", "WAITING", "RUNNING", "DELAYED", "DEAD", "IN/S", "DONE/S", "RETRY/S", "OLDEST", "EMPTY IN",
        "STATE",
    ];
    out.table(header, rows, "no queues")?;
    if out.json { out.raw(json!(value).to_string()) } else { Ok(()) }
}

fn row(app: &App, name: &str, counts: &Counts, pace: Pace) -> [String; 11] {
    let oldest =
        counts.oldest_ms.map_or_else(|| "-".to_owned(), |ms| format!("{:.1} s", ms_since(app, ms) / 1_000.0));
    let empty = match to_empty(counts, pace) {
        Some(0.0) => "-".to_owned(),
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds for people")]
        Some(seconds) => distance(brasa_shared::jiff::SignedDuration::from_secs(seconds as i64)),
        None => "never".to_owned(),
    };
    let state = match (&counts.paused, &counts.closed) {
        (Some(paused), _) => format!("paused by {}", paused.by),
        (None, Some(closed)) => format!("closed by {}", closed.by),
        (None, None) => "runs".to_owned(),
    };
    [
        name.to_owned(),
        counts.waiting.to_string(),
        counts.running.to_string(),
        counts.delayed.to_string(),
        counts.dead.to_string(),
        format!("{:.0}", pace.enqueued),
        format!("{:.0}", pace.done),
        format!("{:.0}", pace.retried),
        oldest,
        empty,
        state,
    ]
}

#[expect(clippy::cast_precision_loss, reason = "an age in ms")]
fn ms_since(app: &App, ms: i64) -> f64 {
    (app.clock.now().as_millisecond() - ms).max(0) as f64
}

fn pace(before: &Counts, now: &Counts, seconds: f64) -> Pace {
    let total = |counts: &Counts, name: &str| counts.totals.get(name).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = |name: &str| total(now, name).saturating_sub(total(before, name)) as f64 / seconds.max(0.001);
    Pace { enqueued: rate("enqueued"), done: rate("done"), retried: rate("retried") }
}

/// How long until nothing waits at this pace; none if that is never.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn to_empty(counts: &Counts, pace: Pace) -> Option<f64> {
    if counts.waiting == 0 {
        return Some(0.0);
    }
    let net = pace.done - pace.enqueued;
    (net > 0.0).then(|| counts.waiting as f64 / net)
}

fn interval(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every < Duration::from_millis(100) { Err("look every 100ms at most".to_owned()) } else { Ok(every) }
}
