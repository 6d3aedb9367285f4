//! Reading the values of one warmer.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::cache::reader::known::{Known, Target};
use crate::cache::reader::lines::Lines;
use crate::cache::reader::tally::{Tallied, Tally};
use crate::cache::reader::{Cache, CacheError, Read};
use crate::cache::{Namespace, params_of};

/// How long what is known about a warmer is used before it is asked for again.
const KNOWN_FOR: Duration = Duration::from_secs(10);
/// The same where it could not be asked for.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The values of one warmer, for those who read them. Cheap to clone.
#[derive(Clone)]
pub struct Warmed {
    pub(super) cache: Cache,
    pub(super) warmer: Arc<Warmer>,
}

/// What this process knows about a warmer.
pub(super) struct Warmer {
    pub(super) namespace: Namespace,
    pub(super) reads: Arc<Lines<Result<Read, CacheError>>>,
    pub(super) glances: Arc<Lines<Result<Option<Read>, CacheError>>>,
    pub(super) tally: Tally,
    known: RwLock<Option<Lesson>>,
    learning: tokio::sync::Mutex<()>,
}

/// What was learnt, and until when it is good.
#[derive(Clone)]
struct Lesson {
    known: Arc<Known>,
    until: Instant,
    /// How often workers had told something by then.
    told: u64,
}

/// A read, and what it was of where Redis was asked.
pub(super) struct Found {
    pub(super) read: Read,
    pub(super) asked: Option<(Arc<Known>, Arc<Target>)>,
}

impl fmt::Debug for Warmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warmed").field("warmer", &self.name()).finish_non_exhaustive()
    }
}

impl Warmer {
    pub(super) fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            reads: Arc::default(),
            glances: Arc::default(),
            tally: Tally::default(),
            known: RwLock::default(),
            learning: tokio::sync::Mutex::default(),
        }
    }

    fn lesson(&self) -> Option<Lesson> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, lesson: Lesson) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(lesson);
    }
}

impl Warmed {
    pub(super) fn new(cache: Cache, warmer: Arc<Warmer>) -> Self {
        Self { cache, warmer }
    }

    /// The name of the warmer.
    pub fn name(&self) -> &str {
        self.warmer.namespace.name()
    }

    /// The value with these parameters, in the warmer's order. Where it is old or missing, it is asked for.
    ///
    /// # Errors
    /// Redis is out of reach, nothing is known about the warmer, or the parameters are not its own.
    pub async fn get<P: AsRef<str> + Sync>(&self, params: &[P]) -> Result<Read, CacheError> {
        Ok(self.find(params).await?.read)
    }

    /// The value from JSON; nothing where there is none at present.
    ///
    /// # Errors
    /// As [`Self::get`]; or it is no JSON, or another one.
    pub async fn json<T: DeserializeOwned>(
        &self,
        params: &[impl AsRef<str> + Sync],
    ) -> Result<Option<T>, CacheError> {
        self.get(params).await?.json()
    }

    /// One read, which is counted.
    pub(super) async fn find<P: AsRef<str> + Sync>(&self, params: &[P]) -> Result<Found, CacheError> {
        let known = self.known().await?;
        let key = known.key(params)?;
        self.sample(params);
        if let Some(read) = self.find_local(&key) {
            return Ok(Found { read, asked: None });
        }
        let target = Arc::new(known.target(key, params)?);
        let begun = Instant::now();
        let read = self.ask(&known, &target).await;
        known.seconds.record(begun.elapsed());
        let read = read.or_else(|error| self.resort(&target.key).ok_or(error))?;
        self.warmer.tally.count_read(read.state);
        Ok(Found { read, asked: Some((known, target)) })
    }

    /// The value from this process, which is counted.
    pub(super) fn find_local(&self, key: &str) -> Option<Read> {
        let inner = &self.cache.inner;
        let local = inner.local.as_ref()?;
        let now_ms = inner.now_ms();
        let read = local.find(key, now_ms)?.read(true, now_ms);
        self.warmer.tally.count(Tallied::Local);
        self.warmer.tally.count_read(read.state);
        Some(read)
    }

    /// What this process still has of a value that Redis cannot be asked for.
    pub(super) fn resort(&self, key: &str) -> Option<Read> {
        let inner = &self.cache.inner;
        let now_ms = inner.now_ms();
        Some(inner.local.as_ref()?.last_resort(key, now_ms)?.read(false, now_ms))
    }

    /// Counts some of the reads among the hot.
    pub(super) fn sample<P: AsRef<str>>(&self, params: &[P]) {
        let one_of = self.cache.inner.settings.sampling;
        if one_of > 0 && rand::random_range(0..one_of) == 0 {
            self.warmer.tally.sample(params_of(params));
        }
    }

    /// What is known about the warmer; asked of Redis where that is long ago, or a worker has told something since.
    pub(super) async fn known(&self) -> Result<Arc<Known>, CacheError> {
        let inner = &self.cache.inner;
        inner.begin();
        let told = inner.told.load(Ordering::Relaxed);
        let is_good = |lesson: &Lesson| lesson.told == told && Instant::now() < lesson.until;
        let old = self.warmer.lesson();
        if let Some(lesson) = old.as_ref().filter(|lesson| is_good(lesson)) {
            return Ok(Arc::clone(&lesson.known));
        }
        let _turn = match (self.warmer.learning.try_lock(), &old) {
            (Ok(turn), _) => turn,
            // Somebody asks already.
            (Err(_), Some(old)) => return Ok(Arc::clone(&old.known)),
            (Err(_), None) => self.warmer.learning.lock().await,
        };
        let old = self.warmer.lesson();
        if let Some(lesson) = old.as_ref().filter(|lesson| is_good(lesson)) {
            return Ok(Arc::clone(&lesson.known));
        }
        let (known, lasts) = match (self.ask_what_it_is(old.as_ref().map(|old| &old.known)).await, old) {
            (Ok(known), _) => (known, KNOWN_FOR),
            (Err(error), None) => return Err(error),
            (Err(error), Some(old)) => {
                tracing::debug!(warmer = self.name(), %error, "what was known about a warmer is used on");
                (old.known, RETRY_AFTER)
            }
        };
        self.warmer.learn(Lesson { known: Arc::clone(&known), until: Instant::now() + lasts, told });
        Ok(known)
    }

    async fn ask_what_it_is(&self, old: Option<&Arc<Known>>) -> Result<Arc<Known>, CacheError> {
        let inner = &self.cache.inner;
        let described = inner.through(inner.caches.described(self.name())).await?;
        let description = described.ok_or_else(|| CacheError::Unknown(self.name().to_owned()))?;
        if let Some(old) = old.filter(|old| old.description == description) {
            return Ok(Arc::clone(old));
        }
        let known = Known::new(&self.warmer.namespace, description)?;
        if let Some(local) = &inner.local {
            local.want(&known.prefixes);
        }
        Ok(Arc::new(known))
    }
}
