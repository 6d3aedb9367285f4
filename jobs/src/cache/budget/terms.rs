//! What is said to a budget, and what it says.

use std::time::Duration;

/// What is never exceeded, however well it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Caps {
    /// The most batches at once. At least one may run.
    pub batches: u32,
    /// The most keys that are loaded in a second, over all warmers.
    pub keys_per_second: Option<u32>,
    /// The most seconds that batches take in a second, over the last ten: 0.5 is half of one connection's time. Those
    /// that run when it is reached may exceed it.
    pub share: Option<f64>,
    /// So many backends of others may be active before the database counts as busy.
    pub others: u32,
    /// How large the window is at most while more are.
    pub busy: f64,
    /// How far behind a replica may be.
    pub replica_lag: Duration,
}

impl Caps {
    /// The most batches at once.
    pub(super) fn most(&self) -> usize {
        usize::try_from(self.batches).unwrap_or(usize::MAX).max(1)
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            batches: 2,
            keys_per_second: None,
            share: None,
            others: 0,
            busy: 0.04,
            replica_lag: Duration::from_secs(10),
        }
    }
}

/// What else was seen while a batch ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// The active backends that are not loaders', if they were counted. Zero says that all could have been seen.
    pub others_active: Option<u32>,
    /// How long the batch waited for a connection of the pool.
    pub pool_waited: Duration,
    /// How far behind the replica is that was read from, if one was.
    pub replica_lag: Option<Duration>,
    /// The batch failed, or took longer than it was allowed.
    pub failed: bool,
}

/// Why the window became smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brake {
    /// A batch took half as long again as the least that batches like it took lately, and others were there.
    Slow,
    /// A batch failed, or nobody said how it ended.
    Failed,
    /// A batch waited for a connection.
    PoolWait,
    /// A replica is too far behind.
    ReplicaLag,
    /// Too many backends of others are active.
    Others,
}

impl Brake {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Failed => "failed",
            Self::PoolWait => "pool_wait",
            Self::ReplicaLag => "replica_lag",
            Self::Others => "others",
        }
    }
}

/// How a budget stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetState {
    /// The batches that may run at once. Below one: the share of the time that one may run.
    pub window: f64,
    /// The batches that run.
    pub running: usize,
    /// The callers that wait to run one.
    pub waiting: usize,
    /// The seconds that batches took in each of the last ten seconds.
    pub busy_share: f64,
    /// How often the window was halved.
    pub halvings: u64,
    /// Why it last became smaller.
    pub why: Option<Brake>,
}
