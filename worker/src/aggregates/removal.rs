//! When a keeper tries to take old versions away: soon where somebody was at them, and less and less often.

use std::time::Duration;

use tokio::time::Instant;

use super::TIDY_EVERY;

/// How soon it tries again to take an old version away where somebody was at it, and then twice as late each time: whoever
/// uses the source meanwhile waits for each try.
const TIDY_AGAIN: Duration = Duration::from_secs(5);

/// When old versions are taken away.
#[derive(Debug)]
pub(super) struct Removal {
    /// When to try next, if not at once.
    due: Option<Instant>,
    /// After how long again, where somebody is at it.
    again: Duration,
}

impl Default for Removal {
    fn default() -> Self {
        Self { due: None, again: TIDY_AGAIN }
    }
}

impl Removal {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// What somebody is at may be free soon; nothing else is better for being tried often.
    pub(super) fn tried(&mut self, is_busy: bool, now: Instant) {
        let (pause, again) = if is_busy { (self.again, self.again * 2) } else { (TIDY_EVERY, TIDY_AGAIN) };
        *self = Self { due: Some(now + pause), again: again.min(TIDY_EVERY) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_is_at_is_tried_soon_and_then_less_and_less_often() {
        let (mut removal, now) = (Removal::default(), Instant::now());
        let mut pause = |is_busy| {
            removal.tried(is_busy, now);
            (removal.due.unwrap() - now).as_secs()
        };
        assert_eq!([true; 6].map(&mut pause), [5, 10, 20, 40, 60, 60]);
        assert_eq!([false, false, true, true].map(&mut pause), [60, 60, 5, 10]);
    }
}
