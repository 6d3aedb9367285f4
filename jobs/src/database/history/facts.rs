//! What the past says, for whoever judges it.

use std::time::SystemTime;

/// How an index was used, over all servers that are watched.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexUse {
    /// Its schema, as it is called.
    pub schema: String,
    /// Its table, as it is called.
    pub table: String,
    /// Its name, as it is called.
    pub index: String,
    /// The signature that it had all the while.
    pub signature: String,
    /// Scans on all servers, in the whole window: also those that were seen on days that do not count.
    pub scans: i64,
    /// So many days count: they are whole, in one spell of counting each, and known of every server.
    pub days: u32,
    /// Servers that are to be watched and whose days are not all known: their names. Nothing is said without them.
    pub unknown_on: Vec<String>,
    /// When it was last scanned on any of them, as far as that is known.
    pub scanned_at: Option<SystemTime>,
}

/// Since when the counters of a server are what they are. A crash, a reset or a failover begins another spell: what was
/// counted before is gone, and nothing is compared across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// `primary`, or `replica`.
    pub node: String,
    /// When it began, as far as is known.
    pub began_at: SystemTime,
    /// What began it, for people: "the server crashed", "somebody reset the counters".
    pub why: String,
    /// Whether it was noticed while somebody watched, and all counters began anew: what was counted before it is lost.
    pub is_loss: bool,
}

/// How a table was used in a window of time.
#[derive(Debug, Clone, PartialEq)]
pub struct TableUse {
    /// As it is written in SQL.
    pub table: String,
    /// Of how long a time, in seconds.
    pub seconds: f64,
    /// Scans of the whole table.
    pub whole_scans: i64,
    /// The rows that they read.
    pub whole_rows: i64,
    /// Scans by an index.
    pub index_scans: i64,
    /// Rows that were added.
    pub inserted: i64,
    /// Rows that were changed.
    pub updated: i64,
    /// Of these, rows whose indexes had nothing to do (HOT).
    pub updated_in_place: i64,
    /// Rows that were deleted.
    pub deleted: i64,
}

/// What a statement cost in a window of time.
#[derive(Debug, Clone, PartialEq)]
pub struct StatementUse {
    /// The same for all statements that differ in literals, comments and white space only.
    pub fingerprint: String,
    /// Its text without literals; a statement that may hold secrets is only named by its kind.
    pub text: String,
    /// Of how long a time, in seconds.
    pub seconds: f64,
    /// How often it ran.
    pub calls: i64,
    /// How long that took, in ms.
    pub total_ms: f64,
    /// How long a call took in the mean, in ms.
    pub mean_ms: f64,
    /// By how much calls differ from the mean: the standard deviation, in ms.
    pub deviation_ms: f64,
    /// Its share of the time of all statements, between 0 and 1.
    pub share: f64,
    /// Rows it returned or changed.
    pub rows: i64,
    /// Blocks it found in memory.
    pub hit: i64,
    /// Blocks it read.
    pub read: i64,
    /// Blocks it wrote to temporary files.
    pub temp: i64,
    /// What is usual for it: the median of the mean of a call in ms, and how far it usually is from that (MAD), if
    /// there is enough of a past.
    pub usual_ms: Option<(f64, f64)>,
    /// Whether it became slower, as of the last three looks.
    pub is_regressed: bool,
    /// Whether it touches tables of schema `brasa` only, or none and only keeps a session going: nobody's of the
    /// application.
    pub is_ours: bool,
}
