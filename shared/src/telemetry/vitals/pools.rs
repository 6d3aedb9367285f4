//! The pools of this process: how many connections are in use, and how long one has to be waited for.

use std::time::{Duration, Instant};

use crate::db::Pools;
use crate::telemetry::metrics;

/// How long it is waited for a connection at most, to see how long that takes.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The pools that the work goes through. Others have a connection or two, which are in use or not.
const MAIN: [&str; 3] = ["jobs", "replica", "web"];

/// Looks, and tells; returns which share of the busiest of the main pools is in use.
pub(super) async fn look(pools: &Pools) -> Option<f64> {
    let mut busiest = None::<f64>;
    for (name, found) in pools.uses() {
        if MAIN.contains(&name) {
            busiest = Some(busiest.map_or(found.share(), |busiest| busiest.max(found.share())));
        }
        for (state, count) in [("in_use", found.in_use), ("idle", found.idle), ("max", found.max)] {
            metrics::database_pool_connections(name, state).set(f64::from(count));
        }
    }
    for (name, pool) in pools.open() {
        let is_full = pool.size() >= pool.options().get_max_connections() && pool.num_idle() == 0;
        let mut waited = Duration::ZERO;
        // Where one is free, nobody waits; asking would only keep it from being closed.
        if is_full {
            let begun = Instant::now();
            let _tried = tokio::time::timeout(WAIT_MAX, pool.acquire()).await;
            waited = begun.elapsed().min(WAIT_MAX);
        }
        metrics::database_pool_wait_seconds(name).set(waited.as_secs_f64());
    }
    busiest
}
