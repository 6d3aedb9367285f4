//! What is told to readers about warmers, and jobs that warm everything.

use brasa_jobs::{Job as _, cache::Warm};
use brasa_shared::cache::Description;
use brasa_shared::config::WarmWhen;
use brasa_shared::queue::{Enqueued, Envelope};
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::logs::chain;
use serde_json::json;

use crate::cache::Shared;

/// How long a job that warms everything may take to begin.
const WARMED_WITHIN_MS: i64 = 60 * 60 * 1_000;

impl Shared {
    /// Tells readers about all warmers; those that are new, or defined otherwise, are warmed where they want that.
    pub(super) async fn describe(&self) -> Result<(), StoreError> {
        let caches = &self.loaders.caches;
        // Before the warmers: whoever finds one of these needs the script.
        caches.publish_script().await?;
        for (name, served) in &self.warmers {
            let version = served.shape.version();
            let is_warmed = served.warmer.keeping.when.contains(&WarmWhen::Deploy);
            // Readers of versioned keys stay with what is warm, where something warms the new version.
            let is_switched = served.warmer.key.has_version() && is_warmed;
            let lease_ms = self.lease_ms(name);
            let before = caches
                .redescribe(name, |before| {
                    let current = match before {
                        Some(before) if is_switched && !before.current.is_empty() => &before.current,
                        _ => version,
                    };
                    let description = served.shape.describe(&served.warmer, lease_ms, current);
                    (before != Some(&description)).then_some(description)
                })
                .await?;
            if is_warmed && before.is_none_or(|before| before.version != version) {
                self.warm_all(name, "it is new or defined otherwise").await;
            }
        }
        Ok(())
    }

    /// Tells readers how long loads take by now, where what they know is of this definition: whoever asks takes a
    /// lease for as long, and one that is too short is overtaken before the value is there.
    pub(super) async fn describe_leases(&self) -> Result<(), StoreError> {
        let caches = &self.loaders.caches;
        for (name, served) in &self.warmers {
            let lease_ms = self.lease_ms(name);
            let is_other =
                |known: &&Description| known.version == served.shape.version() && known.lease_ms != lease_ms;
            let change = |known: Option<&Description>| {
                known.filter(is_other).map(|known| Description { lease_ms, ..known.clone() })
            };
            caches.redescribe(name, change).await?;
        }
        Ok(())
    }

    fn lease_ms(&self, name: &str) -> u64 {
        u64::try_from(self.loaders.lease(name).as_millis()).unwrap_or(u64::MAX)
    }

    /// Enqueues a job that warms everything of a warmer, unless there is one already. It is for workers that define it
    /// as this one does: while a deploy goes on, others take jobs too.
    pub(super) async fn warm_all(&self, name: &str, why: &str) {
        let Some(version) = self.warmers.get(name).map(|served| served.shape.version()) else { return };
        let (args, now) = (json!({ "name": name, "version": version }), self.reach.clock.now());
        let job = Envelope::new(Warm::KIND, &args, now);
        let enqueued = match job {
            Ok(mut job) => {
                job.unique = Some(format!("cache.warm:{name}:{version}"));
                // If none of them is there by then, none comes.
                job.expires = Some(now.as_millisecond() + WARMED_WITHIN_MS);
                self.settings.queue.enqueue(&job).await.map_err(|error| chain(&error))
            }
            Err(error) => Err(error.to_string()),
        };
        match enqueued {
            Ok(Enqueued::New) => tracing::info!(warmer = name, why, "everything of the warmer is loaded"),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(warmer = name, why, error, "could not enqueue that the warmer is warmed");
            }
        }
    }
}
