//! What people make invalid, and what is done for it: values by their keys, their tags or their warmer.

use std::collections::BTreeMap;

use brasa_shared::cache::{Caches, Cause, Entry, NOBODY, TAGS_KEPT_MIN, params_of};
use brasa_shared::config::Config;
use brasa_shared::store::StoreError;
use sqlx::PgPool;

use super::shape::{Shape, owner};

/// What is to be made invalid.
#[derive(Debug, Clone, Default)]
pub struct Invalidation {
    /// Values by their keys.
    pub keys: Vec<String>,
    /// All values with one of these tags.
    pub tags: Vec<String>,
    /// All values of these warmers.
    pub warmers: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalidated {
    /// How many of the values that were named by their keys were there.
    pub gone: u64,
    /// What changed them, as it was told to Redis.
    pub cause: Cause,
}

/// Why nothing was made invalid, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidationError {
    /// The primary gave no transaction.
    #[error("Postgres gave no transaction after which values are fresh")]
    Postgres(#[from] sqlx::Error),
    /// What the primary gave is no number.
    #[error("Postgres gave `{0}` as the number of a transaction")]
    Number(String),
    /// Redis was not told.
    #[error("Redis could not be told")]
    Store(#[from] StoreError),
}

impl Invalidation {
    /// The keys by their warmers, under [`NOBODY`] where that cannot be told. Values whose parameters are known are
    /// loaded again at once.
    pub fn groups(&self, config: &Config) -> BTreeMap<String, Vec<Entry>> {
        let shapes: BTreeMap<&str, Shape> =
            config.warm.iter().map(|(name, warmer)| (name.as_str(), Shape::of(name, warmer))).collect();
        let mut groups: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for key in &self.keys {
            let (name, params) = match owner(key, shapes.iter().map(|(name, shape)| (*name, shape))) {
                Some((name, texts)) => (name, params_of(&texts)),
                None => (NOBODY, String::new()),
            };
            groups.entry(name.to_owned()).or_default().push(Entry { key: key.clone(), params });
        }
        groups
    }

    /// Tells Redis. With a pool of the primary a replica that lags does not bring old values back.
    ///
    /// # Errors
    /// Postgres or Redis did not do it. To do it again does no harm.
    pub async fn carry_out(
        &self,
        config: &Config,
        caches: &Caches,
        primary: Option<&PgPool>,
    ) -> Result<Invalidated, InvalidationError> {
        let cause = match primary {
            Some(pool) => Cause::Transaction(fresh_transaction(pool).await?),
            None => Cause::Nobody,
        };
        let mut gone = 0;
        for (name, entries) in self.groups(config) {
            gone += caches.namespace(&name).invalidate(&entries, cause).await?;
        }
        let tags = self.tags_of_values(caches);
        if !tags.is_empty() {
            // Values with these tags see to it themselves that the marks outlive them.
            caches.invalidate_tags(&tags, cause, TAGS_KEPT_MIN).await?;
        }
        Ok(Invalidated { gone, cause })
    }

    /// The tags as values have them.
    fn tags_of_values(&self, caches: &Caches) -> Vec<String> {
        let named = self.tags.iter().map(|tag| tag.replace(['\n', '\r'], " "));
        named.chain(self.warmers.iter().map(|name| caches.namespace(name).tag())).collect()
    }
}

/// A transaction of the primary that is over when this returns: what a replica shows from before it is refused.
async fn fresh_transaction(pool: &PgPool) -> Result<u64, InvalidationError> {
    let text: String = sqlx::query_scalar("select pg_current_xact_id()::text").fetch_one(pool).await?;
    text.parse().map_err(|_| InvalidationError::Number(text))
}
