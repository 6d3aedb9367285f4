//! Rows of equal values: from Postgres 13 on they share an entry, with a list of the rows.

use std::collections::BTreeMap;

use super::column::Class;
use super::pages::{Item, Page};
use super::tuple::aligned;

/// A row in a list.
const ROW: u32 = 6;
/// From so many rows per value on, their number is taken to be near its mean.
const MANY: f64 = 30.0;
/// Values with so many full lists fill pages by themselves.
const RUN: f64 = 9.0;
/// Where the ninths of a normal distribution are.
const NORMAL: [f64; 9] = [-1.593, -0.967, -0.589, -0.282, 0.0, 0.282, 0.589, 0.967, 1.593];

/// Entries of an index in which rows of equal values share one.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Full lists of values so common that they fill pages by themselves.
    runs: BTreeMap<(u32, u32), f64>,
    /// Everything else.
    mixed: BTreeMap<(u32, u32), f64>,
    page: u32,
}

impl Lists {
    /// None yet.
    pub(super) fn new(page: u32) -> Self {
        Self { page, ..Self::default() }
    }

    /// Takes the entries of values that are alike, where keys have these sizes, in an index with so many rows.
    pub(super) fn take(&mut self, class: &Class, sizes: &[(u32, f64)], rows: f64) {
        let mean = class.share * rows;
        for (size, share) in sizes {
            let values = class.values * share;
            for (count, part) in spread(mean) {
                self.add(*size, count, values * part);
            }
        }
    }

    /// So many values with so many rows each.
    fn add(&mut self, size: u32, rows: f64, values: f64) {
        let most = self.longest(size);
        if most < 2.0 {
            *self.mixed.entry((size, 0)).or_default() += rows * values;
            return;
        }
        let full = (rows / most).floor();
        let last = rows - full * most;
        if full > 0.0 {
            let to = if full >= RUN { &mut self.runs } else { &mut self.mixed };
            *to.entry(list(size, most)).or_default() += full * values;
        }
        if last >= 2.0 {
            *self.mixed.entry(list(size, last)).or_default() += values;
        } else if last > 0.0 {
            *self.mixed.entry((size, 0)).or_default() += last * values;
        }
    }

    /// How many rows a list has at most: it may take a tenth of a page.
    fn longest(&self, size: u32) -> f64 {
        let limit = (self.page / 10 / 8 * 8).saturating_sub(4) / 8 * 8;
        f64::from(limit.saturating_sub(size) / ROW)
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> f64 {
        self.runs.values().chain(self.mixed.values()).sum()
    }

    /// How many leaves they fill.
    pub(super) fn leaves(&self, page: Page) -> f64 {
        let items = |of: &BTreeMap<(u32, u32), f64>| -> Vec<Item> {
            of.iter().map(|((size, list), count)| Item { count: *count, size: *size, list: *list }).collect()
        };
        let runs: f64 = items(&self.runs).iter().map(|item| page.filled_by(&[*item])).sum();
        runs + page.filled_by(&items(&self.mixed))
    }
}

/// The size of an entry with a list, and of the list in it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a tenth of a page")]
fn list(size: u32, rows: f64) -> (u32, u32) {
    let whole = aligned(size + ROW * rows as u32, 8);
    (whole, whole - size)
}

/// How many rows values have whose mean is this, if chance alone spread them; only those that have one count.
fn spread(mean: f64) -> Vec<(f64, f64)> {
    if mean > MANY {
        let around = NORMAL.iter().map(|off| ((mean + off * mean.sqrt()).round(), 1.0 / 9.0));
        return around.collect();
    }
    let (mut part, mut found, mut count) = ((-mean).exp() * mean, Vec::new(), 1.0);
    while count < mean || part > 1e-5 * mean.min(1.0) {
        found.push((count, part));
        count += 1.0;
        part *= mean / count;
    }
    found
}
