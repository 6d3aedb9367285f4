//! How much is in the outbox, as metrics; and a word about rows that nobody will ever relay.

use std::time::Duration;

use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;

use crate::outbox::{Settings, Trouble, ask};

/// How often the numbers are published.
const EVERY: Duration = Duration::from_secs(10);

/// Reports for ever.
pub(super) async fn run(settings: &Settings) {
    let mut told = Vec::new();
    loop {
        match look(settings).await {
            Ok(strange) if strange != told => {
                if !strange.is_empty() {
                    tracing::warn!(
                        queues = ?strange,
                        "rows of the outbox wait for queues that this worker does not know; write [queues.NAME] for each"
                    );
                }
                told = strange;
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(error = %chain(&error), "cannot count the outbox"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Publishes the numbers; returns the queues with waiting rows that are not ours.
async fn look(settings: &Settings) -> Result<Vec<String>, Trouble> {
    let waiting = ask(settings.table.waiting()).await?;
    let refused = ask(settings.table.refused_count()).await?;
    for (state, count) in [("waiting", waiting.iter().map(|(_, count)| count).sum()), ("refused", refused)] {
        #[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53 rows")]
        metrics::outbox_rows(state).set(count as f64);
    }
    let is_known = |name: &str| settings.queues.iter().any(|queue| queue.name() == name);
    Ok(waiting.into_iter().map(|(queue, _)| queue).filter(|queue| !is_known(queue)).collect())
}
