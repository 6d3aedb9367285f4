//! Values that stand no more are taken away, so that a plain GET does not find them. A tag is invalidated by one write,
//! whatever has it; this is what looks for those.

use std::time::Duration;

use brasa_shared::cache::{Entry, Namespace};
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::metrics;
use tokio::time::Instant;

use crate::cache::{Served, Shared};

/// A sweep rests so many times as long as it took: it takes a share of Redis, and no more.
const REST: u32 = 4;

/// Sweeps when something was invalidated that still stands.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    swept: Option<String>,
    rests_until: Option<Instant>,
}

impl Sweeper {
    /// Looks, and sweeps if there is a reason.
    pub(super) async fn look(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if self.rests_until.is_some_and(|until| until > Instant::now()) {
            return Ok(());
        }
        let dirty = shared.loaders.caches.dirty().await?;
        if dirty.is_none() || dirty == self.swept {
            return Ok(());
        }
        let began = Instant::now();
        for (name, served) in &shared.warmers {
            let namespace = shared.loaders.caches.namespace(name);
            let gone = sweep(served, &namespace).await?;
            metrics::cache_invalidated_total(name).increment(gone);
            if gone > 0 {
                served.wake.notify_one();
            }
        }
        let took = began.elapsed();
        tracing::debug!(?took, "swept the cache");
        self.rests_until = Some(Instant::now() + (took * REST).min(Duration::from_mins(1)));
        self.swept = dirty;
        Ok(())
    }
}

async fn sweep(served: &Served, namespace: &Namespace) -> Result<u64, StoreError> {
    let mut gone = 0;
    for is_warm in [true, false] {
        let mut cursor = 0;
        loop {
            let (next, found) = namespace.walk(is_warm, cursor).await?;
            let entries: Vec<Entry> =
                found.iter().filter_map(|params| served.shape.entry_of(params)).collect();
            gone += namespace.sweep(&entries).await?;
            if next == 0 {
                break;
            }
            cursor = next;
        }
    }
    Ok(gone)
}
