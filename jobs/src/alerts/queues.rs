//! Queues and those who work on them.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_shared::queue::{Counts, Queue};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::units::format_duration;

use super::look::{Look, Trouble, Watcher, percent};
use super::message::span;
use super::rates::{Counted, Rates};

/// Over which time the dead are counted.
const HOUR_MS: i64 = 3_600_000;
/// Of fewer jobs that ended no share is told.
const ENDED_MIN: u64 = 20;

type All = BTreeMap<String, (Queue, Counts)>;

/// Looks at all that is watched of them.
pub(super) async fn look(watcher: &mut Watcher, look: &mut Look) {
    let limits = watcher.site.config.alerts.limits.clone();
    let now_ms = watcher.site.clock.now().as_millisecond();
    let all = all(watcher).await;
    let all = all.as_ref().map_err(Clone::clone);
    if let Some(limit) = limits.queue_oldest {
        look.take("queue_oldest", all.clone().map(|all| oldest(all, limit, now_ms)));
    }
    if let Some(limit) = limits.failure_share {
        look.take(
            "failure_share",
            all.clone().and_then(|all| failing(&mut watcher.ended, all, limit, now_ms)),
        );
    }
    if let Some(limit) = limits.dead_per_hour {
        let found = match all {
            Ok(all) => dead(all, limit, now_ms).await,
            Err(why) => Err(why),
        };
        look.take("dead_per_hour", found);
    }
    if let Some(limit) = limits.workers {
        look.take("workers", workers(watcher, limit).await);
    }
}

async fn all(watcher: &Watcher) -> Result<All, String> {
    let mut all = All::new();
    for (name, queue) in watcher.site.all_queues().await.map_err(|error| chain(&error))? {
        let counts = queue.counts().await.map_err(|error| chain(&error))?;
        all.insert(name, (queue, counts));
    }
    Ok(all)
}

fn oldest(all: &All, limit: Duration, now_ms: i64) -> Vec<Trouble> {
    let late = |(name, (_, counts)): (&String, &(Queue, Counts))| {
        let waited = Duration::from_millis(u64::try_from(now_ms - counts.oldest_ms?).ok()?);
        let why = if counts.paused.is_some() { "; the queue is paused" } else { "" };
        let text = format!(
            "queue `{name}`: {} job(s) wait, the oldest for {} (limit {}){why}; look: `brasa queues top`",
            counts.waiting,
            span(waited),
            format_duration(limit)
        );
        (waited > limit).then(|| Trouble { name: "queue_oldest", subject: Some(name.clone()), text })
    };
    all.iter().filter_map(late).collect()
}

fn failing(rates: &mut Rates, all: &All, limit: f64, now_ms: i64) -> Result<Vec<Trouble>, String> {
    let total = |counts: &Counts, name: &str| counts.totals.get(name).copied().unwrap_or_default();
    let counted = |(name, (_, counts)): (&String, &(Queue, Counts))| {
        (name.clone(), Counted { good: total(counts, "done"), bad: total(counts, "dead") })
    };
    let lately = rates.add(now_ms, all.iter().map(counted).collect());
    let lately = lately.ok_or("it takes a second look to see how many jobs end")?;
    let bad = |(name, counted): (&String, &Counted)| {
        let share = 1.0 - counted.share_good();
        let text = format!(
            "queue `{name}`: {} of the last {} jobs that ended died, which is {} (limit {}); look: `brasa dead groups`",
            counted.bad,
            counted.all(),
            percent(share),
            percent(limit)
        );
        let is_bad = counted.all() >= ENDED_MIN && share > limit;
        is_bad.then(|| Trouble { name: "failure_share", subject: Some(name.clone()), text })
    };
    Ok(lately.iter().filter_map(bad).collect())
}

async fn dead(all: &All, limit: u64, now_ms: i64) -> Result<Vec<Trouble>, String> {
    let mut troubles = Vec::new();
    for (name, (queue, counts)) in all {
        if counts.dead <= limit {
            continue;
        }
        let died = queue.died_since(now_ms - HOUR_MS).await.map_err(|error| chain(&error))?;
        if died > limit {
            let text = format!(
                "queue `{name}`: {died} jobs died in the last hour (limit {limit}); look: `brasa dead groups`"
            );
            troubles.push(Trouble { name: "dead_per_hour", subject: Some(name.clone()), text });
        }
    }
    Ok(troubles)
}

async fn workers(watcher: &Watcher, limit: u64) -> Result<Vec<Trouble>, String> {
    let alive = watcher.site.fleet().live_workers().await.map_err(|error| chain(&error))?.len();
    let is_few = u64::try_from(alive).is_ok_and(|alive| alive < limit);
    let text = match alive {
        0 => "no worker is there: jobs wait; start `brasa worker`".to_owned(),
        alive => format!("only {alive} worker(s) are there (limit {limit}); look: `brasa doctor`"),
    };
    Ok(is_few.then_some(Trouble { name: "workers", subject: None, text }).into_iter().collect())
}
