//! What is usual for a statement, and when it became slower.
//!
//! Days and nights differ, and so do weekdays. So the mean of a call is compared with what it was at the same hour of
//! the week in the last four weeks; before there is so much of a past, with the same time of the day, an hour more or
//! less, of the last seven days. Median and MAD (the median of the distances from it) do not mind a bad night.

/// A statement that is called less often in an hour has no mean worth the name.
pub(super) const SAMPLE_CALLS_MIN: i64 = 5;
/// How many values of the same hour of the week there must be.
const WEEKS_MIN: usize = 3;
/// How many hours of the last days there must be.
const HOURS_MIN: usize = 6;
/// Of how many different days.
const DAYS_MIN: usize = 3;
/// How far back is looked, in hours.
pub(super) const PAST_HOURS: i64 = 4 * WEEK_HOURS;

const WEEK_HOURS: i64 = 7 * DAY_HOURS;
const DAY_HOURS: i64 = 24;

/// So often is it called between two looks at least, before it is judged.
const CALLS_MIN: i64 = 50;
/// So much of the time of all statements does it take at least.
const SHARE_MIN: f64 = 0.02;
/// So many times the median.
const FACTOR: f64 = 1.5;
/// So many standard deviations above it; 1.48 times the MAD is one, where values are distributed normally.
const DEVIATIONS: f64 = 4.0 * 1.48;
/// In so many looks, one after the other.
pub(super) const TICKS: usize = 3;

/// What a statement did between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick {
    /// How often it ran.
    pub calls: i64,
    /// How long a call took in the mean, in ms.
    pub mean_ms: f64,
    /// Its share of the time of all statements, between 0 and 1.
    pub share: f64,
}

/// The median, and the median of the distances from it; none of nothing.
pub fn median_and_mad(values: &[f64]) -> Option<(f64, f64)> {
    let middle = median(values.to_vec())?;
    let distances = values.iter().map(|value| (value - middle).abs()).collect();
    Some((middle, median(distances)?))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (half, count) = (values.len() / 2, values.len());
    let upper = *values.get(half)?;
    if count % 2 == 1 { Some(upper) } else { Some(f64::midpoint(*values.get(half - 1)?, upper)) }
}

/// What is usual in the hour `now`, counted since 1970, of means by the hour that are older.
pub fn usual(hours: &[(i64, f64)], now: i64) -> Option<(f64, f64)> {
    let ago = |(hour, mean): &(i64, f64)| (*hour < now).then_some((now - hour, *mean));
    let past: Vec<(i64, f64)> = hours.iter().filter_map(ago).filter(|(ago, _)| *ago <= PAST_HOURS).collect();
    let same_hour: Vec<f64> =
        past.iter().filter(|(ago, _)| ago % WEEK_HOURS == 0).map(|(_, mean)| *mean).collect();
    if same_hour.len() >= WEEKS_MIN {
        return median_and_mad(&same_hour);
    }
    let is_near = |ago: i64| matches!(ago % DAY_HOURS, 0 | 1 | 23) && ago > 1 && ago <= WEEK_HOURS + 1;
    let near: Vec<(i64, f64)> = past.into_iter().filter(|(ago, _)| is_near(*ago)).collect();
    // One hour more and one less belong to the same day.
    let mut days: Vec<i64> = near.iter().map(|(ago, _)| (ago + 1) / DAY_HOURS).collect();
    days.sort_unstable();
    days.dedup();
    if near.len() < HOURS_MIN || days.len() < DAYS_MIN {
        return None;
    }
    median_and_mad(&near.into_iter().map(|(_, mean)| mean).collect::<Vec<_>>())
}

/// Whether a statement became slower, by its last looks, the newest first.
pub fn is_regressed(ticks: &[Tick], usual: Option<(f64, f64)>) -> bool {
    let Some((median, mad)) = usual else { return false };
    let is_slow = |tick: &Tick| {
        tick.calls >= CALLS_MIN
            && tick.share >= SHARE_MIN
            && tick.mean_ms >= FACTOR * median
            && tick.mean_ms >= DEVIATIONS.mul_add(mad, median)
    };
    ticks.len() >= TICKS && ticks.iter().take(TICKS).all(is_slow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: Option<(f64, f64)>, other: (f64, f64)) {
        let (median, mad) = one.unwrap();
        assert!((median - other.0).abs() < 1e-9 && (mad - other.1).abs() < 1e-9, "{one:?} is not {other:?}");
    }

    #[test]
    fn median_and_mad_are_those_of_the_textbook() {
        assert_eq!(median_and_mad(&[]), None);
        near(median_and_mad(&[7.0]), (7.0, 0.0));
        near(median_and_mad(&[1.0, 4.0]), (2.5, 1.5));
        near(median_and_mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), (2.0, 1.0));
        near(median_and_mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9e9]), (2.0, 1.0));
    }

    #[test]
    fn the_same_hour_of_the_week_counts_where_there_are_three_and_else_the_same_time_of_the_day() {
        let now = 10_000;
        let weeks: Vec<_> = (1..=4).map(|week| (now - week * WEEK_HOURS, 10.0)).collect();
        let all = (now - 700..now).map(|hour| (hour, 1.0)).filter(|(hour, _)| (now - hour) % WEEK_HOURS != 0);
        let both: Vec<_> = all.chain(weeks.clone()).collect();
        near(usual(&both, now), (10.0, 0.0));
        near(usual(&both[..both.len() - 2], now), (1.0, 0.0));
        assert_eq!(usual(&weeks[..2], now), None, "too little of a past");
        let one_day: Vec<_> = (now - 30..now).map(|hour| (hour, 1.0)).collect();
        assert_eq!(usual(&one_day, now), None);
        assert_eq!(usual(&[(now, 5.0), (now + 1, 5.0)], now), None, "the present is not the past");
    }

    /// Means by the hour for so many days: five times as slow by day as by night, with some noise.
    fn swing(hour: i64, dice: &mut u64) -> f64 {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = f64::from(u32::try_from(*dice >> 40).unwrap()) / f64::from(1 << 24);
        let of_day = f64::from(i32::try_from(hour.rem_euclid(24)).unwrap());
        let day = (-((of_day - 13.0) / 4.0).powi(2)).exp();
        (2.0 + 8.0 * day) * (0.85 + 0.3 * noise)
    }

    #[test]
    fn no_day_and_no_night_of_five_weeks_is_a_regression_and_a_lost_index_is_one_at_once() {
        for seed in 0..20 {
            let mut dice = seed;
            let mut hours: Vec<(i64, f64)> = Vec::new();
            let mut judged = 0;
            for hour in 0..35 * DAY_HOURS {
                let ticks: Vec<Tick> = (0..12)
                    .map(|_| Tick { calls: 1_000, mean_ms: swing(hour, &mut dice), share: 0.3 })
                    .collect();
                let expected = usual(&hours, hour);
                judged += usize::from(expected.is_some());
                for three in ticks.windows(TICKS) {
                    assert!(!is_regressed(three, expected), "hour {hour}: {three:?} against {expected:?}");
                }
                // Twelve times as slow: what a whole scan does to a lookup.
                let slow: Vec<Tick> =
                    ticks.iter().map(|tick| Tick { mean_ms: tick.mean_ms * 12.0, ..*tick }).collect();
                assert_eq!(is_regressed(&slow[..TICKS], expected), expected.is_some(), "hour {hour}");
                hours.push((hour, ticks.iter().map(|tick| tick.mean_ms).sum::<f64>() / 12.0));
            }
            assert!(judged > 31 * 24, "{judged}");
        }
    }

    #[test]
    fn a_statement_that_hardly_matters_or_was_slow_once_is_left_alone() {
        let slow = Tick { calls: 100, mean_ms: 10.0, share: 0.5 };
        let expected = Some((1.0, 0.1));
        assert!(is_regressed(&[slow; 3], expected));
        assert!(!is_regressed(&[slow; 2], expected));
        assert!(!is_regressed(&[slow, slow, Tick { calls: 49, ..slow }], expected));
        assert!(!is_regressed(&[slow, slow, Tick { share: 0.019, ..slow }], expected));
        assert!(!is_regressed(&[slow, Tick { mean_ms: 1.4, ..slow }, slow], expected));
        assert!(!is_regressed(&[slow; 3], Some((1.0, 2.0))), "within what is usual");
        assert!(!is_regressed(&[slow; 3], None));
    }
}
