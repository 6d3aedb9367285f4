//! How many batches may run at once: additive increase, multiplicative decrease (Chiu and Jain, 1989).

use super::Brake;

/// The least share of the time that a loader may run, so that none stands still for ever.
pub(super) const SHARE_MIN: f64 = 0.01;

/// What a good batch adds where less than one batch may run at once.
const STEP: f64 = 0.1;

/// Three thirds are less than one.
const ROUNDING: f64 = 1e-9;

/// The window, a real number. From one on, the batches that may run at once are its whole part; below, one may run,
/// for this share of the time.
#[derive(Debug)]
pub(super) struct Window {
    size: f64,
    round: u64,
    halvings: u64,
    why: Option<Brake>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { size: 1.0, round: 0, halvings: 0, why: None }
    }

    pub(super) fn size(&self) -> f64 {
        self.size
    }

    /// How many batches may run at once: at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to what fits into u32"
    )]
    pub(super) fn places(&self) -> usize {
        (self.size.max(1.0) + ROUNDING) as usize
    }

    /// What a batch that begins now belongs to. Batches of a round that is over say nothing about the window: it has
    /// become smaller since they began.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    pub(super) fn halvings(&self) -> u64 {
        self.halvings
    }

    pub(super) fn why(&self) -> Option<Brake> {
        self.why
    }

    /// A batch of a round went well. As many as run at once make the window larger by one.
    pub(super) fn grow(&mut self, round: u64, ceiling: f64) {
        if round == self.round && self.size < ceiling {
            let step = if self.size < 1.0 { STEP } else { 1.0 / (self.size + ROUNDING).floor() };
            self.size = (self.size + step).min(ceiling);
        }
    }

    /// A batch of a round did harm, or came to some. The first of a round halves the window.
    pub(super) fn halve(&mut self, round: u64, why: Brake) {
        if round == self.round {
            self.size = (self.size / 2.0).max(SHARE_MIN);
            self.halvings += 1;
            self.end_round(why);
        }
    }

    /// Makes the window no larger than this.
    pub(super) fn lower(&mut self, ceiling: f64, why: Brake) {
        if self.size > ceiling {
            self.size = ceiling;
            self.end_round(why);
        }
    }

    fn end_round(&mut self, why: Brake) {
        self.round += 1;
        self.why = Some(why);
    }
}
