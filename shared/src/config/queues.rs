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

/// How many jobs may be kept of one outcome.
const KEEP_COUNT_MAX: u32 = 100_000_000;

/// One of `[queues.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Where the queue was written.
    pub origin: Origin,
    /// How often the queue is served, relative to the others; 1 by default.
    pub weight: u32,
    /// What is kept of jobs that are done; the last 1,000 for 1 h by default.
    pub keep_done: Keep,
    /// What is kept of jobs that were given up; the last 10,000 for 30 days by default.
    pub keep_dead: Keep,
}

/// How many finished jobs are kept, and for how long; whichever ends first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How many.
    pub count: u64,
    /// For how long.
    pub age: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            origin: Origin::default(),
            weight: 1,
            keep_done: Keep { count: 1_000, age: Duration::from_hours(1) },
            keep_dead: Keep { count: 10_000, age: Duration::from_hours(30 * 24) },
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
