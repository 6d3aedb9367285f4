//! `[postgres]`: where the application's data lives, and how many connections may be taken.

use std::time::Duration;

use super::address::Address;
use super::problem::Origin;
use super::secret::Secret;
use super::section::Section;

pub(super) const SCHEMES: &[&str] = &["postgres", "postgresql"];

/// Shorter time limits than this are slips: no statement and no connection is that fast.
const TIME_LIMIT_MIN: Duration = Duration::from_millis(1);

/// How many connections one process may hold.
const POOL_MAX: u32 = 1_000;

/// The section `[postgres]`.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// Where the section was written.
    pub origin: Origin,
    /// The address of the primary, from `DATABASE_URL`, `url` or `url_file`; none if none of them gives one.
    pub url: Option<Secret>,
    /// The address of a replica to read from, from `replica_url` or `replica_url_file`; none by default.
    pub replica_url: Option<Secret>,
    /// How connections are held.
    pub pool: Pool,
    /// After how long a statement is cancelled that names no limit of its own; 30 s by default.
    pub statement_timeout: Duration,
}

/// `pool` in `[postgres]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// How many connections a process holds at most; 10 by default.
    pub max: u32,
    /// How long to wait for a free one; 5 s by default.
    pub acquire_timeout: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Self { max: 10, acquire_timeout: Duration::from_secs(5) }
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            origin: Origin::default(),
            url: None,
            replica_url: None,
            pool: Pool::default(),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

impl Postgres {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let primary =
            Address { key: "url", file_key: "url_file", variable: Some("DATABASE_URL"), schemes: SCHEMES };
        let replica =
            Address { key: "replica_url", file_key: "replica_url_file", variable: None, schemes: SCHEMES };
        let default = Self::default();
        Self {
            origin: section.origin(),
            url: primary.read(section),
            replica_url: replica.read(section),
            pool: section.table("pool", Pool::read),
            statement_timeout: section
                .duration("statement_timeout", TIME_LIMIT_MIN)
                .unwrap_or(default.statement_timeout),
        }
    }
}

impl Pool {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            max: section.whole("max", 1..=POOL_MAX).unwrap_or(default.max),
            acquire_timeout: section
                .duration("acquire_timeout", TIME_LIMIT_MIN)
                .unwrap_or(default.acquire_timeout),
        }
    }
}
