//! What is counted for a warmer, by readers and by those who fill.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cache::scripts::COUNT;
use crate::cache::{Namespace, Why};
use crate::store::StoreError;

/// How many values may be counted as hot in one call.
const SAMPLES_MAX: usize = 256;

/// What was counted for a warmer since its counters began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats(pub BTreeMap<String, i64>);

impl Stats {
    /// A counter; 0 if nothing was counted.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |value| value.unsigned_abs())
    }

    /// How many reads found something: a value, fresh or stale, or that there is none.
    pub fn hits(&self) -> u64 {
        ["read_fresh", "read_stale", "read_none"].iter().map(|name| self.get(name)).sum()
    }

    /// How many reads found nothing, by why.
    pub fn misses(&self) -> BTreeMap<&'static str, u64> {
        Why::ALL.iter().map(|(word, _)| (*word, self.get(&format!("read_{word}")))).collect()
    }

    /// Which share of the reads found something; none where nobody has read with the whole protocol.
    pub fn hit_rate(&self) -> Option<f64> {
        let (hits, misses) = (self.hits(), self.misses().values().sum::<u64>());
        #[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
        (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64)
    }
}

impl Namespace {
    /// What was counted.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        let mut get = redis::cmd("HGETALL");
        get.arg(&self.keys.stats);
        let counters: BTreeMap<String, i64> =
            self.caches.run("look at the counters of a warmer", &get).await?;
        Ok(Stats(counters))
    }

    /// Adds to counters, and to how often values were read, in samples.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn count(
        &self,
        counters: &[(String, u64)],
        samples: &[(String, u32)],
    ) -> Result<(), StoreError> {
        let (first, rest) = samples.split_at(samples.len().min(SAMPLES_MAX));
        self.count_some(counters, first).await?;
        for samples in rest.chunks(SAMPLES_MAX) {
            self.count_some(&[], samples).await?;
        }
        Ok(())
    }

    async fn count_some(
        &self,
        counters: &[(String, u64)],
        samples: &[(String, u32)],
    ) -> Result<(), StoreError> {
        let mut call = self.calling(&COUNT, Vec::new()).arg(counters.len());
        for (name, by) in counters {
            call.push(name);
            call.push(by);
        }
        for (params, by) in samples {
            call.push(params);
            call.push(by);
        }
        self.caches.call(&call).await
    }

    /// Begins all counters anew.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn reset_stats(&self) -> Result<(), StoreError> {
        let mut delete = redis::cmd("DEL");
        delete.arg(&self.keys.stats);
        self.caches.run::<()>("begin counters anew", &delete).await
    }
}
