//! Which tables are to be analyzed and vacuumed, in order.

use std::cmp::Reverse;

use super::debt::{Analyzing, Vacuuming, analyzing, vacuuming};
use super::look::{Table, Tables};

/// Tables, each with why.
#[derive(Debug, Clone, PartialEq)]
pub struct Due<W> {
    /// Those that are to be seen to, the most pressing first.
    pub tables: Vec<(Table, W)>,
    /// Those that other roles own, which this one cannot see to: their names.
    pub others: Vec<String>,
}

/// Which are to be analyzed; all where `all` says so.
pub fn to_analyze(tables: Tables, all: bool) -> Due<Analyzing> {
    let wants = |table: &Table| all.then_some(Analyzing::Asked).or_else(|| analyzing(table));
    // Their parts are analyzed with them.
    let wholes = tables.0.iter().filter(|table| table.kind == "p" && table.is_ours && wants(table).is_some());
    let wholes: Vec<_> = wholes.map(|table| table.oid).collect();
    let is_with_whole = |table: &Table| table.root.is_some_and(|root| wholes.contains(&root));
    let mut due = split(tables, |table| wants(table).filter(|_| !is_with_whole(table)));
    due.tables.sort_by(|(a, x), (b, y)| b.score(y).total_cmp(&a.score(x)));
    due
}

/// Which are to be vacuumed.
pub fn to_vacuum(tables: Tables) -> Due<Vacuuming> {
    let mut due = split(tables, vacuuming);
    due.tables.sort_by_key(|(table, _)| Reverse((table.freezing(), table.dead)));
    due
}

fn split<W>(tables: Tables, why: impl Fn(&Table) -> Option<W>) -> Due<W> {
    let mut due = Due { tables: Vec::new(), others: Vec::new() };
    for table in tables.0 {
        match why(&table) {
            Some(why) if table.is_ours => due.tables.push((table, why)),
            Some(_) => due.others.push(table.name),
            None => {}
        }
    }
    due
}
