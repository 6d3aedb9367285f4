//! From when on something is worth a word.

use brasa_shared::config::Indexes;

/// From when on something is worth a word. Times are in seconds, shares between 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// A smaller index is not worth a rebuild.
    pub bloated_bytes: u64,
    /// Less to be won is not worth a rebuild.
    pub bloat_bytes: u64,
    /// A smaller share to be won is not worth a rebuild.
    pub bloat: f64,
    /// So many days without a scan say that an index is not used.
    pub unused_days: u32,
    /// A foreign key of a table with fewer rows is checked fast enough without an index.
    pub foreign_key_rows: f64,
    /// A plan that reads fewer rows than these is fast enough.
    pub scan_rows: f64,
    /// A plan that keeps more than this share of what it reads is not helped by an index.
    pub scan_kept: f64,
    /// A smaller table may be read as a whole.
    pub seq_scan_bytes: u64,
    /// Statistics are stale where this share of the rows changed since.
    pub stale: f64,
    /// Fewer changes never make them so.
    pub stale_rows: i64,
    /// A table is full of dead rows from this share on.
    pub dead: f64,
    /// Fewer dead rows never count.
    pub dead_rows: i64,
    /// For how long autovacuum may be late.
    pub vacuum_late: f64,
    /// For how long a transaction may hold back VACUUM.
    pub holder: f64,
    /// How far a slot or a standby may lag in transactions.
    pub holder_xids: i64,
    /// For how long a session may be idle in a transaction.
    pub idle: f64,
    /// For how long a statement may wait for a lock.
    pub blocked: f64,
    /// How much of a sequence may be used up.
    pub sequence: f64,
    /// How many of the connections may be used.
    pub connections: f64,
    /// A call that takes this long in the mean is slow, in ms.
    pub slow_ms: f64,
    /// Fewer calls say nothing.
    pub slow_calls: i64,
    /// A statement with this share of all time is worth a look, however fast it is.
    pub heavy: f64,
    /// Caches that find less are worth a look.
    pub cache_hits: f64,
    /// Expired rows are worth a word from this share on.
    pub expired: f64,
    /// How far a standby may lag, in seconds and bytes.
    pub lag: (f64, u64),
    /// How much WAL a slot may retain.
    pub slot_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MB: u64 = 1 << 20;
        Self {
            bloated_bytes: 16 * MB,
            bloat_bytes: 8 * MB,
            bloat: 0.3,
            unused_days: 35,
            foreign_key_rows: 10_000.0,
            scan_rows: 10_000.0,
            scan_kept: 0.01,
            seq_scan_bytes: 10 * MB,
            stale: 0.2,
            stale_rows: 1_000,
            dead: 0.2,
            dead_rows: 10_000,
            vacuum_late: 86_400.0,
            holder: 3_600.0,
            holder_xids: 1_000_000,
            idle: 300.0,
            blocked: 5.0,
            sequence: 0.8,
            connections: 0.8,
            slow_ms: 100.0,
            slow_calls: 20,
            heavy: 0.1,
            cache_hits: 0.8,
            expired: 0.2,
            lag: (30.0, 16 * MB),
            slot_bytes: 10 << 30,
        }
    }
}

impl Limits {
    /// What an index must be to be worth a rebuild is said in the configuration.
    pub fn of(rules: &Indexes) -> Self {
        Self {
            bloated_bytes: rules.size_min,
            bloat_bytes: rules.gain_min,
            bloat: f64::from(rules.bloat_min) / 100.0,
            ..Self::default()
        }
    }
}
