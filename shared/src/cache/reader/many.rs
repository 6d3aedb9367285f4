//! Reading many values of a warmer at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::cache::reader::fetch::Judged;
use crate::cache::reader::known::{Known, Target};
use crate::cache::reader::{CacheError, Read, Warmed};

/// How many values are asked for in one round trip, so that no answer holds others up for long.
const CHUNK: usize = 256;
/// For how many values at a time the script is asked.
const SCRIPTS_MAX: usize = 64;

impl Warmed {
    /// The values with these parameters, in their order: in one round trip for up to 256 of them that are fresh, and
    /// one more for those that are old or missing, which are asked for.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_many<K, P>(&self, many: &[K]) -> Result<Vec<Read>, CacheError>
    where
        K: AsRef<[P]> + Sync,
        P: AsRef<str> + Sync,
    {
        let known = self.known().await?;
        let mut reads: Vec<Option<Read>> = vec![None; many.len()];
        // Whoever is wanted twice is read once.
        let mut places: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        let mut targets = Vec::new();
        for (place, params) in many.iter().enumerate() {
            let params = params.as_ref();
            let key = known.key(params)?;
            self.sample(params);
            if let Some(read) = self.find_local(&key) {
                reads[place] = Some(read);
                continue;
            }
            if let Some(places) = places.get_mut(key.as_str()) {
                places.push(place);
                continue;
            }
            let target = Arc::new(known.target(key, params)?);
            places.insert(Arc::clone(&target.key), vec![place]);
            targets.push(target);
        }
        let begun = Instant::now();
        for chunk in targets.chunks(CHUNK) {
            for (key, read) in self.read_chunk(&known, chunk).await? {
                for place in places.get(&key).into_iter().flatten() {
                    self.warmer.tally.count_read(read.state);
                    reads[*place] = Some(read.clone());
                }
            }
        }
        if !targets.is_empty() {
            known.seconds.record(begun.elapsed());
        }
        Ok(reads.into_iter().flatten().collect())
    }

    async fn read_chunk(
        &self,
        known: &Arc<Known>,
        targets: &[Arc<Target>],
    ) -> Result<Vec<(Arc<str>, Read)>, CacheError> {
        let borrowed: Vec<&Arc<Target>> = targets.iter().collect();
        let judged = match self.look(known, &borrowed).await {
            Ok(judged) => judged,
            Err(error) => {
                let last = |target: &Arc<Target>| Some((Arc::clone(&target.key), self.resort(&target.key)?));
                return targets.iter().map(last).collect::<Option<_>>().ok_or(error);
            }
        };
        let pairs: Vec<_> = targets.iter().cloned().zip(judged).collect();
        let decide = |(target, judged): (Arc<Target>, Judged)| async move {
            let read = match judged {
                Judged::Sure(read) => read,
                Judged::Doubtful(at_ms) => self.settle(known, &target, at_ms).await?,
            };
            Ok((Arc::clone(&target.key), read))
        };
        stream::iter(pairs.into_iter().map(decide)).buffer_unordered(SCRIPTS_MAX).try_collect().await
    }
}
