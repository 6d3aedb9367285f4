//! Whether a batch took longer than batches like it take when nobody is in the way.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How much longer than the least a batch may take.
const SLOW_TIMES: f64 = 1.5;

/// And this at least: a difference below is noise.
const SLOW_BY: Duration = Duration::from_millis(2);

/// The least is that of the last one to two of these: a table that has grown is slow for five minutes at most.
const HALF: Duration = Duration::from_secs(150);

/// The least that batches took lately, by warmer and by the power of two of their keys.
///
/// Only batches of alike length are compared. What a key takes in a batch of a thousand says nothing about a batch of
/// one, which is mostly the way there and back.
#[derive(Debug, Default)]
pub(super) struct Latencies(HashMap<String, HashMap<u32, Recent>>);

#[derive(Debug)]
struct Recent {
    began: Instant,
    now: Option<Least>,
    before: Option<Least>,
}

/// The least that a batch took, and the least for each of its keys, in seconds.
#[derive(Debug, Clone, Copy)]
struct Least {
    batch: f64,
    key: f64,
}

impl Latencies {
    /// Whether a batch took as long as was to be expected. Remembers it.
    pub(super) fn holds(&mut self, warmer: &str, keys: usize, took: Duration, now: Instant) -> bool {
        let keys = keys.max(1);
        if !self.0.contains_key(warmer) {
            self.0.insert(warmer.to_owned(), HashMap::new());
        }
        let Some(classes) = self.0.get_mut(warmer) else { return true };
        let recent =
            classes.entry(keys.ilog2()).or_insert_with(|| Recent { began: now, now: None, before: None });
        recent.forget(now);
        let keys = f64::from(u32::try_from(keys).unwrap_or(u32::MAX));
        let this = Least { batch: took.as_secs_f64(), key: took.as_secs_f64() / keys };
        let holds = recent.least().is_none_or(|least| {
            let expected = least.batch.max(least.key * keys);
            this.batch <= (expected * SLOW_TIMES).max(expected + SLOW_BY.as_secs_f64())
        });
        recent.now = Some(recent.now.map_or(this, |least| least.and(this)));
        holds
    }
}

impl Recent {
    fn forget(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age >= HALF {
            self.before = if age < HALF * 2 { self.now } else { None };
            (self.now, self.began) = (None, now);
        }
    }

    fn least(&self) -> Option<Least> {
        match (self.now, self.before) {
            (Some(now), Some(before)) => Some(now.and(before)),
            (now, before) => now.or(before),
        }
    }
}

impl Least {
    fn and(self, other: Self) -> Self {
        Self { batch: self.batch.min(other.batch), key: self.key.min(other.key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_batch_may_take_half_as_long_again_as_the_least() {
        let (mut seen, now) = (Latencies::default(), Instant::now());
        for (took, holds) in [(50, true), (40, true), (60, true), (61, false), (200, false), (60, true)] {
            assert_eq!(seen.holds("flights", 100, ms(took), now), holds, "{took} ms");
        }
        // Warmers have nothing to do with one another.
        assert!(seen.holds("airports", 100, ms(200), now));
    }

    #[test]
    fn two_milliseconds_are_noise() {
        let (mut seen, now) = (Latencies::default(), Instant::now());
        for (took, holds) in [(1, true), (3, true), (4, false)] {
            assert_eq!(seen.holds("flights", 1, ms(took), now), holds, "{took} ms");
        }
    }

    #[test]
    fn batches_of_another_length_are_judged_by_their_own() {
        let (mut seen, now) = (Latencies::default(), Instant::now());
        assert!(seen.holds("flights", 1_000, ms(50), now));
        // One key takes the way there and back, which is four hundred times its share of the large batch.
        assert!(seen.holds("flights", 1, ms(20), now));
        assert!(!seen.holds("flights", 1, ms(40), now));
        // Between those of alike length it is keys that count, or the fixed cost where that is more.
        assert!(seen.holds("flights", 600, ms(50), now));
        assert!(seen.holds("flights", 512, ms(20), now));
        assert!(seen.holds("flights", 1_000, ms(58), now));
        assert!(!seen.holds("flights", 1_000, ms(62), now));
    }

    #[test]
    fn a_table_that_grew_is_slow_for_five_minutes_at_most() {
        let (mut seen, start) = (Latencies::default(), Instant::now());
        assert!(seen.holds("flights", 100, ms(10), start));
        let grown_after =
            (1..400).find(|second| seen.holds("flights", 100, ms(100), start + Duration::from_secs(*second)));
        assert_eq!(grown_after, Some(300));
        // Nobody looked for a long time: there is nothing to compare with.
        assert!(seen.holds("flights", 100, ms(1_000), start + Duration::from_secs(4_000)));
    }
}
