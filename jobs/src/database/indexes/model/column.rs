//! What is known of a column of an index, and what values it has.

use super::draws::Draws;
use super::sample::{Sample, Tail};
use super::tuple::Layout;

/// A column of an index.
#[expect(clippy::struct_excessive_bools, reason = "what the table and the predicate promise, each by itself")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// How its values lie in an entry.
    pub layout: Layout,
    /// It is an expression: ANALYZE counts the long header of its values.
    pub is_expression: bool,
    /// It has no NULLs, as the table or the predicate promise.
    pub is_full: bool,
    /// The predicate leaves one value only.
    pub is_one: bool,
    /// The predicate says something of it that is not understood here.
    pub is_restricted: bool,
    /// What ANALYZE found, where this role may see it.
    pub statistics: Option<Statistics>,
}

/// What ANALYZE found in a column. Values stay in the database: there are only their lengths.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Statistics {
    /// The share of NULLs.
    pub null_share: f64,
    /// The mean of the bytes that a value takes.
    pub width: f64,
    /// How many values there are; below 0, how many per row.
    pub distinct: f64,
    /// Shares of the most common values.
    pub common: Vec<f64>,
    /// Their lengths, where they differ.
    pub common_lengths: Vec<f64>,
    /// Lengths of values in between.
    pub lengths: Vec<f64>,
}

/// Values that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Class {
    /// How many there may be.
    pub values: f64,
    /// The share of rows that each has.
    pub share: f64,
    /// Which columns are NULL, a bit for each.
    pub nulls: u32,
    /// They are among the most common ones, in each column.
    pub is_common: bool,
}

/// Up to this mean, there is hardly a value that is in no list.
const LISTED: f64 = 120.0;
/// How long those are taken to be that are in none: they begin at 1,024 bytes, and what an index takes ends at 2,704.
const UNLISTED: f64 = 1_800.0;
/// Longer values are not in the lists that ANALYZE keeps.
pub(super) const WIDE: f64 = 1_000.0;
/// Longer values are compressed in an index, where their type allows it.
pub(super) const COMPRESSED: f64 = 500.0;

impl Column {
    /// Whether all of its values take the same room, and none is NULL.
    pub(crate) fn is_plain(&self) -> bool {
        self.layout.len > 0 && self.is_full
    }

    fn null_share(&self) -> f64 {
        if self.is_full { 0.0 } else { self.statistics.as_ref().map_or(0.0, |found| found.null_share) }
    }

    /// Lengths as rows have them.
    pub(crate) fn draws(&self) -> Draws {
        self.drawn(true, true, self.null_share())
    }

    /// Lengths as values have them: the most common ones, or the others.
    pub(crate) fn draws_of(&self, is_common: bool) -> Draws {
        self.drawn(is_common, !is_common, 0.0)
    }

    fn drawn(&self, common: bool, others: bool, null_share: f64) -> Draws {
        let Some(found) = &self.statistics else {
            return Draws::constant(u32::from(self.layout.len.unsigned_abs()));
        };
        if self.layout.len > 0 {
            return Draws::of(&[(f64::from(self.layout.len), 1.0)], null_share);
        }
        let shift = self.shift(found);
        let mut lengths = Vec::new();
        if common {
            lengths.extend(
                found.common_lengths.iter().zip(&found.common).map(|(len, share)| (len + shift, *share)),
            );
        }
        if others || lengths.is_empty() {
            let each = found.rest() / number(found.lengths.len()).max(1.0);
            lengths.extend(found.lengths.iter().map(|len| (len + shift, each.max(1e-9))));
        }
        if lengths.is_empty() {
            lengths = around(self.payload(found));
        }
        if others {
            lengths.extend(self.unlisted(found, &lengths));
        }
        Draws::of(&lengths, null_share)
    }

    /// The mean length without a header, as its width says.
    fn payload(&self, found: &Statistics) -> f64 {
        let long = self.is_expression || found.width > 127.0;
        (found.width + 0.5 - if self.layout.len == -2 || !long { 1.0 } else { 4.0 }).max(0.0)
    }

    /// Values so wide that they are in no list, where the mean tells that there are some.
    fn unlisted(&self, found: &Statistics, lengths: &[(f64, f64)]) -> Option<(f64, f64)> {
        let total: f64 = lengths.iter().map(|(_, share)| share).sum();
        let mean = lengths.iter().map(|(len, share)| len * share).sum::<f64>() / total.max(1e-9);
        let excess = self.payload(found) - mean;
        let is_some = mean > LISTED && mean < UNLISTED && excess > 1.0;
        is_some.then(|| (UNLISTED, total * excess / (UNLISTED - mean - excess).max(1.0)))
    }

    /// By how much the lengths of the lists are off: they are a hundred or two, and the width is the mean of all.
    fn shift(&self, found: &Statistics) -> f64 {
        let pairs = found.common_lengths.iter().zip(found.common.iter().copied());
        let each = found.rest() / number(found.lengths.len()).max(1.0);
        let all: Vec<(f64, f64)> = pairs
            .chain(found.lengths.iter().map(|len| (len, each)))
            .map(|(len, share)| (*len, share))
            .collect();
        let total: f64 = all.iter().map(|(_, share)| share).sum();
        let (Some((first, _)), false) = (all.first(), total <= 0.0 || self.layout.len == -2) else {
            return 0.0;
        };
        if all.iter().all(|(len, _)| (len - first).abs() < 0.5) {
            return 0.0;
        }
        let mean = all.iter().map(|(len, share)| len * share).sum::<f64>() / total;
        let shift = self.payload(found) - mean;
        // The width is a whole number, and what was compressed in the table is no longer as long as the lists say.
        if shift.abs() <= 0.5 || mean > LISTED { 0.0 } else { shift }
    }

    /// Its values, for a table of so many rows of which ANALYZE has seen a sample.
    pub(crate) fn classes(&self, sample: Sample) -> Option<Vec<Class>> {
        if self.is_one {
            return Some(vec![Class { values: 1.0, share: 1.0, nulls: 0, is_common: true }]);
        }
        let found = self.statistics.as_ref()?;
        let (nulls, there) = (found.null_share, 1.0 - found.null_share);
        let mut classes: Vec<Class> = found
            .common
            .iter()
            .map(|share| Class { values: 1.0, share: *share, nulls: 0, is_common: true })
            .collect();
        let tail = Tail { sample: sample.part(there), common: &found.common, rest: found.rest() };
        let rare = |(values, share)| Class { values, share, nulls: 0, is_common: false };
        classes.extend(tail.classes(found.distinct_of(sample.rows)).into_iter().map(rare));
        if self.is_full {
            for class in &mut classes {
                class.share /= there.max(1e-9);
            }
        } else if nulls > 0.0 {
            classes.push(Class { values: 1.0, share: nulls, nulls: 1, is_common: true });
        }
        Some(classes)
    }
}

impl Statistics {
    /// The share of rows that have a value which is none of the most common ones.
    fn rest(&self) -> f64 {
        (1.0 - self.null_share - self.common.iter().sum::<f64>()).max(0.0)
    }

    /// How many values there are, as ANALYZE says.
    pub(super) fn distinct_of(&self, rows: f64) -> f64 {
        if self.distinct < 0.0 { -self.distinct * rows } else { self.distinct }
    }
}

/// Lengths about a mean, as far apart as those of numbers are.
fn around(mean: f64) -> Vec<(f64, f64)> {
    let low = mean.floor();
    vec![(low, 1.0 - (mean - low)), (low + 1.0, mean - low)]
}

/// How many there are, to reckon with.
#[expect(clippy::cast_precision_loss, reason = "a few hundred")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}
