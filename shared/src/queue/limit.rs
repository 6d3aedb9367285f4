//! How many jobs may run at once, and how often one may start, in the whole fleet.

use std::time::Duration;

/// What a limit is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitScope {
    /// The queue.
    Queue,
    /// Jobs of one kind in the queue.
    Kind(String),
    /// Jobs with the same share key in the queue.
    Share,
}

/// A limit on what workers are handed. Jobs that it keeps back wait; they burn no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What it is about.
    pub scope: LimitScope,
    /// The most that run at once; 0 is no limit.
    pub at_once: u32,
    /// The most that start in a period, and the period: as many may start at once after a rest.
    pub rate: Option<(u32, Duration)>,
}

impl Limit {
    /// The four words that `lua/claim.lua` takes.
    pub(crate) fn words(&self) -> (String, u32, f64, u32) {
        let field = match &self.scope {
            LimitScope::Queue => "q".to_owned(),
            LimitScope::Kind(kind) => format!("k {kind}"),
            LimitScope::Share => "g".to_owned(),
        };
        let (starts, interval_ms) = match self.rate {
            Some((starts, period)) if starts > 0 => {
                (starts, period.as_secs_f64() * 1_000.0 / f64::from(starts))
            }
            _ => (0, 0.0),
        };
        (field, self.at_once, interval_ms, starts)
    }
}
