//! What goes on in the background: readers tell what they counted.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::cache::reader::Inner;
use crate::cache::reader::warmed::Warmer;
use crate::store::StoreError;
use crate::telemetry::metrics::cache_l1_entries;

/// How often readers tell what they counted.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Tells now and then what was counted; once more when the cache is dropped.
pub(super) async fn keep_up(inner: Arc<Inner>) {
    let mut is_over = false;
    while !is_over {
        is_over = tokio::select! {
            () = inner.over.cancelled() => true,
            () = tokio::time::sleep(TELL_EVERY) => false,
        };
        if let Err(error) = inner.flush().await {
            tracing::debug!(%error, "what was read could not be told");
        }
    }
}

impl Inner {
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        if let Some(local) = &self.local {
            #[expect(clippy::cast_precision_loss, reason = "no process keeps 2^53 values")]
            cache_l1_entries().set(local.len() as f64);
        }
        let warmers: Vec<Arc<Warmer>> =
            self.warmers.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if warmers.is_empty() {
            return Ok(());
        }
        // A connection that has broken meanwhile is made again here, where nothing is lost with it.
        self.patient.run::<String>("be there", &redis::cmd("PING")).await?;
        // What is told is not safe to tell twice.
        let once = self.caches.over(self.patient.clone().with_patience(Duration::ZERO));
        let mut outcome = Ok(());
        for warmer in warmers {
            outcome = outcome.and(warmer.tally.tell(&once.namespace(warmer.namespace.name())).await);
        }
        outcome
    }
}
