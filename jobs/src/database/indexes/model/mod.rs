//! How large a B-tree would be if it were made anew, from what the catalogue and ANALYZE say.
//!
//! It is built in small: entries of the sizes that there are go onto pages by the rules that Postgres has, in lists of
//! rows where it would make lists.

mod column;
mod draws;
mod joint;
mod lists;
mod pages;
mod sample;
mod tuple;

pub(super) use column::{Class, Column, Statistics};
pub(super) use sample::Sample;
pub(super) use tuple::Layout;

use column::{COMPRESSED, WIDE};
use draws::Draws;
use lists::Lists;
use pages::{Item, Page};

use super::index::{Estimate, Trust, Withheld};

/// What the model has to know of a B-tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    /// How many entries it has.
    pub tuples: f64,
    /// How large a page is.
    pub page: u32,
    /// `fillfactor`, in per cent.
    pub fillfactor: u32,
    /// Rows of equal values share entries.
    pub deduplicates: bool,
    /// Not all rows are in it.
    pub is_partial: bool,
    /// Its columns, keys first.
    pub columns: Vec<Column>,
    /// How many are keys.
    pub keys: usize,
    /// What ANALYZE looked at.
    pub sample: Sample,
    /// How many different keys there are, where somebody has asked ANALYZE to count them.
    pub joint: Option<f64>,
    /// The same as pages of the table say that were read for it.
    pub counted: Option<Counted>,
}

/// Different keys on pages of a table, each page counted by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    /// How many there are.
    pub distinct: f64,
    /// How many of them are on one page only.
    pub once: f64,
    /// How many there are on each page, all together.
    pub pairs: f64,
    /// The share of the table's pages that was read.
    pub share: f64,
}

impl Counted {
    fn sample(self) -> Sample {
        Sample { rows: self.pairs / self.share.max(1e-9), seen: self.pairs }
    }
}

/// Where what is not known makes more of a difference than this, it is said so.
const SURE: f64 = 1.05;
/// The same, where the figure is still good for something.
const ALMOST: f64 = 1.15;

/// So often at least equal keys would have been met again if each were in two rows, for that they were not to say something.
const TELLING: f64 = 20.0;

impl Tree {
    /// How large it would be if it were made anew.
    ///
    /// # Errors
    /// Something is not known.
    pub(super) fn estimate(&self) -> Result<Estimate, Withheld> {
        if self.columns.iter().any(|column| column.statistics.is_none() && !column.is_plain()) {
            return Err(Withheld::NoStatistics);
        }
        if self.tuples < 1.0 {
            // A tree without entries has one page, that says so.
            return Ok(Estimate { bytes: self.page.into(), trust: Trust::High });
        }
        let (leaves, entries, trust) = if self.deduplicates { self.shared()? } else { self.single() };
        let bytes = self.bytes(leaves, entries);
        Ok(Estimate { bytes, trust: trust.min(self.trust_in_sizes()) })
    }

    fn bytes(&self, leaves: f64, entries: f64) -> u64 {
        let pages = self.with_inner(leaves.ceil().max(1.0), entries);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of pages")]
        let pages = pages.round() as u64;
        pages * u64::from(self.page)
    }

    /// How large it would be if rows of equal values shared no entries, where they may.
    pub(super) fn unshared(&self) -> Option<u64> {
        let (leaves, entries, _) = self.deduplicates.then(|| self.single())?;
        Some(self.bytes(leaves, entries))
    }

    /// How large it would be with as few different keys as there can be, where it is not known how many there are and a
    /// look at the table would say so.
    pub(super) fn least(&self) -> Option<u64> {
        let is_counted = self.joint.is_some() || self.counted.is_some();
        if !self.deduplicates || self.keys < 2 || self.is_partial || is_counted {
            return None;
        }
        let columns: Vec<_> =
            self.columns.iter().map(|column| column.classes(self.sample)).collect::<Option<_>>()?;
        let (leaves, entries) = self.listed(&self.fewest(&columns, &joint::product(&columns)));
        Some(self.bytes(leaves, entries))
    }

    /// There are at least as many values together as the column with the most has.
    fn fewest(&self, columns: &[Vec<Class>], product: &[Class]) -> Vec<Class> {
        let most = columns.iter().map(|column| joint::distinct(column, self.sample.rows));
        let sample = Sample { seen: self.sample.rows, ..self.sample };
        joint::thinned(product, most.fold(1.0, f64::max), sample)
    }

    /// Leaves where each row has an entry.
    fn single(&self) -> (f64, f64, Trust) {
        let draws: Vec<(Layout, Draws)> =
            self.columns.iter().map(|column| (column.layout, column.draws())).collect();
        let items = items(&sizes(&draws), self.tuples);
        (self.leaf().filled_by(&items), self.tuples, Trust::High)
    }

    /// Leaves where rows of equal values share entries.
    fn shared(&self) -> Result<(f64, f64, Trust), Withheld> {
        let classes: Option<Vec<_>> = self.columns.iter().map(|column| column.classes(self.sample)).collect();
        let classes = classes.ok_or(Withheld::NoStatistics)?;
        let product = joint::product(&classes);
        let restricted = self.columns.iter().any(|column| column.is_restricted);
        let doubt = if restricted { Trust::Low } else { Trust::High };
        if let (None, Some(counted)) = (self.joint, self.counted) {
            return Ok(self.by_count(&product, counted, doubt));
        }
        match (self.joint, classes.as_slice()) {
            (_, [_]) => {
                let (leaves, entries) = self.listed(&product);
                Ok((leaves, entries, doubt.min(if self.is_partial { Trust::Medium } else { Trust::High })))
            }
            (Some(distinct), _) => {
                let (leaves, entries) = self.listed(&joint::thinned(&product, distinct, self.sample));
                Ok((leaves, entries, doubt))
            }
            (None, columns) => {
                let (leaves, entries) = self.listed(&product);
                // There are at most all pairs.
                let doubtful = leaves / self.listed(&self.fewest(columns, &product)).0.max(1.0);
                let trust = match doubtful {
                    sure if sure < SURE => Trust::High,
                    almost if almost < ALMOST => Trust::Medium,
                    _ => Trust::Low,
                };
                Ok((leaves, entries, doubt.min(trust)))
            }
        }
    }

    /// Leaves where it was looked how many different keys there are.
    fn by_count(&self, product: &[Class], counted: Counted, doubt: Trust) -> (f64, f64, Trust) {
        let sample = counted.sample();
        let by_share = if counted.share < 1.0 { Trust::Medium } else { Trust::High };
        // How often a key was met again, and how often it would have been if no column said anything about another.
        let met = sample.seen - counted.distinct;
        let chance = (sample.seen - joint::distinct(product, sample.seen)).max(0.0);
        if met <= chance + 3.0 * chance.sqrt() + 3.0 {
            let (leaves, entries) = self.listed(product);
            // Of too few rows that says nothing: pairs of rows with equal keys would hardly have been met.
            let is_telling = sample.seen * sample.seen / sample.rows.max(1.0) >= TELLING;
            return (leaves, entries, doubt.min(if is_telling { by_share } else { Trust::Low }));
        }
        let distinct = sample.guess(counted.distinct, counted.once);
        let (leaves, entries) = self.listed(&joint::thinned(product, distinct, sample));
        (leaves, entries, doubt.min(by_share))
    }

    /// Leaves and entries of values with lists.
    fn listed(&self, classes: &[Class]) -> (f64, f64) {
        // Shares are never exactly one together, and entries are known better.
        let total: f64 = classes.iter().map(|class| class.values * class.share).sum();
        let rows = self.tuples / total.max(1e-9);
        let (mut lists, mut known) = (Lists::new(self.page), Vec::<((u32, bool), Vec<(u32, f64)>)>::new());
        for class in classes {
            let key = (class.nulls, class.is_common);
            let place = known.iter().position(|(of, _)| *of == key).unwrap_or_else(|| {
                known.push((key, self.sizes_of(class)));
                known.len() - 1
            });
            if let Some((_, sizes)) = known.get(place) {
                lists.take(class, sizes, rows);
            }
        }
        (lists.leaves(self.leaf()), lists.count())
    }

    fn sizes_of(&self, class: &Class) -> Vec<(u32, f64)> {
        let draws = self.columns.iter().enumerate().map(|(place, column)| {
            let is_null = class.nulls & (1 << place) != 0;
            (column.layout, if is_null { Draws::null() } else { column.draws_of(class.is_common) })
        });
        sizes(&draws.collect::<Vec<_>>())
    }

    /// All pages of a tree with so many leaves: those above them, and the first, which says where the root is.
    fn with_inner(&self, leaves: f64, entries: f64) -> f64 {
        let pivots = self.pivots(entries);
        let (mut level, mut pages) = (leaves, leaves + 1.0);
        while level > 1.0 {
            let items: Vec<Item> = pivots.iter().map(|(size, share)| item(*size, share * level)).collect();
            level = Page::inner(self.page).filled_by(&items).ceil().max(1.0);
            pages += level;
        }
        pages
    }

    /// The sizes of entries that point to pages: only as many columns as tell two neighbours apart.
    fn pivots(&self, entries: f64) -> Vec<(u32, f64)> {
        let keys: Vec<(Layout, Draws)> =
            self.columns.iter().take(self.keys).map(|column| (column.layout, column.draws())).collect();
        let (mut found, mut told, mut values) = (Vec::new(), 0.0, 1.0);
        for (place, column) in self.columns.iter().take(self.keys).enumerate() {
            let known = column.statistics.as_ref();
            let own = known.map_or(f64::INFINITY, |found| found.distinct_of(self.sample.rows));
            values *= own;
            let now = (values / entries.max(1.0)).clamp(told, 1.0);
            let prefix = keys.get(..=place).unwrap_or(&keys);
            found.extend(sizes(prefix).into_iter().map(|(size, share)| (size, share * (now - told))));
            told = now;
        }
        // Neighbours with equal keys are told apart by their rows.
        found.extend(sizes(&keys).into_iter().map(|(size, share)| (size + 8, share * (1.0 - told))));
        found.retain(|(_, share)| *share > 1e-6);
        found
    }

    fn leaf(&self) -> Page {
        Page::leaf(self.page, self.fillfactor)
    }

    /// Lengths of long values are not all known, and they may be compressed.
    fn trust_in_sizes(&self) -> Trust {
        let widest = self.columns.iter().filter(|column| column.layout.len < 0);
        let widest = widest
            .filter_map(|column| column.statistics.as_ref())
            .map(|found| found.width)
            .fold(0.0, f64::max);
        match widest {
            wide if wide > WIDE => Trust::Low,
            wide if wide > COMPRESSED => Trust::Medium,
            _ => Trust::High,
        }
    }
}

fn sizes(columns: &[(Layout, Draws)]) -> Vec<(u32, f64)> {
    let columns: Vec<(Layout, &Draws)> = columns.iter().map(|(layout, draws)| (*layout, draws)).collect();
    tuple::sizes(&columns)
}

fn items(sizes: &[(u32, f64)], count: f64) -> Vec<Item> {
    sizes.iter().map(|(size, share)| item(*size, share * count)).collect()
}

fn item(size: u32, count: f64) -> Item {
    Item { count, size, list: 0 }
}
