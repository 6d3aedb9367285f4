//! `[queues.NAME]`: the share of each queue, and what is kept of its jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::complaint::{Complaint, clip};
use super::problem::Origin;
use super::section::Section;
use super::suggest::nearest_or_all;

/// The queue that always exists, and that jobs go to which name none.
pub const DEFAULT_QUEUE: &str = "default";

const WEIGHT_MAX: u32 = 1_000;

/// The highest limit on what runs at once or starts in a time.
const LIMIT_MAX: u32 = 1_000_000;

/// How many jobs may be kept of one outcome.
const KEEP_COUNT_MAX: u32 = 100_000_000;

/// One of `[queues.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Where the queue was written.
    pub origin: Origin,
    /// How often the queue is served, relative to the others; 1 by default.
    pub weight: u32,
    /// The most open jobs that it holds; 0, the default, is no limit.
    pub max_length: u64,
    /// The most bytes that it holds, ended jobs included; 0, the default, is no limit.
    pub max_bytes: u64,
    /// What a step of priority is worth waiting; 1 min by default.
    pub ageing: Duration,
    /// What may run at once and how often something may start, in the whole fleet.
    pub limits: Limits,
    /// What is kept of jobs that are done; the last 1,000 for 1 h by default.
    pub keep_done: Keep,
    /// What is kept of jobs that were given up; the last 10,000 for 30 days by default.
    pub keep_dead: Keep,
}

/// What of a queue may run at once and how often something of it may start, in the whole fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of all its jobs.
    pub queue: Limit,
    /// Of the jobs of a kind.
    pub kinds: BTreeMap<String, Limit>,
    /// Of the jobs with the same share key.
    pub per_share: Limit,
}

/// A bound on what runs at once, and on what starts in a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// The most that run at once; 0 is no limit.
    pub concurrency: u32,
    /// The most that start in a time, and the time.
    pub rate: Option<(u32, Duration)>,
}

impl Limits {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            queue: Limit::read(section),
            kinds: section.named("kinds", |section| Some(Limit::read(section))),
            per_share: section.table("per_share", Limit::read),
        }
    }
}

impl Limit {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            concurrency: section.whole("concurrency", 0..=LIMIT_MAX).unwrap_or(0),
            rate: read_rate(section, "starts", "how many may start"),
        }
    }
}

/// So many of something in a time, from `rate`; `what` says it in words.
pub(super) fn read_rate(
    section: &mut Section<'_>,
    unit: &'static str,
    what: &str,
) -> Option<(u32, Duration)> {
    let example = format!("{unit} = 100, per = \"1m\"");
    section.optional_table("rate", &example, |section| {
        let number = section.whole(unit, 1..=LIMIT_MAX);
        let per = section.duration("per", Duration::from_millis(1));
        if number.is_none() && !section.has(unit) {
            section.report_missing(
                format!("`{unit}` is missing"),
                format!("write {what}: rate = {{ {example} }}"),
            );
        }
        if per.is_none() && !section.has("per") {
            section
                .report_missing("`per` is missing", format!("write in which time: rate = {{ {example} }}"));
        }
        Some((number?, per?))
    })
}

/// How many finished jobs are kept, and for how long; whichever ends first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How many.
    pub count: u64,
    /// For how long.
    pub age: Duration,
    /// How many bytes of them; 0 is no limit.
    pub bytes: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            origin: Origin::default(),
            weight: 1,
            max_length: 0,
            max_bytes: 0,
            ageing: Duration::from_mins(1),
            limits: Limits::default(),
            keep_done: Keep { count: 1_000, age: Duration::from_hours(1), bytes: 0 },
            keep_dead: Keep { count: 10_000, age: Duration::from_hours(30 * 24), bytes: 256 << 20 },
        }
    }
}

/// Reads the family; the default queue is there also where nothing is written.
pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<String, Queue> {
    let mut queues = root.named("queues", |section| Some(Queue::read(section)));
    queues.entry(DEFAULT_QUEUE.to_owned()).or_default();
    queues
}

/// What the family is where nothing is written.
pub(super) fn defaults() -> BTreeMap<String, Queue> {
    BTreeMap::from([(DEFAULT_QUEUE.to_owned(), Queue::default())])
}

impl Queue {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            origin: section.origin(),
            weight: section.whole("weight", 1..=WEIGHT_MAX).unwrap_or(default.weight),
            max_length: section.whole("max_length", 0..=KEEP_COUNT_MAX).unwrap_or(default.max_length),
            max_bytes: section.size("max_bytes").unwrap_or(default.max_bytes),
            ageing: section.duration("ageing", Duration::ZERO).unwrap_or(default.ageing),
            limits: Limits::read(section),
            keep_done: section.table("keep_done", |section| default.keep_done.read(section)),
            keep_dead: section.table("keep_dead", |section| default.keep_dead.read(section)),
        }
    }
}

impl Keep {
    /// Reads what is written; the rest is as in `self`.
    fn read(self, section: &mut Section<'_>) -> Self {
        Self {
            count: section.whole("count", 0..=KEEP_COUNT_MAX).unwrap_or(self.count),
            age: section.duration("age", Duration::ZERO).unwrap_or(self.age),
            bytes: section.size("bytes").unwrap_or(self.bytes),
        }
    }
}

/// A name of one of `[queues]`; of any, where a part of the file could not be read.
pub(super) fn known_queue(
    name: &str,
    known: &BTreeMap<String, Queue>,
    is_whole: bool,
) -> Result<String, Complaint> {
    if known.contains_key(name) || !is_whole {
        return Ok(name.to_owned());
    }
    let help = nearest_or_all(name, "add it to [queues], or name one of", known.keys().map(String::as_str));
    Err(Complaint::new(format!("there is no queue `{}`", clip(name)), help))
}
