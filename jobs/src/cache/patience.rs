//! How long a load may be kept waiting to spare the database: until values would end that readers find now.
//!
//! Without them the application would ask the database by itself, which spares it nothing. What nobody finds now is
//! in no such hurry.

use std::pin::pin;
use std::time::Duration;

use brasa_shared::cache::texts_of;
use brasa_shared::store::StoreError;
use tokio::time::timeout;

use super::budget::Permit;
use super::filler::Filler;

/// How many values are asked when they end; their neighbours end when they do.
const ASKED_MAX: usize = 100;
/// How long before the end of a value its load begins at the latest, beside what it takes.
const SPARE: Duration = Duration::from_secs(2);

impl Filler<'_> {
    /// Waits until the budget lets a batch run, or until it is high time for it. Of the batches like it that are still
    /// to be loaded this is the first of `left`; those of a loader whose keys nobody knows before give none.
    pub(super) async fn enter(&self, wanted: Vec<&[String]>, left: usize) -> Permit {
        let budget = &self.loaders.budget;
        if self.is_urgent {
            return budget.enter_soon().await;
        }
        let in_turn = async {
            let (mut turn, mut keys, mut found) = (pin!(budget.enter()), None, false);
            loop {
                let end = tokio::select! {
                    biased;
                    permit = &mut turn => return Some(permit),
                    end = self.soonest_end(&mut keys, &wanted) => end,
                };
                // What could not be asked is taken for what nobody finds. What ended meanwhile has been found before.
                let Some(end) = end.unwrap_or_default() else {
                    return if found { None } else { Some(turn.await) };
                };
                found = true;
                let patience = end.saturating_sub(self.takes(left));
                if patience.is_zero() {
                    return None;
                }
                // Somebody else may have loaded them by then: they are asked again.
                if let Ok(permit) = timeout(patience, &mut turn).await {
                    return Some(permit);
                }
            }
        };
        match in_turn.await {
            Some(permit) => permit,
            None => budget.enter_soon().await,
        }
    }

    /// When the first of these values ends that readers find now; none where they find none, or none ends. Their keys
    /// are found out once.
    async fn soonest_end(
        &self,
        keys: &mut Option<Vec<String>>,
        wanted: &[&[String]],
    ) -> Result<Option<Duration>, StoreError> {
        if keys.is_none() {
            *keys = Some(self.keys_of(wanted).await?);
        }
        self.loaders.caches.soonest_end(keys.as_deref().unwrap_or_default()).await
    }

    /// Some of the keys of these values; or of those of the warmer that are known, where there are none.
    async fn keys_of(&self, wanted: &[&[String]]) -> Result<Vec<String>, StoreError> {
        let key_of = |texts: &[String]| Some(self.shape.entry(texts).ok()?.key);
        let step = wanted.len().div_ceil(ASKED_MAX).max(1);
        let mut keys: Vec<String> = wanted.iter().step_by(step).filter_map(|texts| key_of(texts)).collect();
        for warm in [true, false] {
            if keys.is_empty() {
                let (_, found) = self.namespace.walk(warm, 0).await?;
                let texts = found.iter().filter_map(|params| texts_of(params));
                keys = texts.filter_map(|texts| key_of(&texts)).take(ASKED_MAX).collect();
            }
        }
        Ok(keys)
    }

    /// How long it takes until so many batches are loaded, as many at once as may be; generously.
    fn takes(&self, left: usize) -> Duration {
        let rounds = left.div_ceil(self.loaders.budget.most()) + 1;
        let slowest = self.loaders.slowest(self.name).unwrap_or_default();
        SPARE + slowest.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }
}
