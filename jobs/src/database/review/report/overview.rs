//! The database as it is: sizes, hit rates, connections, how far from wraparound.

use serde::Serialize;

use crate::database::review::facts::{Facts, Table, TableKind};
use crate::database::review::words::{about, count, float, near, percent, seconds, share, size, unsigned};

/// How many tables are shown.
const TABLES_MAX: usize = 10;
/// How many numbers transactions can have between the oldest row and now.
const XIDS: i64 = 1 << 31;

/// The database as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Figures with their names.
    pub figures: Vec<(String, String)>,
    /// The largest tables.
    pub tables: Vec<Line>,
}

/// A table, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// As it is written in SQL.
    pub name: String,
    /// How large it is without its indexes.
    pub size: String,
    /// How large it is with them.
    pub with_indexes: String,
    /// How many rows it has.
    pub rows: String,
    /// How many of them are dead.
    pub dead: String,
    /// When it was last analyzed.
    pub analyzed: String,
    /// When it was last vacuumed.
    pub vacuumed: String,
}

impl Overview {
    pub(super) fn of(facts: &Facts) -> Self {
        let mut largest: Vec<&Table> =
            facts.tables.iter().filter(|table| table.kind != TableKind::Partitioned).collect();
        largest.sort_by_key(|table| std::cmp::Reverse(table.bytes));
        let tables = largest.into_iter().take(TABLES_MAX).map(|table| line(facts, table)).collect();
        Self { figures: figures(facts), tables }
    }
}

fn figures(facts: &Facts) -> Vec<(String, String)> {
    let server = &facts.server;
    let mut figures = Vec::new();
    let mut add = |name: &str, value: String| figures.push((name.to_owned(), value));
    let unknown = || "not known".to_owned();
    add("Size of the database", server.bytes.map_or_else(unknown, size));
    let indexes: u64 = facts.indexes.iter().filter_map(crate::database::indexes::Index::bytes).sum();
    add(
        "Tables and indexes",
        format!("{} and {}, {} of it indexes", facts.tables.len(), facts.indexes.len(), size(indexes)),
    );
    add("Blocks found in memory", of_blocks(server.hit, server.read, server.counting));
    let rolled = share(server.rollbacks, server.commits + server.rollbacks);
    add(
        "Transactions",
        format!(
            "{} committed, {} of all rolled back, {} deadlocks",
            count(server.commits),
            percent(rolled),
            count(server.deadlocks)
        ),
    );
    add("Written to temporary files", size(unsigned(server.temp_bytes)));
    add("Connections", format!("{} of {} used", count(facts.activity.used), count(facts.activity.max)));
    if let Some(pool) = facts.pool {
        add(
            "Brasa's own pool",
            format!("{} open, {} of them idle, {} at most", pool.open, pool.idle, pool.max),
        );
    }
    let points = server.checkpoints;
    let forced = share(points.requested, points.timed + points.requested);
    add(
        "Checkpoints",
        format!("{}, {} of them forced", count(points.timed + points.requested), percent(forced)),
    );
    let left = |age: i64| near(1.0 - float(unsigned(age)) / float(unsigned(XIDS)));
    add(
        "Head-room before wraparound",
        format!("{} of transactions, {} of multixacts", left(server.xid_age), left(server.mxid_age)),
    );
    add(
        "Oldest transaction that holds back VACUUM",
        facts.holders.first().map_or_else(
            || "none".to_owned(),
            |one| {
                format!(
                    "{} transactions ago{}",
                    count(one.xids),
                    one.seconds.map_or_else(String::new, |s| format!(", open for {}", seconds(s)))
                )
            },
        ),
    );
    figures.extend(others(facts));
    figures
}

/// Standbys and caches.
fn others(facts: &Facts) -> Vec<(String, String)> {
    let mut figures = Vec::new();
    for standby in &facts.replication.standbys {
        let behind = standby.bytes.map_or_else(|| "not known".to_owned(), size);
        figures.push((format!("Standby {}", standby.name), format!("behind by {behind}")));
    }
    for cache in facts.caches.iter().filter(|cache| cache.reads() > 0) {
        let hits = float(cache.hits) / float(cache.reads());
        figures.push((format!("Cache {}", cache.name), format!("{} of reads find something", percent(hits))));
    }
    figures
}

fn of_blocks(hit: i64, read: i64, counting: Option<f64>) -> String {
    if hit + read == 0 {
        return "none were wanted yet".to_owned();
    }
    let hits = near(share(hit, hit + read));
    counting.map_or_else(|| hits.clone(), |counting| format!("{hits}, counted for {}", seconds(counting)))
}

fn line(facts: &Facts, table: &Table) -> Line {
    let unknown = || "not known".to_owned();
    let when =
        |span: Option<f64>| span.map_or_else(|| "never".to_owned(), |span| format!("{} ago", seconds(span)));
    Line {
        name: table.name.clone(),
        size: table.bytes.map_or_else(unknown, size),
        with_indexes: facts.bytes_with_indexes(table).map_or_else(unknown, size),
        rows: table.rows.map_or_else(unknown, about),
        dead: percent(share(table.dead, table.dead + table.live)),
        analyzed: when(table.analyzed),
        vacuumed: when(table.vacuumed),
    }
}
