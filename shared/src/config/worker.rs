//! `[worker]`: how many jobs a process runs, and how long it holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::queues::{Queue, known_queue};
use super::section::Section;

/// How many jobs one process may run at a time.
const CONCURRENCY_MAX: u32 = 10_000;

/// A shorter lease could not be renewed in time over a slow network.
const LEASE_MIN: Duration = Duration::from_secs(1);

/// After how many crashes a job may be given up at the latest.
const CRASHES_MAX: u32 = 100;

/// Which queue is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By lot, weighted.
    Weighted,
    /// As `queues` lists them.
    Strict,
}

/// The section `[worker]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// How many jobs run at a time; 50 by default.
    pub concurrency: usize,
    /// How long running jobs may take to end once the process is told to stop; 25 s by default.
    pub shutdown_grace: Duration,
    /// How long a claimed job belongs to its worker without being renewed; 30 s by default.
    pub lease: Duration,
    /// After how many crashes of its worker a job is put into the dead letter; 3 by default.
    pub crashes_max: u32,
    /// The queues to serve; none means all of `[queues]`, which is the default.
    pub queues: Option<Vec<String>>,
    /// Which queue is served first; by weight by default.
    pub order: Order,
    /// Whether jobs that were lost with more than one worker run apart, in a process of their own; so by default.
    pub isolate: bool,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            concurrency: 50,
            shutdown_grace: Duration::from_secs(25),
            lease: Duration::from_secs(30),
            crashes_max: 3,
            queues: None,
            order: Order::Weighted,
            isolate: true,
        }
    }
}

impl Worker {
    pub(super) fn read(section: &mut Section<'_>, known: &BTreeMap<String, Queue>) -> Self {
        let default = Self::default();
        Self {
            concurrency: section.whole("concurrency", 1..=CONCURRENCY_MAX).unwrap_or(default.concurrency),
            shutdown_grace: section
                .duration("shutdown_grace", Duration::ZERO)
                .unwrap_or(default.shutdown_grace),
            lease: section.duration("lease", LEASE_MIN).unwrap_or(default.lease),
            crashes_max: section.whole("crashes_max", 1..=CRASHES_MAX).unwrap_or(default.crashes_max),
            queues: queues(section, known),
            order: order(section).unwrap_or(default.order),
            isolate: section.flag("isolate").unwrap_or(default.isolate),
        }
    }
}

fn order(section: &mut Section<'_>) -> Option<Order> {
    let order = section.choice("order", &[("weighted", Order::Weighted), ("strict", Order::Strict)]);
    if order == Some(Order::Strict) && !section.has("queues") {
        let help = "list them in the order in which they come: queues = [\"critical\", \"default\"]";
        section.report("order", "strict order needs `queues`", help);
    }
    order
}

fn queues(section: &mut Section<'_>, known: &BTreeMap<String, Queue>) -> Option<Vec<String>> {
    let is_whole = section.reader().is_whole();
    let names = section.parsed_each("queues", |name| known_queue(name, known, is_whole))?;
    if names.is_empty() {
        section.report("queues", "no queue would be served", "name some, or leave it out to serve all");
    }
    let distinct: BTreeSet<_> = names.iter().collect();
    if distinct.len() < names.len() {
        section.report("queues", "a queue is named twice", "name each queue once");
    }
    Some(names)
}
