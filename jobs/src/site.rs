//! An installation: its configuration, the kinds that this build knows, and the servers, opened where they are needed.
//!
//! Whoever looks at it or acts on it from outside of a job (the command line, the web) works with this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brasa_shared::cache::Caches;
use brasa_shared::clock::Clock;
use brasa_shared::config::{self, Config, Secret};
use brasa_shared::db::{self, PoolLimits, Pools};
use brasa_shared::queue::{Budget, Fleet, Keep, Limit, LimitScope, Queue};
use brasa_shared::store::{Fault, Store, StoreError};
use brasa_shared::telemetry::logs::chain;
use sqlx::PgPool;

use crate::catalog::Catalog;

/// How long a command of a person waits for Redis to come back.
const PATIENCE: Duration = Duration::from_secs(3);

/// An installation.
#[derive(Clone)]
pub struct Site {
    /// What its file and the environment say.
    pub config: Arc<Config>,
    /// The kinds that this build knows.
    pub catalog: Catalog,
    /// What time it is.
    pub clock: Clock,
    /// Its Redis.
    pub store: Store,
    /// The pools for Postgres that were opened, by what they are for.
    pub pools: Pools,
}

/// Why an installation cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// No address of Redis was given.
    #[error("no address of Redis\n  help: set REDIS_URL, or write [redis] url = \"${{REDIS_URL}}\"")]
    NoRedis,
    /// The address of Redis is none.
    #[error("{from}: the address of Redis cannot be understood")]
    Redis {
        /// Where it was written.
        from: String,
        /// Why.
        source: StoreError,
    },
    /// The address of Postgres is none.
    #[error("{from}")]
    Postgres {
        /// Where it was written.
        from: String,
        /// Why.
        source: db::DbError,
    },
}

impl Site {
    /// An installation; connects to nothing yet.
    ///
    /// # Errors
    /// There is no address of Redis, or none that can be understood.
    pub fn open(config: Config, catalog: Catalog) -> Result<Self, SiteError> {
        let url = config.redis.url.as_ref().ok_or(SiteError::NoRedis)?;
        let store = Store::open(url.expose())
            .map_err(|source| SiteError::Redis { from: url.source().to_owned(), source })?
            .with_patience(PATIENCE);
        Ok(Self { config: Arc::new(config), catalog, clock: Clock::System, store, pools: Pools::default() })
    }

    /// A pool for Postgres of at most so many connections, if an address was given; `what` it is for is a word for
    /// metrics.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn pool_for(&self, what: &'static str, connections_max: u32) -> Result<Option<PgPool>, SiteError> {
        self.pool_at(self.config.postgres.url.as_ref(), what, connections_max)
    }

    /// The same for what has no name of its own.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn pool_of(&self, connections_max: u32) -> Result<Option<PgPool>, SiteError> {
        self.pool_for("other", connections_max)
    }

    /// The same for another address.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn pool_at(
        &self,
        url: Option<&Secret>,
        what: &'static str,
        connections_max: u32,
    ) -> Result<Option<PgPool>, SiteError> {
        let postgres = &self.config.postgres;
        let Some(url) = url else { return Ok(None) };
        let limits = PoolLimits {
            connections_max,
            acquire_timeout: postgres.pool.acquire_timeout,
            statement_timeout: postgres.statement_timeout,
        };
        let misread = |source| SiteError::Postgres { from: url.source().to_owned(), source };
        let pool = db::pool(url.expose(), limits).map_err(misread)?;
        self.pools.add(what, &pool);
        Ok(Some(pool))
    }

    /// What the processes know of one another.
    pub fn fleet(&self) -> Fleet {
        Fleet::new(self.store.clone(), &self.config.redis.prefix, self.clock.clone())
    }

    /// The cache.
    pub fn caches(&self) -> Caches {
        Caches::new(self.store.clone(), &self.config.redis.prefix, self.clock.clone())
    }

    /// The queue of that name, with its retention.
    pub fn queue(&self, name: &str) -> Queue {
        let queue = Queue::new(self.store.clone(), &self.config.redis.prefix, name, self.clock.clone());
        let queue = match &self.config.encryption.keyring {
            Some(keyring) => queue.sealing(Arc::clone(keyring)),
            None => queue,
        };
        match self.config.queues.get(name) {
            None => queue,
            Some(section) => queue
                .keeping(keep(section.keep_done), keep(section.keep_dead))
                .within(Budget { jobs: section.max_length, bytes: section.max_bytes })
                .ageing(u64::try_from(section.ageing.as_millis()).unwrap_or(u64::MAX))
                .limited(limits(&section.limits)),
        }
    }

    /// Makes a queue known before anything is put into it, so that it is listed whatever happens in between. A full
    /// Redis takes no name, and says so better about the job.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn name_queue(&self, queue: &str) -> Result<(), StoreError> {
        match self.fleet().add_queue(queue).await {
            Err(error) if error.fault == Fault::OutOfMemory => {
                tracing::debug!(queue, error = %chain(&error), "could not name a queue for others to list");
                Ok(())
            }
            answer => answer,
        }
    }

    /// The queues of the configuration.
    pub fn queues(&self) -> BTreeMap<String, Queue> {
        self.config.known_queues().map(|name| (name.to_owned(), self.queue(name))).collect()
    }

    /// The queues of the configuration and those that have been used without being in it.
    ///
    /// # Errors
    /// Redis failed.
    pub async fn all_queues(&self) -> Result<BTreeMap<String, Queue>, StoreError> {
        let mut queues = self.queues();
        for name in self.fleet().queues().await? {
            queues.entry(name.clone()).or_insert_with(|| self.queue(&name));
        }
        Ok(queues)
    }
}

fn keep(section: config::Keep) -> Keep {
    Keep {
        count: section.count,
        age_ms: u64::try_from(section.age.as_millis()).unwrap_or(u64::MAX),
        bytes: section.bytes,
    }
}

fn limits(section: &config::Limits) -> Vec<Limit> {
    let kinds = section.kinds.iter().map(|(kind, limit)| (LimitScope::Kind(kind.clone()), *limit));
    let all = [(LimitScope::Queue, section.queue), (LimitScope::Share, section.per_share)];
    let set = all.into_iter().chain(kinds).filter(|(_, limit)| *limit != config::Limit::default());
    set.map(|(scope, limit)| Limit { scope, at_once: limit.concurrency, rate: limit.rate }).collect()
}
