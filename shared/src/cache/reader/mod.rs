//! Reading the cache in an application.
//!
//! A [`Cache`] is opened once and cloned wherever it is needed; a [`Warmed`] reads the values of one warmer. A read
//! is one round trip where the value is fresh, and none where this process has read it lately. Where it is old or
//! missing, whoever comes first asks a worker for it: no request computes what a worker computes once.
//!
//! - **Nothing old after an invalidation.** A read that begins after an invalidation was told sees it. Values that
//!   are kept in this process (L1) are dropped as Redis says so, a moment later, and all of them when that line is
//!   silent or broken.
//! - **Nobody waits for long.** Each call has a limit: [`Builder::patience`] for Redis, and what the caller says
//!   for a value that is being loaded. While Redis is away, only one read in half a second tries it.
//! - **Nothing is lost with Redis.** [`Warmed::get_or`] loads directly then, a few at a time, and once for all who
//!   wait for the same. What it loads is not cached: only workers know which snapshot a value is from.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use brasa_shared::cache::{Cache, State};
//!
//! # async fn load_board(_: &str, _: &str) -> std::io::Result<Option<Vec<u8>>> { Ok(None) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = Cache::open("redis://127.0.0.1:6379", "brasa")?;
//! let boards = cache.warmer("departures-board");
//!
//! // What is there now. Parameters are in the warmer's order.
//! let board = boards.get(&["JFK", "2013-01-05"]).await?;
//! match board.state {
//!     State::Fresh | State::Stale | State::Direct => println!("{:?}", board.text()),
//!     State::None => println!("there is no such board"),
//!     State::Missing(why) => println!("not yet: {}", why.word()),
//! }
//!
//! // Many in one round trip.
//! let both = boards.get_many(&[["JFK", "2013-01-05"], ["EWR", "2013-01-05"]]).await?;
//! assert_eq!(both.len(), 2);
//!
//! // What a worker is loading is worth a moment.
//! let board = boards.get_or_wait(&["JFK", "2013-01-05"], Duration::from_millis(500)).await?;
//! println!("{:?}, {:?} old", board.state, board.age);
//!
//! // And where nobody loads it in time, or Redis is away, we do.
//! let board = boards.get_or(&["JFK", "2013-01-05"], || load_board("JFK", "2013-01-05")).await?;
//! let flights: Option<Vec<String>> = board.json()?;
//! # drop(flights);
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cache::{Caches, Dictionaries};
use crate::store::{Store, StoreError};

mod breaker;
mod builder;
mod direct;
mod error;
mod fetch;
mod found;
mod known;
mod lines;
mod local;
mod many;
mod tally;
mod tracking;
mod upkeep;
mod wait;
mod warmed;

pub use builder::Builder;
pub use error::CacheError;
pub use found::{Read, State};
pub use warmed::Warmed;

use breaker::Breaker;
use direct::Direct;
use local::Local;
use warmed::Warmer;

/// The cache of an application, for those who read it. Cheap to clone; clones share everything.
///
/// It begins to work when it is first read, in the runtime that it is read in. When the last clone is dropped, and
/// the last [`Warmed`], what was counted is still told; [`Cache::flush`] waits for that.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
    // The tasks in the background end with the last clone.
    _open: Arc<DropGuard>,
}

struct Inner {
    caches: Caches,
    /// The same connection, for those who can wait.
    patient: Store,
    settings: Builder,
    local: Option<Arc<Local>>,
    breaker: Breaker,
    direct: Direct,
    dictionaries: Dictionaries,
    warmers: Mutex<BTreeMap<String, Arc<Warmer>>>,
    /// How often a worker has told something about warmers since we listen.
    told: Arc<AtomicU64>,
    has_begun: AtomicBool,
    over: CancellationToken,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("redis", &self.inner.patient.address()).finish_non_exhaustive()
    }
}

impl Cache {
    /// The cache in the Redis at `url` whose keys begin with `prefix`; connects when first used.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn open(url: &str, prefix: &str) -> Result<Self, StoreError> {
        Self::builder().open(url, prefix)
    }

    /// The same with other settings than usual.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The values of the warmer `name`. What it is, is asked of Redis when it is first read.
    #[must_use]
    pub fn warmer(&self, name: &str) -> Warmed {
        let mut warmers = self.inner.warmers.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Warmer::new(self.inner.caches.namespace(name)));
        let warmer = Arc::clone(warmers.entry(name.to_owned()).or_insert_with(made));
        Warmed::new(self.clone(), warmer)
    }

    /// Tells Redis now what was read since it was last told, which else happens every ten seconds.
    ///
    /// # Errors
    /// Redis is out of reach. What could not be told is told later, unless it may have arrived.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush().await
    }

    fn with(store: Store, prefix: &str, settings: Builder) -> Self {
        let over = CancellationToken::new();
        let hurried = store.clone().within(settings.patience);
        let inner = Inner {
            caches: Caches::new(hurried, prefix, settings.clock.clone()),
            patient: store,
            local: (settings.l1_bytes > 0).then(|| Arc::new(Local::new(settings.l1_bytes, settings.l1_ttl))),
            breaker: Breaker::default(),
            direct: Direct::new(settings.direct),
            dictionaries: Dictionaries::default(),
            warmers: Mutex::default(),
            told: Arc::default(),
            has_begun: AtomicBool::new(false),
            over: over.clone(),
            settings,
        };
        Self { inner: Arc::new(inner), _open: Arc::new(over.drop_guard()) }
    }
}

impl Inner {
    /// Starts what goes on in the background, once.
    fn begin(self: &Arc<Self>) {
        if self.has_begun.load(Ordering::Relaxed) || self.has_begun.swap(true, Ordering::Relaxed) {
            return;
        }
        tokio::spawn(upkeep::keep_up(Arc::clone(self)));
        if let Some(local) = &self.local {
            tokio::spawn(tracking::keep_tracking(Arc::clone(self), Arc::clone(local)));
        }
    }

    /// Asks Redis, unless it was found to be away just now.
    async fn through<T>(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, CacheError> {
        self.breaker.check().map_err(CacheError::Redis)?;
        let answer = ask.await.map_err(Arc::new);
        self.breaker.heed(answer.as_ref().err());
        answer.map_err(CacheError::Redis)
    }

    /// The time, ms since 1970.
    fn now_ms(&self) -> i64 {
        self.settings.clock.now().as_millisecond()
    }
}
