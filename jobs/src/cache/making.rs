//! What was loaded, as it goes into the cache.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_shared::cache::{Codec, Content, Filled, Filling, Source, TAGS_KEPT_MIN, encode};
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::metrics;

use crate::cache::failing::FillError;
use crate::cache::filler::{Filler, Leased};
use crate::cache::rows::Found;
use crate::cache::tally::Tally;

/// From so many values a dictionary is learned at most, however many were loaded together.
const SAMPLES_MAX: usize = 2_000;
/// Below so many entries that say "there is none" there are never too many.
const NEGATIVES_MIN: u64 = 100;
/// One value in so many may be one that says "there is none".
const NEGATIVES_SHARE: u64 = 10;

impl Filler<'_> {
    /// What is to become of each leased value, and the lengths of their texts.
    pub(super) async fn fillings(
        &self,
        found: &Found<'_>,
        leased: &[Leased],
        cost: Duration,
        tally: &mut Tally,
    ) -> Result<(Vec<Filling>, Vec<usize>), FillError> {
        let dictionary = match self.warmer.codec {
            Codec::Zstd => {
                let values = found.values.values().filter_map(|value| *value);
                let samples: Vec<&str> = values.take(SAMPLES_MAX).collect();
                self.loaders.dictionary(self.name, &samples).await?
            }
            Codec::Json => None,
        };
        let is_all = leased.iter().all(|one| matches!(found.values.get(&one.entry.key), Some(Some(_))));
        let negatives_max = if is_all { 0 } else { self.negatives_max().await? };
        let (mut fillings, mut lengths) =
            (Vec::with_capacity(leased.len()), Vec::with_capacity(leased.len()));
        for one in leased {
            let value = found.values.get(&one.entry.key).copied().flatten();
            let bytes = value.map_or(0, str::len);
            let content = match value {
                Some(text) if u64::try_from(text.len()).is_ok_and(|bytes| bytes <= self.warmer.bytes_max) => {
                    Content::Value(
                        encode(self.warmer.codec, dictionary.as_deref(), text.as_bytes()).into_owned(),
                    )
                }
                // Due again as if it stood: it may have become smaller by then.
                Some(_) => {
                    tally.oversized(&one.entry.key);
                    Content::Release
                }
                // Also where no entry is to say so: what was there before goes, and is kept warm no more.
                None => Content::None,
            };
            fillings.push(self.filling(one, content, cost, negatives_max));
            lengths.push(bytes);
        }
        Ok((fillings, lengths))
    }

    fn filling(&self, one: &Leased, content: Content, cost: Duration, negatives_max: u64) -> Filling {
        let lives = &self.warmer.lives;
        // What was filled together does not end together, and nothing lives longer than was asked for.
        let fresh = lives.ttl.saturating_sub(lives.jitter.mul_f64(rand::random::<f64>()));
        let fresh = fresh.max(Duration::from_millis(1));
        let (fresh, life, due) = match content {
            Content::None => {
                let life = lives.negative.unwrap_or_default();
                (life, life, None)
            }
            _ => (fresh, fresh + lives.stale, lives.refresh_ahead.map(|ahead| fresh.saturating_sub(ahead))),
        };
        Filling {
            key: one.entry.key.clone(),
            params: one.entry.params.clone(),
            token: one.token.clone(),
            tags: self.shape.tags(&one.texts),
            content,
            life,
            fresh,
            cost,
            due,
            negatives_max,
        }
    }

    /// How many entries may say "there is none": a tenth of all.
    async fn negatives_max(&self) -> Result<u64, StoreError> {
        if self.warmer.lives.negative.is_none() || !self.warmer.is_askable() {
            return Ok(0);
        }
        let extent = self.namespace.extent().await?;
        Ok(((extent.warm + extent.once) / NEGATIVES_SHARE).max(NEGATIVES_MIN))
    }

    pub(super) async fn send(
        &self,
        found: &Found<'_>,
        fillings: &[Filling],
    ) -> Result<Vec<Filled>, FillError> {
        let source = Source {
            snapshot: found.snapshot.clone(),
            is_replica: found.is_replica,
            version: self.shape.version().to_owned(),
            who: self.who.to_owned(),
            tags_kept: (self.warmer.lives.longest() * 2).max(TAGS_KEPT_MIN),
        };
        let said = self.namespace.fill(&source, fillings).await?;
        let (mut by_word, mut keys, mut bytes) = (BTreeMap::new(), 0, 0);
        for (filled, filling) in said.iter().zip(fillings) {
            *by_word.entry(filled.word()).or_insert(0) += 1;
            if let (Filled::Filled, Content::Value(value)) = (filled, &filling.content) {
                keys += 1;
                bytes += value.len() as u64;
            }
        }
        for (word, count) in by_word {
            metrics::cache_fills_total(self.name, word).increment(count);
        }
        metrics::warm_keys_total(self.name).increment(keys);
        metrics::warm_bytes_total(self.name).increment(bytes);
        Ok(said)
    }

    /// Gives up values that cannot be loaded by their parameters.
    pub(super) async fn let_go(
        &self,
        part: &[Leased],
        said: &str,
        tally: &mut Tally,
    ) -> Result<(), FillError> {
        self.release(part).await?;
        let params: Vec<String> = part.iter().map(|one| one.entry.params.clone()).collect();
        self.namespace.let_go(&params).await?;
        self.namespace.forget_hot(&params).await?;
        for one in part {
            tally.broken(&format!("{}: {said}", one.entry.params));
        }
        Ok(())
    }

    /// Lets others have these values.
    pub(super) async fn release(&self, part: &[Leased]) -> Result<(), FillError> {
        let release = |one: &Leased| {
            let filling = self.filling(one, Content::Release, Duration::ZERO, 0);
            Filling { due: None, ..filling }
        };
        let fillings: Vec<_> = part.iter().map(release).collect();
        self.send(&Found::default(), &fillings).await.map(drop)
    }
}
