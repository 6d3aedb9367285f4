//! Why a job is not running: an answer for every state in which it waits.

use serde::Serialize;

use crate::queue::envelope::Envelope;
use crate::queue::lane::{is_suspect, lane_after, share_of};
use crate::queue::{JobView, Limit, LimitScope, Queue, QueueError, State, WorkerInfo};

/// How far into a lane a job is looked for.
const LOOK_INTO: u64 = 100_000;
/// How many jobs are named that a job waits for.
const NAMED_MAX: usize = 5;

/// Why a job is not running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// One word for programs: `running`, `ended`, `delayed`, `blocked`, `paused`, `expired`, `no-worker`,
    /// `unknown-kind`, `limited`, `suspect`, `behind`, `next`.
    pub reason: &'static str,
    /// A sentence for people.
    pub text: String,
    /// What to do about it, where something can be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub help: String,
}

impl Why {
    fn new(reason: &'static str, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { reason, text: text.into(), help: help.into() }
    }
}

impl Queue {
    /// Why a job is not running, as far as this queue and these workers go; none if there is no such job.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn why(&self, id: &str, workers: &[WorkerInfo]) -> Result<Option<Why>, QueueError> {
        let Some(view) = self.show(id).await? else { return Ok(None) };
        let why = match view.state {
            State::Done | State::Dead => ended(&view),
            State::Running => Why::new("running", format!("it runs on {}", view.worker), ""),
            State::Delayed => delayed(&view),
            State::Blocked => self.blocked(&view).await?,
            State::Waiting => self.waiting(&view, workers).await?,
        };
        Ok(Some(why))
    }

    async fn blocked(&self, view: &JobView) -> Result<Why, QueueError> {
        let mut parents = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SSCAN");
            scan.arg(&self.keys().links).arg(cursor).arg("MATCH").arg(format!("* {}", escaped(&view.id)));
            scan.arg("COUNT").arg(1_000);
            let (next, found): (u64, Vec<String>) = self.run("look for the jobs it waits for", &scan).await?;
            parents.extend(found.iter().filter_map(|link| link.split(' ').next().map(ToOwned::to_owned)));
            cursor = next;
            if cursor == 0 || parents.len() >= NAMED_MAX {
                break;
            }
        }
        parents.truncate(NAMED_MAX);
        let named: Vec<String> = self
            .views(&parents)
            .await?
            .into_iter()
            .zip(&parents)
            .map(|(parent, id)| match parent {
                Some(parent) => format!("{id} ({})", format!("{:?}", parent.state).to_lowercase()),
                None => format!("{id} (not known any more)"),
            })
            .collect();
        let text = format!("it waits for {} job(s) to end: {}", view.waits_for, named.join(", "));
        Ok(Why::new("blocked", text, "`brasa jobs retry` starts it all the same"))
    }

    async fn waiting(&self, view: &JobView, workers: &[WorkerInfo]) -> Result<Why, QueueError> {
        if let Some(paused) = self.paused().await? {
            let text = format!("the queue is paused by {}: {}", paused.by, paused.reason);
            let help = format!("`brasa queues resume {}` ends that", self.name());
            return Ok(Why::new("paused", text.trim_end_matches([':', ' ']), help));
        }
        let now = self.clock().now().as_millisecond();
        if view.expires_ms.is_some_and(|expires| expires < now) {
            return Ok(Why::new("expired", "its time to start is over; the next worker drops it", ""));
        }
        let Some(Ok(envelope)) = self.envelope(&view.id).await? else {
            return Ok(Why::new(
                "next",
                "it cannot be read; the next worker puts it into the dead letter",
                "",
            ));
        };
        let (lane, _) = lane_after(&envelope, u64::from(view.lost));
        if let Some(why) = self.without_worker(&envelope, workers) {
            return Ok(why);
        }
        if let Some(why) = self.held_back(&envelope, now).await? {
            return Ok(why);
        }
        if is_suspect(&lane) {
            let text =
                format!("its worker was lost {} times; it waits to be run apart from other jobs", view.lost);
            return Ok(Why::new(
                "suspect",
                text,
                "suspects run one after the other in a process of their own",
            ));
        }
        self.in_line(view, &lane, workers).await
    }

    /// No worker that could run it.
    fn without_worker(&self, envelope: &Envelope, workers: &[WorkerInfo]) -> Option<Why> {
        let serving: Vec<_> =
            workers.iter().filter(|worker| worker.queues.iter().any(|name| name == self.name())).collect();
        if serving.is_empty() {
            let text = format!("no worker serves the queue `{}`", self.name());
            return Some(Why::new("no-worker", text, "start one: `brasa worker`"));
        }
        let class = envelope.class();
        if serving.iter().any(|worker| worker.classes.contains(&class)) {
            return None;
        }
        let text = format!(
            "no worker knows `{class}`, of {} that serve the queue; it waits until one does",
            serving.len()
        );
        Some(Why::new("unknown-kind", text, "deploy a build that knows it, or cancel the job"))
    }

    /// A limit that keeps it back.
    async fn held_back(&self, envelope: &Envelope, now: i64) -> Result<Option<Why>, QueueError> {
        for limit in self.limits() {
            let field = match &limit.scope {
                LimitScope::Queue => "q".to_owned(),
                LimitScope::Kind(kind) if *kind == envelope.kind => format!("k {kind}"),
                LimitScope::Share if envelope.share.is_some() => format!("g {}", share_of(envelope)),
                LimitScope::Kind(_) | LimitScope::Share => continue,
            };
            let mut pipe = redis::pipe();
            pipe.cmd("HGET").arg(&self.keys().running).arg(&field);
            pipe.cmd("ZSCORE").arg(&self.keys().rates).arg(&field);
            let (running, idle): (Option<u32>, Option<f64>) = self.run_all("look at limits", &pipe).await?;
            if let Some(text) = reached(limit, running.unwrap_or(0), idle.unwrap_or(0.0), now) {
                return Ok(Some(Why::new("limited", text, "it starts by itself; no attempt is used")));
            }
        }
        Ok(None)
    }

    /// How many stand before it.
    async fn in_line(&self, view: &JobView, lane: &str, workers: &[WorkerInfo]) -> Result<Why, QueueError> {
        let before = self.before(view, lane).await?;
        let slots: usize = workers
            .iter()
            .filter(|worker| worker.queues.iter().any(|name| name == self.name()))
            .map(|worker| worker.concurrency)
            .sum();
        let running = self.counts().await?.running;
        Ok(match before {
            Some(0) if usize::try_from(running).is_ok_and(|running| running < slots) => {
                Why::new("next", "it is next, and a worker is free; it starts in a moment", "")
            }
            Some(0) => Why::new("next", format!("it is next; all {slots} slots are taken"), ""),
            Some(before) => {
                let text = format!(
                    "{before} job(s) of its lane stand before it, and {running} run in {slots} slots"
                );
                Why::new("behind", text, "more workers or a higher concurrency would help")
            }
            None => {
                let text = format!("more than {LOOK_INTO} jobs of its lane stand before it; {running} run");
                Why::new("behind", text, "more workers or a higher concurrency would help")
            }
        })
    }

    /// How many entries of its lane stand before a job; none if they are too many to count.
    async fn before(&self, view: &JobView, lane: &str) -> Result<Option<u64>, QueueError> {
        let key = self.keys().lane(lane);
        let walk = if lane.contains('~') { "ZRANGE" } else { "LRANGE" };
        let mut first = 0;
        while first < LOOK_INTO {
            let mut command = redis::cmd(walk);
            command.arg(&key).arg(first).arg(first + 999);
            let entries: Vec<String> = self.run("look into a lane", &command).await?;
            let found = entries.iter().position(|entry| {
                entry.get(9..).is_some_and(|id| id.split(' ').next() == Some(view.id.as_str()))
            });
            if let Some(place) = found {
                return Ok(Some(first + place as u64));
            }
            if entries.len() < 1_000 {
                // It moved on while we looked.
                return Ok(Some(0));
            }
            first += 1_000;
        }
        Ok(None)
    }
}

fn ended(view: &JobView) -> Why {
    let ending = view.outcome.as_ref().map(|outcome| format!("{:?}", outcome.ending).to_lowercase());
    let reason = view.outcome.as_ref().and_then(|outcome| outcome.reason.clone()).unwrap_or_default();
    let text = format!("it has ended: {} {reason}", ending.unwrap_or_else(|| "done".to_owned()));
    let help = if view.state == State::Dead { "`brasa dead retry` starts it again" } else { "" };
    Why::new("ended", text.trim_end(), help)
}

fn delayed(view: &JobView) -> Why {
    let last = view.trail.last().map(|line| line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest));
    let why = match last {
        Some(last) => format!("it is tried again later; last: attempt {last}"),
        None if view.attempt > 0 => "it asked to come back later".to_owned(),
        None => "it was enqueued for later".to_owned(),
    };
    Why::new("delayed", why, "`brasa jobs retry` starts it now")
}

/// What a limit says where it is reached.
fn reached(limit: &Limit, running: u32, idle_ms: f64, now: i64) -> Option<String> {
    let what = match &limit.scope {
        LimitScope::Queue => "the queue".to_owned(),
        LimitScope::Kind(kind) => format!("the kind `{kind}`"),
        LimitScope::Share => "its share key".to_owned(),
    };
    if limit.at_once > 0 && running >= limit.at_once {
        return Some(format!("{what} is at its limit: {running} of {} run", limit.at_once));
    }
    let (starts, period) = limit.rate?;
    let interval_ms = period.as_secs_f64() * 1_000.0 / f64::from(starts.max(1));
    #[expect(clippy::cast_precision_loss, reason = "an instant in ms")]
    let free_in_ms = idle_ms - (f64::from(starts) - 1.0) * interval_ms - now as f64;
    (free_in_ms > 0.0).then(|| {
        format!("{what} is at its rate of {starts} in {period:?}; the next may start in {free_in_ms:.0} ms")
    })
}

/// A text that a pattern takes as it is.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if "*?[]\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect()
}
