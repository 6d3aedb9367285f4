//! What is owed to a table: statistics that say how it is now, room that is taken by rows which are gone, and the marks
//! without which transaction numbers run out.
//!
//! Autovacuum looks after ordinary tables where a tenth of the rows changed. What is here is what it does not: it never
//! comes to partitioned tables and foreign ones, nor for a new index on an expression, it does not know anything after a
//! crash, and a tenth of a large table is late.

use std::time::Duration;

use super::look::Table;

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(168);
/// Autovacuum is late when it has not come for so long.
const LATE: Duration = DAY;
/// A parent is behind its parts by so much at least: to analyze it is to analyze them, one after the other.
const BEHIND: Duration = Duration::from_mins(1);

/// Why a table is to be analyzed.
#[derive(Debug, Clone, PartialEq)]
pub enum Analyzing {
    /// Somebody named it.
    Asked,
    /// Nobody knows when it was analyzed: it never was, or the server has forgotten.
    Never,
    /// It is a parent, and its parts changed since.
    Parent,
    /// Something of it has no statistics.
    Missing(Vec<String>),
    /// Half of its rows or more are others: it was loaded, or restored.
    Loaded,
    /// It is so large that autovacuum comes late.
    Large,
    /// A week has passed, and some of its rows changed.
    Weekly,
    /// It is foreign: nobody counts what changes there.
    Foreign,
}

/// Why a table is to be vacuumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vacuuming {
    /// Somebody named it.
    Asked,
    /// A fifth of its rows are gone and take up room, and autovacuum has not come.
    Dead,
    /// Its oldest rows are old.
    Freeze(Freezing),
}

/// How near the end of the transaction numbers a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freezing {
    /// Autovacuum will soon come for it, at whatever time of the day.
    Soon,
    /// Autovacuum should have come long ago: something is wrong.
    Late,
    /// The database will refuse writes.
    Critical,
}

impl Analyzing {
    /// How much it matters beside how much changed.
    fn weight(&self) -> f64 {
        match self {
            Self::Asked => 16.0,
            Self::Parent | Self::Missing(_) => 8.0,
            Self::Never | Self::Loaded => 4.0,
            Self::Large => 2.0,
            Self::Weekly | Self::Foreign => 1.0,
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Asked => "somebody named it".to_owned(),
            Self::Never => "nobody knows that it ever was analyzed".to_owned(),
            Self::Parent => "its parts changed, and autovacuum does not come to parents".to_owned(),
            Self::Missing(what) => format!("there are no statistics of {}", list(what)),
            Self::Loaded => "half of its rows or more are others".to_owned(),
            Self::Large => "it is large, and 2 % of it changed".to_owned(),
            Self::Weekly => "a week has passed, and some of it changed".to_owned(),
            Self::Foreign => "it is foreign, and a week has passed".to_owned(),
        }
    }
}

impl Vacuuming {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Asked => "somebody named it",
            Self::Dead => "a fifth of its rows are gone and take up room, and autovacuum is late",
            Self::Freeze(Freezing::Soon) => "its rows are old: autovacuum will soon come, at whatever time",
            Self::Freeze(Freezing::Late) => "its rows are old, and autovacuum should have come long ago",
            Self::Freeze(Freezing::Critical) => {
                "its rows are so old that the database will soon refuse writes"
            }
        }
    }
}

fn list(what: &[String]) -> String {
    match what {
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
        [] => "something".to_owned(),
    }
}

/// Why a table is to be analyzed; none where that would be for nothing.
pub(super) fn analyzing(table: &Table) -> Option<Analyzing> {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let changed = table.changed as f64 / table.tuples.unwrap_or(0.0).max(1.0);
    let is_old = table.analyzed.is_none_or(|ago| ago >= WEEK);
    if table.kind == "f" {
        return is_old.then_some(Analyzing::Foreign);
    }
    // Of an empty table there is nothing to say.
    let has_rows = table.tuples.is_none_or(|tuples| tuples > 0.0);
    if table.kind == "p" {
        // Whoever analyzes the whole analyzes all that it is made of.
        if table.root.is_some() {
            return None;
        }
        let is_behind = match (table.analyzed, table.parts_analyzed) {
            (None, _) => table.is_parent,
            (Some(own), Some(parts)) => parts + BEHIND < own,
            (Some(_), None) => false,
        };
        // Nobody has looked at parts that were just filled: their rows are known by what changed.
        let has_rows = has_rows || table.changed > 0;
        return (has_rows && (is_behind || changed >= 0.1 || !table.missing.is_empty()))
            .then_some(Analyzing::Parent);
    }
    if table.analyzed.is_none() && (has_rows || table.changed > 0) {
        return Some(Analyzing::Never);
    }
    if has_rows && !table.missing.is_empty() {
        return Some(Analyzing::Missing(table.missing.clone()));
    }
    if changed >= 0.5 && table.changed > 0 {
        return Some(Analyzing::Loaded);
    }
    if table.tuples.is_some_and(|tuples| tuples >= 5e6) && changed >= 0.02 {
        return Some(Analyzing::Large);
    }
    (is_old && changed >= 0.005 && table.changed > 0).then_some(Analyzing::Weekly)
}

impl Table {
    /// What comes first where there is not time for all: what matters, and where much changed; of the same, what is small.
    pub fn score(&self, why: &Analyzing) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an order")]
        let changed = self.changed.max(0) as f64;
        why.weight() * (2.0 + changed).log2() - self.tuples.unwrap_or(0.0) / 1e12
    }

    /// How near the end of the transaction numbers it is, if it is near.
    pub fn freezing(&self) -> Option<Freezing> {
        let near = |age: i64, max: i64| match age {
            age if age >= 1_500_000_000 => Some(Freezing::Critical),
            age if age >= (max / 2 * 3).max(1_000_000_000) => Some(Freezing::Late),
            age if age >= max / 5 * 4 => Some(Freezing::Soon),
            _ => None,
        };
        near(self.xid_age, self.freeze_max_age).max(near(self.mxid_age, self.mxid_freeze_max_age))
    }
}

/// Why a table is to be vacuumed; none where that would be for nothing.
pub(super) fn vacuuming(table: &Table) -> Option<Vacuuming> {
    if !matches!(table.kind.as_str(), "r" | "m") || table.is_being_vacuumed {
        return None;
    }
    if let Some(freezing) = table.freezing() {
        return Some(Vacuuming::Freeze(freezing));
    }
    let is_late = table.vacuumed.is_none_or(|ago| ago >= LATE);
    let is_wasteful = table.dead >= 10_000 + table.live.max(0) / 5;
    (is_late && is_wasteful).then_some(Vacuuming::Dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            kind: "r".to_owned(),
            tuples: Some(1_000.0),
            live: 1_000,
            analyzed: Some(DAY),
            vacuumed: Some(DAY * 2),
            freeze_max_age: 200_000_000,
            mxid_freeze_max_age: 400_000_000,
            ..Table::default()
        }
    }

    #[test]
    fn a_table_is_analyzed_where_autovacuum_does_not_see_to_it() {
        for (what, table, why) in [
            ("nothing changed", table(), None),
            ("a week, and nothing", Table { analyzed: Some(WEEK), ..table() }, None),
            ("a week", Table { analyzed: Some(WEEK), changed: 5, ..table() }, Some(Analyzing::Weekly)),
            ("less than a week", Table { changed: 5, ..table() }, None),
            ("forgotten", Table { analyzed: None, ..table() }, Some(Analyzing::Never)),
            ("empty", Table { analyzed: None, tuples: Some(0.0), ..table() }, None),
            ("never looked at", Table { analyzed: None, tuples: None, ..table() }, Some(Analyzing::Never)),
            ("loaded", Table { changed: 500, ..table() }, Some(Analyzing::Loaded)),
            ("large", Table { tuples: Some(5e6), changed: 100_000, ..table() }, Some(Analyzing::Large)),
            (
                "an expression",
                Table { missing: vec!["lower".to_owned()], ..table() },
                Some(Analyzing::Missing(vec!["lower".to_owned()])),
            ),
            ("foreign", Table { kind: "f".to_owned(), analyzed: None, ..table() }, Some(Analyzing::Foreign)),
        ] {
            assert_eq!(analyzing(&table), why, "{what}");
        }
    }

    #[test]
    fn a_parent_is_analyzed_after_its_parts() {
        let parent = Table { kind: "p".to_owned(), is_parent: true, ..table() };
        let never = Table { analyzed: None, ..parent.clone() };
        assert_eq!(analyzing(&never), Some(Analyzing::Parent));
        let behind = Table { parts_analyzed: Some(DAY / 2), ..parent.clone() };
        assert_eq!(analyzing(&behind), Some(Analyzing::Parent));
        let fresh = Table { parts_analyzed: Some(DAY * 2), ..parent.clone() };
        assert_eq!(analyzing(&fresh), None);
        assert_eq!(
            analyzing(&Table { tuples: Some(0.0), changed: 9, ..never.clone() }),
            Some(Analyzing::Parent),
            "its parts were just filled"
        );
        assert_eq!(
            analyzing(&Table { tuples: Some(0.0), ..never }),
            None,
            "without rows there is nothing to know"
        );
    }

    #[test]
    fn a_table_is_vacuumed_where_room_is_wasted_or_its_rows_are_old() {
        for (what, table, why) in [
            ("well", table(), None),
            ("dead", Table { dead: 10_200, ..table() }, Some(Vacuuming::Dead)),
            ("not yet late", Table { dead: 10_200, vacuumed: Some(DAY / 2), ..table() }, None),
            ("few", Table { dead: 9_000, ..table() }, None),
            ("old", Table { xid_age: 160_000_000, ..table() }, Some(Vacuuming::Freeze(Freezing::Soon))),
            (
                "of many",
                Table { mxid_age: 1_600_000_000, xid_age: 1_100_000_000, ..table() },
                Some(Vacuuming::Freeze(Freezing::Critical)),
            ),
            ("in hand", Table { xid_age: 160_000_000, is_being_vacuumed: true, ..table() }, None),
        ] {
            assert_eq!(vacuuming(&table), why, "{what}");
        }
    }

    #[test]
    fn what_matters_comes_first_and_of_the_same_what_is_small() {
        let few = Table { changed: 10, ..table() };
        let many = Table { changed: 100_000, ..table() };
        assert!(many.score(&Analyzing::Weekly) > few.score(&Analyzing::Weekly));
        assert!(few.score(&Analyzing::Parent) > few.score(&Analyzing::Loaded));
        let large = Table { tuples: Some(1e9), ..few.clone() };
        assert!(few.score(&Analyzing::Never) > large.score(&Analyzing::Never));
    }
}
