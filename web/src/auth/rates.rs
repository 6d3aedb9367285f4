//! How many requests of a token are answered: a bucket for each, which fills up as time goes by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The buckets, by the names of tokens.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<String, Bucket>>);

#[derive(Debug)]
struct Bucket {
    /// What it was made for: another rate in the file is another bucket.
    rate: (u32, Duration),
    /// How many requests may come at once.
    left: f64,
    since: Instant,
}

impl Rates {
    /// Takes a request out of the bucket; or in how many seconds there will be one, where it is empty.
    pub(super) fn take(&self, name: &str, rate: (u32, Duration)) -> Result<(), u64> {
        self.take_at(name, rate, Instant::now())
    }

    fn take_at(&self, name: &str, rate: (u32, Duration), now: Instant) -> Result<(), u64> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Names are those of the configuration, so there are no more buckets than it has tokens.
        let bucket = buckets.entry(name.to_owned()).or_insert_with(|| Bucket::full(rate, now));
        if bucket.rate != rate {
            *bucket = Bucket::full(rate, now);
        }
        bucket.take(now)
    }
}

impl Bucket {
    fn full(rate: (u32, Duration), now: Instant) -> Self {
        Self { rate, left: f64::from(rate.0), since: now }
    }

    fn take(&mut self, now: Instant) -> Result<(), u64> {
        let (most, per) = (f64::from(self.rate.0), self.rate.1.as_secs_f64());
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.left = (self.left + passed * most / per).min(most);
        self.since = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        let seconds = Duration::try_from_secs_f64((1.0 - self.left) * per / most);
        Err(seconds.map_or(u64::MAX, |time| time.as_secs() + u64::from(time.subsec_nanos() > 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_at_once_and_fills_up_as_time_goes_by() {
        let (rates, begun, rate) = (Rates::default(), Instant::now(), (2, Duration::from_secs(10)));
        let take = |name: &str, after: u64| rates.take_at(name, rate, begun + Duration::from_secs(after));
        assert_eq!([take("a", 0), take("a", 0), take("a", 0)], [Ok(()), Ok(()), Err(5)]);
        assert_eq!(take("b", 0), Ok(()), "each has its own");
        assert_eq!([take("a", 4), take("a", 5), take("a", 5)], [Err(1), Ok(()), Err(5)]);
        assert_eq!([take("a", 1_000), take("a", 1_000), take("a", 1_000)], [Ok(()), Ok(()), Err(5)]);
        assert_eq!(rates.take_at("a", (3, Duration::from_secs(1)), begun), Ok(()), "the file says otherwise");
    }
}
