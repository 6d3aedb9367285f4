//! The settings of a cache.

use std::time::Duration;

use crate::cache::reader::Cache;
use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// The settings of a [`Cache`]; what is not said is as it is for most.
///
/// ```no_run
/// use brasa_shared::cache::Cache;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().l1_bytes(64 << 20).direct(4).open("redis://127.0.0.1:6379", "brasa")?;
/// # drop(cache);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    pub(super) l1_bytes: u64,
    pub(super) l1_ttl: Duration,
    pub(super) sampling: u32,
    pub(super) patience: Duration,
    pub(super) wait: Duration,
    pub(super) direct: usize,
    pub(super) clock: Clock,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            l1_bytes: 32 << 20,
            l1_ttl: Duration::from_secs(5),
            sampling: 64,
            patience: Duration::from_millis(250),
            wait: Duration::from_millis(500),
            direct: 8,
            clock: Clock::System,
        }
    }
}

impl Builder {
    /// How many bytes of values are kept in this process; 32 MiB, and 0 for none.
    pub fn l1_bytes(mut self, bytes: u64) -> Self {
        self.l1_bytes = bytes;
        self
    }

    /// Keeps no values in this process.
    pub fn without_l1(self) -> Self {
        self.l1_bytes(0)
    }

    /// How long a value is kept in this process at most; 5 seconds. It is also how old a value may be that is
    /// served while Redis is away.
    pub fn l1_ttl(mut self, ttl: Duration) -> Self {
        self.l1_ttl = ttl;
        self
    }

    /// One of how many reads is counted among the hot; 64, and 0 for none.
    pub fn sampling(mut self, one_of: u32) -> Self {
        self.sampling = one_of;
        self
    }

    /// How long a read waits for each answer of Redis; 250 ms.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long [`Warmed::get_or`](super::Warmed::get_or) waits for a value that somebody loads, and where it loads
    /// by itself, for its turn; 500 ms.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How many may load directly at a time; 8.
    pub fn direct(mut self, permits: usize) -> Self {
        self.direct = permits;
        self
    }

    /// Whose clock says what is fresh; the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The cache in the Redis at `url` whose keys begin with `prefix`; connects when first used.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn open(self, url: &str, prefix: &str) -> Result<Cache, StoreError> {
        Ok(Cache::with(Store::open(url)?, prefix, self))
    }
}
