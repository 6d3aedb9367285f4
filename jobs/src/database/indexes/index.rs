//! What is known of an index.

use std::time::SystemTime;

/// An index as the catalogue and the counters of this server have it.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "so the catalogue says")]
pub struct Index {
    /// Its number. It changes with every rebuild that blocks nobody, so nothing is kept under it.
    pub oid: u32,
    /// The number of its table.
    pub table_oid: u32,
    /// Its schema, as it is called.
    pub schema: String,
    /// Its name without its schema, as it is called.
    pub bare: String,
    /// Its name as it is written in SQL, with its schema and in quotes where they are needed.
    pub name: String,
    /// Its table, in the same way.
    pub table: String,
    /// Its method: `btree`, `gin`, ...
    pub method: String,
    /// What it is ordered by.
    pub keys: Vec<Key>,
    /// Columns that it has beside its keys.
    pub included: Vec<String>,
    /// Which rows are in it, where not all are.
    pub predicate: Option<String>,
    /// No two rows have the same keys.
    pub is_unique: bool,
    /// NULLs are the same, too (from Postgres 15 on).
    pub nulls_not_distinct: bool,
    /// It is the primary key's.
    pub is_primary: bool,
    /// It belongs to an exclusion constraint.
    pub is_exclusion: bool,
    /// Uniqueness is checked at once, and not when a transaction ends.
    pub is_immediate: bool,
    /// Queries may use it.
    pub is_valid: bool,
    /// Writes keep it.
    pub is_ready: bool,
    /// It is not about to be dropped.
    pub is_live: bool,
    /// Logical replication tells rows by it.
    pub is_replica_identity: bool,
    /// The table was put into its order.
    pub is_clustered: bool,
    /// The constraint that it carries out, if it does.
    pub constraint: Option<String>,
    /// It came with an extension.
    pub is_of_extension: bool,
    /// It is for a table of the system, or a temporary one.
    pub is_of_system: bool,
    /// It is the common one of a partitioned table, and has no pages of its own.
    pub is_partitioned: bool,
    /// The index of the partitioned table that this is a part of.
    pub parent: Option<u32>,
    /// `fillfactor`, in per cent.
    pub fillfactor: u32,
    /// `deduplicate_items`.
    pub deduplicates: bool,
    /// Its tablespace, as it is called; none where it lies where the database does.
    pub tablespace: Option<String>,
    /// How many entries it has, as of the last look of VACUUM or ANALYZE; none where there was no such look.
    pub tuples: Option<f64>,
    /// How large it is.
    pub size: Size,
    /// How often it was scanned, since this server began to count.
    pub scans: i64,
    /// How many entries scans returned.
    pub read: i64,
    /// When it was scanned last (from Postgres 16 on).
    pub scanned_at: Option<SystemTime>,
    /// The statement that makes it.
    pub definition: String,
    /// The same for all indexes that do the same on the same table, whatever they are called.
    pub signature: String,
    /// Somebody is building it now.
    pub is_being_built: bool,
    /// How large it would be if it were made anew.
    pub estimate: Result<Estimate, Withheld>,
    /// The same if rows of equal keys did not share entries, where they may, and the index is of any size.
    pub unshared: Option<u64>,
}

/// A key of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The column, or the expression in SQL.
    pub text: String,
    /// The column's number; none for an expression.
    pub column: Option<i16>,
    /// The operator class, with its schema.
    pub class: String,
    /// The collation, with its schema; none where the type has none.
    pub collation: Option<String>,
    /// The greatest come first.
    pub is_descending: bool,
    /// NULLs come first.
    pub nulls_first: bool,
    /// The column takes no NULLs.
    pub is_not_null: bool,
}

/// How large something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// In bytes.
    Bytes(u64),
    /// Somebody has locked it for himself, or waits to: to ask would be to wait behind him.
    Locked,
}

/// How large an index would be if it were made anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// In bytes.
    pub bytes: u64,
    /// How much that can be trusted.
    pub trust: Trust,
}

/// How much a figure can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// It may be far off: it is not acted upon by itself.
    Low,
    /// It may be off by a tenth or two.
    Medium,
    /// It is off by a tenth at most.
    High,
}

/// Why there is no estimate. Nothing is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Its method has no model: only its own past says something.
    Method,
    /// Neither VACUUM nor ANALYZE has looked at it.
    NeverLooked,
    /// There are no statistics of a column, or this role may not see them.
    NoStatistics,
    /// So many rows changed since ANALYZE that its statistics say nothing.
    Stale,
    /// It has no pages of its own, is not valid, or somebody has locked it.
    NotThere,
}

impl Index {
    /// How many bytes it has, where that is known.
    pub fn bytes(&self) -> Option<u64> {
        match self.size {
            Size::Bytes(bytes) => Some(bytes),
            Size::Locked => None,
        }
    }

    /// How many bytes a rebuild would give back, and how much of the index that is, between 0 and 1.
    pub fn bloat(&self) -> Option<(u64, f64)> {
        let (bytes, estimate) = (self.bytes()?, self.estimate.ok()?);
        let excess = bytes.saturating_sub(estimate.bytes);
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = if bytes == 0 { 0.0 } else { excess as f64 / bytes as f64 };
        Some((excess, share))
    }
}
