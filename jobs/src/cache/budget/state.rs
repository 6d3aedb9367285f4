//! What a budget knows, and what it makes of the end of a batch.

use std::time::Duration;

use tokio::time::Instant;

use super::busy::{Busy, LOOK_BACK};
use super::latency::Latencies;
use super::terms::{Brake, BudgetState, Caps, Signs};
use super::window::{SHARE_MIN, Window};

/// To wait longer than this for a connection of the pool is to take them from somebody.
const POOL_WAIT_MAX: Duration = Duration::from_millis(100);

/// The longest pause behind a batch. One of more than three seconds may take more than the least share for it.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// For how long it is believed that others are active, or that there are any, if no batch says so again.
const OTHERS_BELIEVED: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct State {
    window: Window,
    latencies: Latencies,
    busy: Busy,
    /// When each batch began.
    running: Vec<Instant>,
    pub(super) waiting: usize,
    paused_until: Instant,
    keys_until: Instant,
    others_until: Option<Instant>,
    company_until: Option<Instant>,
}

/// What the first in line waits for.
pub(super) enum Wait {
    Until(Instant),
    ForAnEnd,
}

/// How a batch ended.
pub(super) enum End<'r> {
    /// As its caller says.
    Told(Report<'r>),
    /// By its own fault, after so long.
    Faulty(Duration),
    /// Nobody says how.
    Lost,
    /// There was none.
    Unused,
}

/// What a caller says about its batch.
pub(super) struct Report<'r> {
    pub(super) warmer: &'r str,
    pub(super) keys: usize,
    pub(super) took: Duration,
    pub(super) signs: &'r Signs,
}

impl State {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            window: Window::new(),
            latencies: Latencies::default(),
            busy: Busy::new(now),
            running: Vec::new(),
            waiting: 0,
            paused_until: now,
            keys_until: now,
            others_until: None,
            company_until: None,
        }
    }

    pub(super) fn sum_up(&mut self, now: Instant) -> BudgetState {
        BudgetState {
            window: self.window.size(),
            running: self.running.len(),
            waiting: self.waiting,
            busy_share: self.busy.spent(&self.running, now).div_duration_f64(LOOK_BACK),
            halvings: self.window.halvings(),
            why: self.window.why(),
        }
    }

    /// Lets a batch begin, if one may: when that was, and in which round.
    pub(super) fn admit(&mut self, caps: &Caps, now: Instant) -> Result<(Instant, u64), Wait> {
        if self.running.len() >= self.window.places() {
            return Err(Wait::ForAnEnd);
        }
        let ready = self.paused_until.max(self.keys_until);
        if ready > now {
            return Err(Wait::Until(ready));
        }
        if let Some(share) = caps.share {
            let limit = LOOK_BACK.mul_f64(share_of(share));
            if self.busy.spent(&self.running, now) > limit {
                let falls = self.busy.falls_to(limit, now);
                return Err(if self.running.is_empty() { Wait::Until(falls) } else { Wait::ForAnEnd });
            }
        }
        self.running.push(now);
        Ok((now, self.window.round()))
    }

    /// Lets a batch begin that cannot wait, if fewer run than ever may.
    pub(super) fn admit_soon(&mut self, caps: &Caps, now: Instant) -> Option<(Instant, u64)> {
        if self.running.len() >= caps.most() {
            return None;
        }
        self.running.push(now);
        Some((now, self.window.round()))
    }

    /// Gives the place of a batch back, and learns from how it went.
    pub(super) fn end(&mut self, caps: &Caps, began: Instant, round: u64, end: &End<'_>, now: Instant) {
        self.judge(caps, round, end, now);
        if let Some(place) = self.running.iter().position(|other| *other == began) {
            self.running.swap_remove(place);
        }
        self.account(caps, began, end, now);
    }

    /// What the end of a batch says about the window.
    fn judge(&mut self, caps: &Caps, round: u64, end: &End<'_>, now: Instant) {
        let brake = match end {
            End::Unused | End::Faulty(_) => return,
            End::Lost => Some(Brake::Failed),
            End::Told(report) => self.brake(caps, report, now),
        };
        if let End::Told(Report { signs: Signs { others_active: Some(others), .. }, .. }) = end {
            // Those that were seen at one instant are mostly not at the next.
            if *others > caps.others {
                self.others_until = Some(now + OTHERS_BELIEVED);
            }
        }
        let is_busy = self.others_until.is_some_and(|until| now < until);
        let batches = f64::from(caps.batches.max(1));
        let ceiling = if is_busy { share_of(caps.busy).min(batches) } else { batches };
        match brake {
            Some(brake) => self.window.halve(round, brake),
            // It does not grow while nobody fills it; below one, a single batch does.
            None if self.running.len() + self.waiting >= self.window.places() => {
                self.window.grow(round, ceiling);
            }
            None => {}
        }
        self.window.lower(ceiling, Brake::Others);
    }

    /// What a batch took, and when there is room for another.
    fn account(&mut self, caps: &Caps, began: Instant, end: &End<'_>, now: Instant) {
        let held = now.saturating_duration_since(began);
        let (took, keys) = match end {
            End::Unused => return,
            End::Lost => (held, 0),
            End::Faulty(took) => ((*took).min(held), 0),
            End::Told(report) => (report.took.min(held), report.keys),
        };
        self.busy.add(took, now);
        if let Some(rate) = caps.keys_per_second {
            let seconds = Duration::from_secs(u32::try_from(keys).unwrap_or(u32::MAX).into());
            self.keys_until = self.keys_until.max(began) + seconds / rate.max(1);
        }
        if self.window.size() < 1.0 {
            // What was held on to beyond what the database took is a part of the pause.
            let pause = took.div_f64(self.window.size()).saturating_sub(held);
            self.paused_until = self.paused_until.max(now + pause.min(PAUSE_MAX));
        }
    }

    /// What speaks against a batch. One that failed says nothing about how long batches take.
    fn brake(&mut self, caps: &Caps, report: &Report<'_>, now: Instant) -> Option<Brake> {
        let signs = report.signs;
        if signs.failed {
            return Some(Brake::Failed);
        }
        if signs.others_active != Some(0) {
            self.company_until = Some(now + OTHERS_BELIEVED);
        }
        // Loaders that have the database to themselves are in nobody's way but one another's.
        let has_company = self.company_until.is_some_and(|until| now < until);
        let holds = self.latencies.holds(report.warmer, report.keys, report.took, now);
        if signs.pool_waited > POOL_WAIT_MAX {
            Some(Brake::PoolWait)
        } else if signs.replica_lag.is_some_and(|lag| lag > caps.replica_lag) {
            Some(Brake::ReplicaLag)
        } else {
            (!holds && has_company).then_some(Brake::Slow)
        }
    }
}

/// A share as configured, in the bounds within which there is a next batch.
fn share_of(configured: f64) -> f64 {
    // What is not a number becomes the least.
    configured.max(SHARE_MIN).min(f64::from(u16::MAX))
}
