//! The kinds of the team whose workers the fault suite disturbs: one that writes down what it does, and those that
//! take their process down, each in its own way.

use std::hint::black_box;
use std::time::Duration;
use std::{env, process, thread};

use brasa_jobs::{Catalog, Job, JobContext, JobResult, Policy};
use serde::Deserialize;
use serde_json::Value;

use super::book;

/// Which generation of the team's build this is: `2` has a kind more, and a newer payload of another.
pub(super) const GENERATION: &str = "TEAM_GENERATION";

/// How much a [`Hog`] takes at a time.
const BITE: usize = 64 * 1024 * 1024;

/// Misfortune is tried again soon.
const SOON: Policy = Policy::new().backoff(Duration::from_millis(20), Duration::from_millis(100));

/// What a team's build knows.
pub fn catalog() -> Catalog {
    let catalog = brasa_jobs::catalog()
        .with::<Abort>()
        .with::<Overflow>()
        .with::<Hog>()
        .with::<Panic>()
        .with::<Block>()
        .with::<Note>();
    if env::var(GENERATION).is_ok_and(|generation| generation == "2") {
        catalog.with::<Fresh>().with::<Letter>()
    } else {
        catalog.with::<OldLetter>()
    }
}

/// Writes down that it began, works for a while, and writes down that it ended.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    #[serde(default)]
    ms: u64,
}

impl Job for Note {
    const KIND: &'static str = "team.note";
    const ABOUT: &'static str = "Writes down what it does";
    const POLICY: Policy = SOON;

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        if self.ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.ms)).await;
        }
        book::end(&ctx.job);
        Ok(Value::Null)
    }
}

/// Blocks the thread that it runs on, as careless code does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    ms: u64,
}

impl Job for Block {
    const KIND: &'static str = "team.block";
    const ABOUT: &'static str = "Blocks its thread";
    const POLICY: Policy = SOON;

    #[expect(clippy::disallowed_methods, reason = "that is what is tested")]
    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        thread::sleep(Duration::from_millis(self.ms));
        book::end(&ctx.job);
        Ok(Value::Null)
    }
}

/// Gives up, and its process with it.
#[derive(Debug, Deserialize)]
struct Abort {}

impl Job for Abort {
    const KIND: &'static str = "team.abort";
    const ABOUT: &'static str = "Aborts its process";
    const POLICY: Policy = SOON;

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        process::abort()
    }
}

/// Never comes back from calling itself.
#[derive(Debug, Deserialize)]
struct Overflow {}

impl Job for Overflow {
    const KIND: &'static str = "team.overflow";
    const ABOUT: &'static str = "Overflows the stack of its thread";
    const POLICY: Policy = SOON;

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        Ok(deeper(1).into())
    }
}

/// Needs its result after the call, so that no compiler makes a loop of it.
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    if black_box(true) { deeper(depth + 1).wrapping_add(room[0]) } else { depth }
}

/// Takes memory until there is no more: run its process within a limit.
#[derive(Debug, Deserialize)]
struct Hog {}

impl Job for Hog {
    const KIND: &'static str = "team.hog";
    const ABOUT: &'static str = "Takes all memory that it can get";
    const POLICY: Policy = SOON;

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        let mut taken = Vec::new();
        loop {
            taken.push(black_box(vec![0_u8; BITE]));
        }
    }
}

/// Panics, which is a failure like any other.
#[derive(Debug, Deserialize)]
struct Panic {}

impl Job for Panic {
    const KIND: &'static str = "team.panic";
    const ABOUT: &'static str = "Panics";
    const POLICY: Policy = SOON.attempts(3);

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        panic!("the roof is on fire")
    }
}

/// A kind that only the second generation has.
#[derive(Debug, Deserialize)]
struct Fresh {}

impl Job for Fresh {
    const KIND: &'static str = "team.fresh";
    const ABOUT: &'static str = "Is new";
    const POLICY: Policy = SOON;

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        book::end(&ctx.job);
        Ok(Value::Null)
    }
}

/// A kind as the first generation has it.
#[derive(Debug, Deserialize)]
struct OldLetter {}

impl Job for OldLetter {
    const KIND: &'static str = "team.letter";
    const ABOUT: &'static str = "Has a payload in its first version";
    const POLICY: Policy = SOON;

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        book::end(&ctx.job);
        Ok("first".into())
    }
}

/// The same in the second generation, which reads both.
#[derive(Debug, Deserialize)]
struct Letter {}

impl Job for Letter {
    const KIND: &'static str = "team.letter";
    const ABOUT: &'static str = "Has a payload in its second version";
    const POLICY: Policy = SOON;
    const VERSION: u32 = 2;

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        book::begin(&ctx.job);
        book::end(&ctx.job);
        Ok("second".into())
    }
}
