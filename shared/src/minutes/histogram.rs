//! How long things took, in buckets that grow by a fixed factor, so that those of many processes can be added up.

use std::collections::BTreeMap;
use std::time::Duration;

/// How many buckets a doubling has.
const PER_DOUBLING: f64 = 4.0;

/// How many buckets there are. The first has what took less than a millisecond, the last what took a day and more.
pub const BUCKETS: usize = 108;

/// By which factor a quantile may be off: half a bucket, to either side.
pub const ERROR: f64 = 1.091;

/// How often something took how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<usize, u64>);

/// The bucket of a time.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number above zero")]
pub fn bucket_of(time: Duration) -> usize {
    let ms = time.as_secs_f64() * 1_000.0;
    if ms < 1.0 { 0 } else { ((ms.log2() * PER_DOUBLING) as usize + 1).min(BUCKETS - 1) }
}

/// What stands for all times of a bucket, in ms: its middle, as factors go.
fn middle_ms(bucket: usize) -> f64 {
    let place = f64::from(u32::try_from(bucket).unwrap_or(u32::MAX));
    if bucket == 0 { 0.5 } else { ((place - 0.5) / PER_DOUBLING).exp2() }
}

impl Histogram {
    /// Adds that something took about so long, so often.
    pub fn add(&mut self, bucket: usize, times: u64) {
        if times > 0 {
            *self.0.entry(bucket.min(BUCKETS - 1)).or_default() += times;
        }
    }

    /// Adds what another one has.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(bucket, times)| self.add(*bucket, *times));
    }

    /// The buckets that are not empty.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().map(|(bucket, times)| (*bucket, *times))
    }

    /// How often anything took any time.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// How long it took, in ms, that this share of all took no longer than: off by a factor of [`ERROR`] at most, where
    /// that is a millisecond or more. None where there is nothing.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rank among jobs of a minute")]
        let rank = (self.total() as f64 * share).ceil().max(1.0);
        let mut before = 0_u64;
        let found = self.0.iter().find(|(_, times)| {
            before += **times;
            #[expect(clippy::cast_precision_loss, reason = "likewise")]
            let so_far = before as f64;
            so_far >= rank
        });
        found.map(|(bucket, _)| middle_ms(*bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every time from a millisecond to a day, and the share of them that is asked for.
    #[test]
    fn a_quantile_is_off_by_less_than_half_a_bucket() {
        let mut ms = 1.0_f64;
        while ms < 86_400_000.0 {
            let mut one = Histogram::default();
            one.add(bucket_of(Duration::from_secs_f64(ms / 1_000.0)), 1);
            let off = one.quantile_ms(0.5).unwrap() / ms;
            assert!((1.0 / ERROR..=ERROR).contains(&off), "{ms}: {off}");
            ms *= 1.013;
        }
        let mut all = Histogram::default();
        (1..=1_000).for_each(|ms| all.add(bucket_of(Duration::from_millis(ms)), 1));
        for (share, truth) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let off = all.quantile_ms(share).unwrap() / truth;
            assert!((1.0 / ERROR..=ERROR).contains(&off), "{share}: {off}");
        }
    }

    #[test]
    fn what_many_saw_is_added_up() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.add(bucket_of(Duration::from_micros(10)), 99);
        other.add(bucket_of(Duration::from_secs(2)), 1);
        one.merge(&other);
        assert_eq!((one.total(), one.quantile_ms(0.5)), (100, Some(0.5)));
        assert!(one.quantile_ms(1.0).is_some_and(|ms| (ms / 2_000.0 - 1.0).abs() < 0.1));
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
        assert_eq!(bucket_of(Duration::from_hours(1_000)), BUCKETS - 1);
    }
}
