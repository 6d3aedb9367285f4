//! How well the caches in Redis serve, as readers have counted it.

use std::time::Duration;

use brasa_shared::cache::Caches;
use brasa_shared::store::StoreError;

use crate::context::Reach;

/// How well a cache serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// The name of `[warm.NAME]`.
    pub name: String,
    /// Reads that found something.
    pub hits: u64,
    /// Reads that found nothing, by why, the most first.
    pub misses: Vec<(String, u64)>,
    /// For how long values are kept.
    pub ttl: Duration,
}

impl CacheUse {
    /// Reads.
    pub fn reads(&self) -> u64 {
        self.hits + self.misses.iter().map(|(_, count)| count).sum::<u64>()
    }
}

/// How well the caches of the configuration serve.
pub(in crate::database::review) async fn caches(reach: &Reach) -> Result<Vec<CacheUse>, StoreError> {
    let caches = Caches::new(reach.cache.clone(), &reach.config.redis.prefix, reach.clock.clone());
    let mut found = Vec::new();
    for (name, warmer) in &reach.config.warm {
        let stats = caches.namespace(name).stats().await?;
        let mut misses: Vec<_> =
            stats.misses().into_iter().map(|(why, count)| (why.to_owned(), count)).collect();
        misses.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found.push(CacheUse { name: name.clone(), hits: stats.hits(), misses, ttl: warmer.lives.ttl });
    }
    Ok(found)
}
