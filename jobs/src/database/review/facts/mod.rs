//! What a review knows: facts from the database, each with the subject that it belongs to, and what could not be had.

mod activity;
mod caches;
mod expired;
mod foreign_keys;
mod gap;
mod harmless;
mod horizon;
mod limits;
mod metapages;
mod plans;
mod relations;
mod replication;
mod scan;
mod sequences;
mod server;
mod tables;
mod upserts;

pub use activity::{Activity, Block, Client, Session};
pub use caches::CacheUse;
pub use expired::Expired;
pub use foreign_keys::{ForeignKey, Part};
pub use gap::{Gap, Subject};
pub use horizon::{Holder, HolderKind};
pub use limits::Limits;
pub use replication::{Replication, Slot, Standby};
pub use scan::{Condition, Scan};
pub use sequences::Sequence;
pub use server::{Checkpoints, Server, StatementsModule};
pub use tables::{Table, TableKind};
pub use upserts::Upserts;

pub(in crate::database) use {activity::activity, horizon::horizon};
pub(super) use {caches::caches, expired::expired, foreign_keys::foreign_keys};
pub(super) use {metapages::metapages, plans::plans, relations::relations, replication::replication};
pub(super) use {sequences::sequences, server::server, tables::tables, upserts::upserts};

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::database::history::{IndexUse, Spell, StatementUse, TableUse};
use crate::database::indexes::Index;

/// What a review knows.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// When it looked, in seconds since 1970, by the clock of the database.
    pub at: f64,
    /// From when on something is worth a word.
    pub limits: Limits,
    /// The server and this database.
    pub server: Server,
    /// The indexes of the application's tables.
    pub indexes: Vec<Index>,
    /// Those in which rows of equal keys share no entries and could, by their numbers.
    pub unshared: Vec<u32>,
    /// Names of relations that end as those of proposed indexes do, each after its schema.
    pub relations: Vec<(String, String)>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// The application's tables.
    pub tables: Vec<Table>,
    /// Who keeps old rows from being cleaned up.
    pub holders: Vec<Holder>,
    /// Who is connected, and waits for whom.
    pub activity: Activity,
    /// Sequences, with the columns that they fill.
    pub sequences: Vec<Sequence>,
    /// Standbys and slots.
    pub replication: Replication,
    /// Scans of whole tables for a few rows, in the plans of the statements that cost the most.
    pub scans: Vec<Scan>,
    /// How many rows have expired, for each `[maintenance.prune.NAME]`.
    pub expired: Vec<Expired>,
    /// How well the caches serve.
    pub caches: Vec<CacheUse>,
    /// Our own pool.
    pub pool: Option<PoolUse>,
    /// How indexes were used, over all servers.
    pub index_uses: Vec<IndexUse>,
    /// Since when counters are what they are.
    pub spells: Vec<Spell>,
    /// How tables were used.
    pub table_uses: Vec<TableUse>,
    /// What statements cost.
    pub statement_uses: Vec<StatementUse>,
    /// Statements and functions with ON CONFLICT.
    pub upserts: Upserts,
    /// The fewest bytes that an entry of an index ever took, by schema and name.
    pub ratios: BTreeMap<(String, String), f64>,
    /// Invalid indexes that a rebuild of ours left behind, by their numbers.
    pub leftovers: Vec<u32>,
    /// Rebuilds that ended well.
    pub rebuilds: Vec<Rebuild>,
    /// The servers whose use of indexes is recorded: `primary`, and `replica` where it is.
    pub watched: Vec<String>,
    /// What could not be had, and why.
    pub gaps: Vec<Gap>,
}

/// Our own pool of connections, in the process that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that are open.
    pub open: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// How many there may be.
    pub max: u32,
}

/// A rebuild of an index that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// The index, as it is written in SQL.
    pub index: String,
    /// How long ago, in seconds.
    pub seconds_ago: u64,
    /// How large it was before.
    pub before: u64,
    /// How large it was after.
    pub after: u64,
}

impl Facts {
    /// Whether everything about a subject is known.
    pub fn knows(&self, subject: Subject) -> bool {
        self.gaps.iter().all(|gap| gap.subject != subject)
    }

    /// Whether nothing about a subject is known: what is not there is no evidence then, and nothing is judged by it.
    pub fn misses(&self, subject: Subject) -> bool {
        self.gaps.iter().any(|gap| gap.subject == subject && !gap.is_partial)
    }

    /// The table of that number.
    pub fn table(&self, oid: u32) -> Option<&Table> {
        self.tables.iter().find(|table| table.oid == oid)
    }

    /// Indexes that a rebuild makes so much smaller that it is worth it.
    pub fn bloated_indexes(&self) -> impl Iterator<Item = &Index> {
        let limits = &self.limits;
        self.indexes.iter().filter(|index| {
            let is_worth_it = index
                .bloat()
                .is_some_and(|(excess, share)| excess >= limits.bloat_bytes && share >= limits.bloat);
            let is_large = index.bytes().is_some_and(|bytes| bytes >= limits.bloated_bytes);
            is_large && is_worth_it && index.is_valid && !index.is_exclusion && !index.is_of_system
        })
    }

    /// How large a table is with its indexes, as far as that is known.
    pub fn bytes_with_indexes(&self, table: &Table) -> Option<u64> {
        let indexes =
            self.indexes.iter().filter(|index| index.table_oid == table.oid && !index.is_partitioned);
        indexes.map(Index::bytes).try_fold(table.bytes?, |sum, bytes| Some(sum + bytes?))
    }
}

/// A number of the catalogue that was selected as `bigint`.
fn oid(row: &PgRow, column: &str) -> Result<u32, sqlx::Error> {
    u32::try_from(row.try_get::<i64, _>(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A size that was selected as `bigint`, where it is known.
fn maybe_bytes(row: &PgRow, column: &str) -> Result<Option<u64>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|bytes| u64::try_from(bytes).ok()))
}
