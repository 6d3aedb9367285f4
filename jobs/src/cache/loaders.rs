//! What all loads of a process share: where they read, what they may take, what they have learned.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brasa_shared::cache::{Caches, Dictionaries, Dictionary, MARKS_KEPT, Server};
use brasa_shared::config::{Config, FillFrom, Warmer};
use brasa_shared::db::changes::horizon;
use brasa_shared::store::StoreError;
use sqlx::{PgConnection, PgPool, Row as _};
use tokio::time::Instant;

use crate::cache::budget::{Budget, Caps};
use crate::cache::plan::{LoaderProblem, Plan};

/// The shortest lease: so long may whoever loads a value take before somebody else may.
const LEASE_MIN: Duration = Duration::from_secs(2);
/// How much longer than a statement may run the longest lease is.
const LEASE_BEYOND: Duration = Duration::from_secs(5);
/// The lease before anything was loaded.
const LEASE_AT_FIRST: Duration = Duration::from_secs(10);
/// For how long it is believed how far a replica lags.
const LAG_BELIEVED: Duration = Duration::from_millis(500);
/// For how long it is believed which dictionary is used.
const DICTIONARY_BELIEVED: Duration = Duration::from_mins(1);

/// What all loads of a process share.
#[derive(Debug)]
pub struct Loaders {
    /// The cache that is filled.
    pub caches: Caches,
    /// What loads may take of the database.
    pub budget: Budget,
    primary: PgPool,
    replica: Option<PgPool>,
    /// How long a loader's statement may run: of each warmer, and of those that do not say.
    timeouts: (HashMap<String, Duration>, Duration),
    lag_max: Duration,
    lag: tokio::sync::Mutex<Option<(Instant, Option<Duration>)>>,
    evictions: Mutex<Evictions>,
    dictionaries: Dictionaries,
    known: Mutex<HashMap<String, Known>>,
}

/// What Redis has evicted, as far as it was looked at, and until when replicas are not to be read for it.
#[derive(Debug, Default)]
struct Evictions {
    seen: Option<Server>,
    barred_until: Option<Instant>,
}

/// What is known about a warmer.
#[derive(Debug, Default)]
struct Known {
    plan: Option<Arc<Plan>>,
    slowest: Option<Duration>,
    dictionary: Option<Believed>,
}

/// Which dictionary is used.
#[derive(Debug, Clone)]
struct Believed {
    at: Instant,
    found: Option<Arc<Dictionary>>,
    /// Whether there were enough samples to learn from.
    was_learned: bool,
}

/// A database to read from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its connections.
    pub pool: PgPool,
    /// Whether the configuration calls it the replica.
    pub is_replica: bool,
    /// How far it lags behind, where that was looked at.
    pub lag: Option<Duration>,
}

impl Loaders {
    /// Loads from these databases into this cache, as the configuration allows.
    pub fn new(config: &Config, caches: Caches, primary: PgPool, replica: Option<PgPool>) -> Self {
        let section = &config.cache;
        let caps = Caps {
            batches: section.loaders,
            keys_per_second: section.keys_per_second,
            others: section.busy_at,
            busy: f64::from(section.busy_percent) / 100.0,
            replica_lag: section.lag_max,
            ..Caps::default()
        };
        let timeout = |(name, warmer): (&String, &Warmer)| Some((name.clone(), warmer.timeout?));
        Self {
            caches,
            timeouts: (config.warm.iter().filter_map(timeout).collect(), config.postgres.statement_timeout),
            budget: Budget::new(caps),
            primary,
            replica,
            lag_max: section.lag_max,
            lag: tokio::sync::Mutex::default(),
            evictions: Mutex::default(),
            dictionaries: Dictionaries::default(),
            known: Mutex::default(),
        }
    }

    /// The application's primary.
    pub fn primary(&self) -> Origin {
        Origin { pool: self.primary.clone(), is_replica: false, lag: None }
    }

    /// Where the warmer wants to be loaded from: the replica, if there is one and it does not lag too far behind.
    pub async fn origin(&self, warmer: &Warmer) -> Origin {
        let (FillFrom::Replica, Some(replica)) = (warmer.fill_from, &self.replica) else {
            return self.primary();
        };
        match self.lag_of(replica).await {
            Some(lag) if lag <= self.lag_max => {
                Origin { pool: replica.clone(), is_replica: true, lag: Some(lag) }
            }
            _ => self.primary(),
        }
    }

    /// Whether what a replica shows can be judged: not while Redis may have evicted a mark that says what the replica
    /// has not seen yet. To be asked under the lease of what is loaded: a mark that is evicted later takes the lease
    /// with it.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn trusts_replica(&self) -> Result<bool, StoreError> {
        let server = self.caches.server().await?;
        let mut evictions = self.evictions.lock().unwrap_or_else(PoisonError::into_inner);
        // When those were that are seen for the first time, nobody knows.
        let has_moved = evictions.seen.as_ref().map_or(server.evicted > 0, |seen| *seen != server);
        if has_moved {
            tracing::debug!(evicted = server.evicted, "Redis evicts: replicas are not read for a while");
            evictions.barred_until = Some(Instant::now() + MARKS_KEPT);
        }
        evictions.seen = Some(server);
        Ok(evictions.barred_until.is_none_or(|until| until <= Instant::now()))
    }

    /// How far a replica lags behind; none if nobody can say.
    async fn lag_of(&self, replica: &PgPool) -> Option<Duration> {
        // Received and replayed alike is no lag, however long ago the last transaction was; but only while something
        // is received. And what is no replica counts transactions of its own, which say nothing here.
        let ask = "select case when not pg_is_in_recovery() then null
            when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() and exists (select from pg_stat_wal_receiver)
            then 0 else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end::float8";
        let mut last = self.lag.lock().await;
        if let Some((at, lag)) = *last
            && at.elapsed() < LAG_BELIEVED
        {
            return lag;
        }
        let asked = tokio::time::timeout(LAG_BELIEVED, sqlx::query(ask).fetch_one(replica)).await;
        let seconds =
            asked.ok().and_then(Result::ok).and_then(|row| row.try_get::<Option<f64>, _>(0).ok()?);
        let lag = seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e6)));
        *last = Some((Instant::now(), lag));
        lag
    }

    /// The plan of a warmer, which the database has looked at before or looks at now.
    ///
    /// # Errors
    /// See [`Plan::prepare`].
    pub async fn plan(
        &self,
        name: &str,
        warmer: &Warmer,
        connection: &mut PgConnection,
    ) -> Result<Arc<Plan>, LoaderProblem> {
        if let Some(plan) = self.known().get(name).and_then(|known| known.plan.clone()) {
            return Ok(plan);
        }
        let plan = Arc::new(Plan::prepare(connection, warmer).await?);
        self.known().entry(name.to_owned()).or_default().plan = Some(Arc::clone(&plan));
        Ok(plan)
    }

    /// Lets the database look at a warmer's statements again when they are next used: its tables may have changed.
    pub fn forget_plan(&self, name: &str) {
        if let Some(known) = self.known().get_mut(name) {
            known.plan = None;
        }
    }

    /// How long whoever loads a value of this warmer may take: four times as long as the slowest of late. Between two
    /// seconds and what the database allows.
    pub fn lease(&self, name: &str) -> Duration {
        self.slowest(name)
            .map_or(LEASE_AT_FIRST, |slowest| (slowest * 4).clamp(LEASE_MIN, self.lease_max(name)))
    }

    /// The longest lease: somewhat longer than a statement may run.
    pub fn lease_max(&self, name: &str) -> Duration {
        let (own, other) = &self.timeouts;
        *own.get(name).unwrap_or(other) + LEASE_BEYOND
    }

    /// How long the slowest load of late took.
    pub fn slowest(&self, name: &str) -> Option<Duration> {
        self.known().get(name).and_then(|known| known.slowest)
    }

    /// Notes how long a load took.
    pub fn took(&self, name: &str, took: Duration) {
        let mut known = self.known();
        let slowest = &mut known.entry(name.to_owned()).or_default().slowest;
        // What was slow once is forgotten slowly.
        *slowest = Some(slowest.map_or(took, |before| took.max(before.mul_f64(0.9))));
    }

    /// The dictionary that values of a warmer are packed with; where there is none yet, one is learned from `samples`
    /// if they are enough.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn dictionary(
        &self,
        name: &str,
        samples: &[&str],
    ) -> Result<Option<Arc<Dictionary>>, StoreError> {
        let believed = self.known().get(name).and_then(|known| known.dictionary.clone());
        let fitting: Vec<&str> =
            samples.iter().copied().filter(|text| LEARNED.contains(&text.len())).collect();
        let is_enough = fitting.len() >= SAMPLES_MIN;
        if let Some(believed) = believed
            && believed.at.elapsed() < DICTIONARY_BELIEVED
            && (believed.found.is_some() || believed.was_learned || !is_enough)
        {
            return Ok(believed.found);
        }
        let found = match self.caches.packed_with(name).await? {
            Some(id) => self.fetch_dictionary(id).await?,
            None => None,
        };
        let found = match found {
            Some(found) => Some(found),
            None => self.learn(name, &fitting).await?,
        };
        let believed = Some(Believed { at: Instant::now(), found: found.clone(), was_learned: is_enough });
        self.known().entry(name.to_owned()).or_default().dictionary = believed;
        Ok(found)
    }

    /// A dictionary by its id, from here or from Redis.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn fetch_dictionary(&self, id: u32) -> Result<Option<Arc<Dictionary>>, StoreError> {
        if let Some(found) = self.dictionaries.get(id) {
            return Ok(Some(found));
        }
        let bytes = self.caches.dictionary(id).await?;
        let loaded = bytes.and_then(|bytes| Dictionary::load(bytes).ok());
        Ok(loaded.map(|dictionary| self.dictionaries.insert(dictionary)))
    }

    /// The dictionaries that are at hand.
    pub fn dictionaries(&self) -> &Dictionaries {
        &self.dictionaries
    }

    async fn learn(&self, name: &str, samples: &[&str]) -> Result<Option<Arc<Dictionary>>, StoreError> {
        if samples.len() < SAMPLES_MIN {
            return Ok(None);
        }
        let samples: Vec<Vec<u8>> = samples.iter().map(|text| text.as_bytes().to_vec()).collect();
        let count = samples.len();
        // It takes some tens of milliseconds.
        let dictionary = match tokio::task::spawn_blocking(move || Dictionary::train(&samples)).await {
            Ok(Ok(Some(dictionary))) => dictionary,
            Ok(Ok(None)) | Err(_) => return Ok(None),
            Ok(Err(error)) => {
                tracing::warn!(warmer = name, %error, "could not learn a dictionary; values are packed without");
                return Ok(None);
            }
        };
        self.caches.pack_with(name, dictionary.id(), dictionary.bytes()).await?;
        tracing::info!(warmer = name, dictionary = dictionary.id(), samples = count, "learned a dictionary");
        Ok(Some(self.dictionaries.insert(dictionary)))
    }

    /// Makes sure that there is an epoch of the Redis that runs now, so that it takes values.
    ///
    /// # Errors
    /// Redis or Postgres did not do its part.
    pub async fn ensure_epoch(&self) -> Result<bool, EpochError> {
        let server = self.caches.server().await?;
        let epoch = self.caches.epoch().await?;
        if epoch.is_some_and(|epoch| epoch.run_id == server.run_id) {
            return Ok(false);
        }
        let xid = horizon(&mut *self.primary.acquire().await?).await?.xmax;
        let began = self.caches.begin_epoch(&server.run_id, xid).await?;
        if began {
            tracing::info!(
                run_id = server.run_id,
                xid,
                "an epoch of the cache begins: what is in it is loaded again"
            );
        }
        Ok(began)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of which length values are that a dictionary is learned from, and for.
const LEARNED: std::ops::Range<usize> = 256..16 * 1024;
/// How many values a dictionary is learned from at least.
const SAMPLES_MIN: usize = 100;

/// Why no epoch could begin.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// Redis did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Postgres could not say which transactions are over.
    #[error("postgres could not say which transactions are over")]
    Database(#[from] sqlx::Error),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use brasa_shared::clock::Clock;
    use brasa_shared::store::Store;

    use super::*;

    #[tokio::test]
    async fn a_lease_lasts_longer_than_the_database_lets_a_loader_run() {
        let warmer = |name: &str, more: &str| {
            format!("[warm.{name}]\nsql = \"select 1 as value\"\nkey = \"{name}\"\nttl = \"1h\"\n{more}\n")
        };
        let text = warmer("usual", "") + &warmer("patient", "timeout = \"5m\"");
        let config = Config::parse(&text, Path::new("brasa.toml"), &|_| None).unwrap();
        let caches = Caches::new(Store::open("redis://localhost:1").unwrap(), "p", Clock::System);
        let pool = PgPool::connect_lazy("postgres://localhost:1").unwrap();
        let loaders = Loaders::new(&config, caches, pool, None);
        assert_eq!(loaders.lease("usual"), LEASE_AT_FIRST);
        for (took_s, usual_s, patient_s) in [(0, 2, 2), (3, 12, 12), (20, 35, 80), (290, 35, 305)] {
            for (name, lease_s) in [("usual", usual_s), ("patient", patient_s)] {
                loaders.took(name, Duration::from_secs(took_s));
                assert_eq!(loaders.lease(name), Duration::from_secs(lease_s), "{name} after {took_s} s");
            }
        }
    }
}
