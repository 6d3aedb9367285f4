//! Kinds of job whose handlers do what a test wants to see handled.

use std::time::Duration;

use brasa_jobs::{Catalog, Job, JobContext, JobError, JobResult, Policy, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::World;

/// The kinds of this module.
pub fn kinds() -> Catalog {
    Catalog::default()
        .with::<Echo>()
        .with::<Gate>()
        .with::<Fail>()
        .with::<Panic>()
        .with::<Block>()
        .with::<Second>()
        .with::<Sentinel>()
}

/// Returns its arguments, with what the handler was told about itself.
#[derive(Debug, Deserialize)]
pub struct Echo {
    #[serde(flatten)]
    args: serde_json::Map<String, Value>,
}

impl Job for Echo {
    const KIND: &'static str = "test.echo";
    const ABOUT: &'static str = "Returns what it was given";
    const POLICY: Policy = Policy::new();
    const ALIASES: &'static [&'static str] = &["test.parrot"];

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        Ok(json!({ "args": self.args, "attempt": ctx.job.attempt, "fence": ctx.job.fence }))
    }
}

/// The arguments of a [`Gate`] of this world.
pub fn at_the_gate(world: &World) -> Value {
    json!({ "gate": gate(world) })
}

/// The same for a job that stops by itself when it is told to.
pub fn obedient_at_the_gate(world: &World) -> Value {
    json!({ "gate": gate(world), "obeys": true })
}

/// Lets all jobs through that are, or will be, at the gate of this world.
///
/// # Panics
/// Redis does not answer.
pub async fn open_the_gate(world: &World) {
    world.redis::<()>(redis::cmd("SET").arg(gate(world)).arg("open")).await;
}

/// Closes it again.
///
/// # Panics
/// Redis does not answer.
pub async fn close_the_gate(world: &World) {
    world.redis::<()>(redis::cmd("DEL").arg(gate(world))).await;
}

/// How many jobs are at the gate of this world.
///
/// # Panics
/// Redis does not answer.
pub async fn at_the_gate_now(world: &World) -> i64 {
    let inside: Option<i64> = world.redis(redis::cmd("GET").arg(format!("{}:inside", gate(world)))).await;
    inside.unwrap_or(0)
}

/// The most jobs that ever were at the gate of this world at once.
///
/// # Panics
/// There were none.
pub async fn most_at_the_gate(world: &World) -> i64 {
    world.redis(redis::cmd("ZSCORE").arg(format!("{}:most", gate(world))).arg("most")).await
}

fn gate(world: &World) -> String {
    format!("{}:gate", world.prefix)
}

/// Runs until the Redis key `gate` exists. Counts itself in `gate:inside` while it runs, and remembers the
/// most that ever ran at once in `gate:most`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    gate: String,
    /// Whether it stops by itself when it is told to.
    #[serde(default)]
    obeys: bool,
}

impl Job for Gate {
    const KIND: &'static str = "test.gate";
    const ABOUT: &'static str = "Waits until it is let through";
    const POLICY: Policy = Policy::new();

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let cache = &ctx.reach.cache;
        let (inside, most) = (format!("{}:inside", self.gate), format!("{}:most", self.gate));
        let count: i64 = cache.run("enter", redis::cmd("INCR").arg(&inside)).await?;
        cache.run::<()>("remember", redis::cmd("ZADD").arg(&most).arg("GT").arg(count).arg("most")).await?;
        loop {
            let open: bool = cache.run("look", redis::cmd("EXISTS").arg(&self.gate)).await?;
            if open || (self.obeys && ctx.stop.is_cancelled()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cache.run::<()>("leave", redis::cmd("DECR").arg(&inside)).await?;
        ctx.go_on()?;
        Ok(json!({ "attempt": ctx.job.attempt }))
    }
}

/// Fails its first `times` runs in the way that it is told to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    how: String,
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    times: Option<u64>,
}

impl Job for Fail {
    const KIND: &'static str = "test.fail";
    const ABOUT: &'static str = "Fails";
    const POLICY: Policy =
        Policy::new().attempts(3).backoff(Duration::from_millis(20), Duration::from_millis(40));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let runs = format!("{}:runs", ctx.job.id);
        let run: u64 = ctx.reach.cache.run("count runs", redis::cmd("INCR").arg(&runs)).await?;
        if self.times.is_some_and(|times| run > times) {
            return Ok(json!({ "attempt": ctx.job.attempt, "run": run }));
        }
        let pause = Duration::from_millis(self.ms);
        let verdict = match self.how.as_str() {
            "retry-in" => Verdict::RetryIn(pause),
            "snooze" => Verdict::Snooze(pause),
            "bury" => Verdict::Bury,
            "discard" => Verdict::Discard,
            _ => Verdict::Retry,
        };
        Err(JobError::new(verdict, format!("it was told to {} in run {run}", self.how)))
    }
}

/// Panics in its first `times` attempts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panic {
    times: u32,
}

impl Job for Panic {
    const KIND: &'static str = "test.panic";
    const ABOUT: &'static str = "Panics";
    const POLICY: Policy =
        Policy::new().attempts(3).backoff(Duration::from_millis(20), Duration::from_millis(40));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        assert!(ctx.job.attempt > self.times, "the roof is on fire");
        Ok(json!({ "attempt": ctx.job.attempt }))
    }
}

/// Blocks the thread that it runs on, as careless code does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    ms: u64,
}

impl Job for Block {
    const KIND: &'static str = "test.block";
    const ABOUT: &'static str = "Blocks its thread";
    const POLICY: Policy = Policy::new();

    #[expect(clippy::disallowed_methods, reason = "that is what is tested")]
    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        std::thread::sleep(Duration::from_millis(self.ms));
        Ok(json!({ "attempt": ctx.job.attempt }))
    }
}

/// A kind whose payload is in its second version.
#[derive(Debug, Deserialize)]
pub struct Second {}

impl Job for Second {
    const KIND: &'static str = "test.second";
    const ABOUT: &'static str = "Has a payload in its second version";
    const POLICY: Policy = Policy::new();
    const VERSION: u32 = 2;

    async fn run(&self, _: &JobContext) -> JobResult<Value> {
        Ok(Value::Null)
    }
}

/// Runs until it is told to stop, and then writes the Redis key `tells`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentinel {
    tells: String,
}

impl Job for Sentinel {
    const KIND: &'static str = "test.sentinel";
    const ABOUT: &'static str = "Tells when it is told to stop";
    const POLICY: Policy = Policy::new();

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        ctx.stop.cancelled().await;
        ctx.reach.cache.run::<()>("tell", redis::cmd("SET").arg(&self.tells).arg("told")).await?;
        ctx.go_on()?;
        Ok(Value::Null)
    }
}
