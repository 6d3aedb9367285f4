//! How much of the last ten seconds loaders spent in the database.

use std::time::Duration;

use tokio::time::Instant;

/// How far back is looked.
pub(super) const LOOK_BACK: Duration = Duration::from_secs(10);

/// In how many steps.
const STEPS: usize = 100;

/// How long a step is, in milliseconds.
const STEP_MS: u64 = 100;

/// The time spent by batches that have ended, by the step it was spent in: step `n` is at `n` modulo their number.
#[derive(Debug)]
pub(super) struct Busy {
    start: Instant,
    steps: [Duration; STEPS],
    newest: usize,
}

impl Busy {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, steps: [Duration::ZERO; STEPS], newest: 0 }
    }

    /// A batch was at it for so long, until now.
    pub(super) fn add(&mut self, took: Duration, now: Instant) {
        self.forget(now);
        let end = now.saturating_duration_since(self.start);
        let mut from = end.saturating_sub(took.min(LOOK_BACK));
        while from < end {
            let step = step_of(from);
            // What is older than the look back is where the newest step is now.
            let step_end = step_begin(step + 1).min(end);
            if step + STEPS > self.newest {
                self.steps[step % STEPS] += step_end.saturating_sub(from);
            }
            from = step_end;
        }
    }

    /// The time spent in the look back, including by batches that still run.
    pub(super) fn spent(&mut self, running: &[Instant], now: Instant) -> Duration {
        self.forget(now);
        let ended: Duration = self.steps.iter().sum();
        let running = running.iter().map(|began| now.saturating_duration_since(*began).min(LOOK_BACK));
        ended + running.sum::<Duration>()
    }

    /// When the time spent is no more than this, if nothing runs until then.
    pub(super) fn falls_to(&mut self, limit: Duration, now: Instant) -> Instant {
        let mut spent = self.spent(&[], now);
        let mut oldest = (self.newest + 1).saturating_sub(STEPS);
        while spent > limit && oldest <= self.newest {
            spent = spent.saturating_sub(self.steps[oldest % STEPS]);
            oldest += 1;
        }
        // The step before `oldest` is forgotten as the one begins that takes its place.
        self.start + step_begin((oldest + STEPS).saturating_sub(1))
    }

    fn forget(&mut self, now: Instant) {
        let newest = step_of(now.saturating_duration_since(self.start));
        for step in (self.newest + 1..=newest).take(STEPS) {
            self.steps[step % STEPS] = Duration::ZERO;
        }
        self.newest = self.newest.max(newest);
    }
}

fn step_of(since_start: Duration) -> usize {
    usize::try_from(since_start.as_millis() / u128::from(STEP_MS)).unwrap_or(usize::MAX - STEPS)
}

fn step_begin(step: usize) -> Duration {
    Duration::from_millis(u64::try_from(step).unwrap_or(u64::MAX).saturating_mul(STEP_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn time_is_forgotten_as_it_leaves_the_last_ten_seconds() {
        let start = Instant::now();
        let mut busy = Busy::new(start);
        busy.add(ms(350), start + ms(1_000));
        assert_eq!(busy.spent(&[], start + ms(1_000)), ms(350));
        assert_eq!(busy.spent(&[], start + ms(10_599)), ms(350));
        assert_eq!(busy.spent(&[], start + ms(10_600)), ms(300));
        assert_eq!(busy.spent(&[], start + ms(10_800)), ms(100));
        assert_eq!(busy.spent(&[], start + ms(10_900)), ms(0));
        assert_eq!(busy.spent(&[], start + ms(3_600_000)), ms(0));
    }

    #[test]
    fn batches_that_still_run_count() {
        let start = Instant::now();
        let mut busy = Busy::new(start);
        busy.add(ms(100), start + ms(500));
        assert_eq!(busy.spent(&[start + ms(500), start + ms(900)], start + ms(1_000)), ms(700));
        assert_eq!(busy.spent(&[start], start + ms(60_000)), LOOK_BACK);
    }

    #[test]
    fn it_is_known_when_time_spent_falls() {
        let start = Instant::now();
        let mut busy = Busy::new(start);
        busy.add(ms(2_000), start + ms(2_000));
        busy.add(ms(1_000), start + ms(4_000));
        let now = start + ms(4_000);
        for limit in [0, 50, 1_000, 1_001, 2_500, 2_999] {
            let at = busy.falls_to(ms(limit), now);
            assert!(at > now);
            let mut later = Busy { start, steps: busy.steps, newest: busy.newest };
            assert!(later.spent(&[], at - ms(1)) > ms(limit), "{limit}");
            assert!(later.spent(&[], at) <= ms(limit), "{limit}");
        }
    }

    #[test]
    fn a_batch_longer_than_the_look_back_fills_it() {
        let start = Instant::now();
        let mut busy = Busy::new(start);
        busy.add(ms(60_000), start + ms(60_050));
        let spent = busy.spent(&[], start + ms(60_050));
        assert!(spent >= ms(9_900) && spent <= LOOK_BACK, "{spent:?}");
    }
}
