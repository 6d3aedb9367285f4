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
    /// How many more may start now under it, where so many run and its rate is idle again from `idle_ms` on, both ms since
    /// 1970; none where that is not bounded. As `lua/parts/limit.lua` has it.
    pub(crate) fn room(&self, running: u32, idle_ms: f64, now_ms: i64) -> Option<u64> {
        let at_once = (self.at_once > 0).then(|| u64::from(self.at_once.saturating_sub(running)));
        let by_rate = self.rate.filter(|(starts, _)| *starts > 0).map(|(starts, period)| {
            let interval_ms = period.as_secs_f64() * 1_000.0 / f64::from(starts);
            #[expect(clippy::cast_precision_loss, reason = "an instant in ms")]
            let busy_ms = (idle_ms - now_ms as f64).max(0.0);
            let free = (f64::from(starts) - busy_ms / interval_ms + 0.000_001).floor().max(0.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to u32::MAX")]
            let free = free as u64;
            free
        });
        at_once.into_iter().chain(by_rate).min()
    }

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
