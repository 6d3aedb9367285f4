//! How this process, its machine, its pools and its Redis are, looked at every few seconds: for whoever scrapes it,
//! and for the overview of the dashboard, which is told minute by minute.
//!
//! Nothing here may hurt what is looked at: Redis is asked over a connection of its own with a short limit, Postgres
//! only through connections that are there already, and the system by reading small files.

mod host;
mod places;
mod pools;
mod process;
mod redis;
mod teller;

pub use self::host::host_name;
pub use self::redis::Info;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use self::host::{Cpu, Host};
use self::places::Places;
use self::process::Own;
use self::redis::Counted;
use self::teller::{Seen, Teller};
use super::metrics;
use crate::clock::Clock;
use crate::db::Pools;
use crate::minutes::Minutes;
use crate::store::Store;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);
/// How long Redis may take to say how it is.
const REDIS_LIMIT: Duration = Duration::from_secs(3);

/// Looks for ever, at the servers of an installation under `prefix`.
pub async fn watch(store: Store, prefix: &str, pools: Pools, clock: Clock) {
    metrics::build_info(env!("CARGO_PKG_VERSION")).set(1.0);
    let store = store.apart().within(REDIS_LIMIT);
    let mut teller = Teller::new(Minutes::new(store.clone(), prefix, clock));
    let (mut cpu, mut places, mut counted) = (Cpu::default(), Places::default(), Counted::default());
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (own, host) = look_around(cpu, places.known()).await;
        cpu = host.cpu;
        let pool = pools::look(&pools).await;
        let redis = counted.look(&store).await;
        places.ask(&store, &pools, redis.is_some()).await;
        if let Some(redis) = redis {
            teller.tell(&Seen { own, host, pool, redis }).await;
        }
    }
}

/// Files of the system are read beside the runtime: a file system that is away must not hold it.
async fn look_around(before: Cpu, places: Vec<(&'static str, PathBuf)>) -> (Own, Host) {
    let looked = tokio::task::spawn_blocking(move || (process::look(), host::look(before, &places)));
    looked.await.unwrap_or_else(|_| (Own::default(), Host { cpu: before, ..Host::default() }))
}

/// A count as metrics want it.
#[expect(clippy::cast_precision_loss, reason = "bytes and counts, which are shown with a few digits")]
fn number(count: u64) -> f64 {
    count as f64
}
