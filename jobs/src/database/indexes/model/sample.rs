//! How many values a column has, from what ANALYZE says: its figure is too low where some values are common and others
//! rare. So its own formula is undone: which values would have made it say so?

use super::column::number;

/// What ANALYZE looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// How many rows there are.
    pub rows: f64,
    /// How many of them it has seen.
    pub seen: f64,
}

impl Sample {
    /// The part of it that has a value.
    pub(crate) fn part(self, share: f64) -> Self {
        Self { rows: self.rows * share, seen: self.seen * share }
    }

    /// How many values ANALYZE takes there to be, having seen so many, of which so many once: by Haas and Stokes.
    pub(crate) fn guess(self, distinct: f64, once: f64) -> f64 {
        let denominator = self.seen - once + once * self.seen / self.rows.max(1.0);
        let guess = self.seen * distinct / denominator.max(1e-9);
        guess.max(distinct).min(self.rows.max(1.0))
    }
}

/// The values that are not among the most common ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail<'a> {
    /// What ANALYZE has seen of the rows that have a value.
    pub sample: Sample,
    /// The shares of the most common values.
    pub common: &'a [f64],
    /// The share of rows that have another one.
    pub rest: f64,
}

/// How many steps a tail has that falls.
const STEPS: i32 = 16;
/// So many values are as good as each row having its own.
const ENDLESS: f64 = 1e5;

impl Tail<'_> {
    /// Numbers of values with the share of rows that each of them has.
    pub(super) fn classes(self, distinct: f64) -> Vec<(f64, f64)> {
        let known = number(self.common.len());
        let seen = self.rest * self.share_of_seen();
        if self.rest * self.sample.rows < 0.5 || self.rest < 1e-6 {
            return Vec::new();
        }
        if distinct <= known + 0.5 {
            return vec![((distinct - known).max(1.0), self.rest)];
        }
        // Had it seen none of them twice, it would say this.
        if distinct >= 0.99 * self.sample.guess(known + seen, seen) {
            let values = self.rest * self.sample.rows * ENDLESS;
            return vec![(values, self.rest / values)];
        }
        let mut slope = self.slope();
        loop {
            let ends = self.solve(distinct, slope);
            let classes = self.falling(ends, slope);
            let highest = classes.first().map_or(0.0, |(_, share)| *share);
            let bound = self.common.last().map_or(f64::INFINITY, |least| least * 1.3);
            let is_met = (self.says(&classes) / distinct - 1.0).abs() < 0.02;
            if slope <= 0.0 || (is_met && highest <= bound) {
                return classes;
            }
            slope = if slope > 0.15 { slope * 0.8 } else { 0.0 };
        }
    }

    /// Rows that ANALYZE has seen, per share.
    fn share_of_seen(self) -> f64 {
        let of_rows = self.sample.seen / self.sample.rows.max(1.0);
        // Shares are those of all rows, the sample is that of rows with values.
        of_rows * self.all_rows()
    }

    fn all_rows(self) -> f64 {
        let there: f64 = self.common.iter().sum::<f64>() + self.rest;
        self.sample.rows / there.max(1e-9)
    }

    /// How steeply the most common values fall, as a power of their rank.
    fn slope(self) -> f64 {
        let count = self.common.len();
        if count < 20 {
            return 0.0;
        }
        let from = count / 4;
        let points: Vec<(f64, f64)> = self
            .common
            .iter()
            .enumerate()
            .skip(from)
            .map(|(rank, share)| ((number(rank) + 1.0).ln(), share.max(1e-12).ln()))
            .collect();
        let n = number(points.len());
        let (mean_x, mean_y) =
            (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
        let along: f64 = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
        let wide: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
        let slope = (-along / wide.max(1e-9)).clamp(0.0, 3.0);
        // Values that are equally common differ a little, too, in a sample.
        if slope < 0.15 { 0.0 } else { slope }
    }

    /// Up to which rank the tail goes, so that ANALYZE would say what it says.
    fn solve(self, distinct: f64, slope: f64) -> f64 {
        let first = number(self.common.len());
        let (mut low, mut high) = ((first + 1.0).ln(), (first + self.rest * self.all_rows() * ENDLESS).ln());
        for _ in 0..28 {
            let middle = f64::midpoint(low, high);
            if self.says(&self.falling(middle.exp(), slope)) < distinct {
                low = middle;
            } else {
                high = middle;
            }
        }
        low.exp()
    }

    /// What ANALYZE would say of it.
    fn says(self, classes: &[(f64, f64)]) -> f64 {
        let known = number(self.common.len());
        let seen = self.share_of_seen();
        let (mut distinct, mut once) = (known, 0.0);
        for (values, share) in classes {
            let mean = share * seen;
            distinct += values * -(-mean).exp_m1();
            once += values * mean * (-mean).exp();
        }
        self.sample.guess(distinct, once)
    }

    /// Values up to a rank, each by so much rarer than the one before.
    fn falling(self, ends: f64, slope: f64) -> Vec<(f64, f64)> {
        let first = number(self.common.len());
        if slope <= 0.0 || first < 1.0 {
            let values = (ends - first).max(1e-6);
            return vec![(values, self.rest / values)];
        }
        let ratio = (ends / first).powf(1.0 / f64::from(STEPS));
        let parts: Vec<(f64, f64)> = (0..STEPS)
            .map(|step| {
                let (from, to) = (first * ratio.powi(step), first * ratio.powi(step + 1));
                (to - from, (from * to).sqrt().powf(-slope))
            })
            .collect();
        let total: f64 = parts.iter().map(|(values, weight)| values * weight).sum();
        parts.into_iter().map(|(values, weight)| (values, weight * self.rest / total)).collect()
    }
}
