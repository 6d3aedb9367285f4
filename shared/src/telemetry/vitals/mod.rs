//! How this process, its machine, its pools and its Redis are, looked at every few seconds for whoever scrapes it.
//!
//! Nothing here may hurt what is looked at: Redis is asked over a connection of its own with a short limit, Postgres only
//! through connections that are there already, and the system by reading small files.

mod host;
mod places;
mod pools;
mod process;
mod redis;

pub use self::redis::Info;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use self::host::Cpu;
use self::places::Places;
use self::redis::Counted;
use super::metrics;
use crate::db::Pools;
use crate::store::Store;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);
/// How long Redis may take to say how it is.
const REDIS_LIMIT: Duration = Duration::from_secs(3);

/// Looks for ever.
pub async fn watch(store: Store, pools: Pools) {
    metrics::build_info(env!("CARGO_PKG_VERSION")).set(1.0);
    let store = store.apart().within(REDIS_LIMIT);
    let (mut cpu, mut places, mut counted) = (Cpu::default(), Places::default(), Counted::default());
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        cpu = look_around(cpu, places.known()).await;
        pools::look(&pools).await;
        let answers = counted.look(&store).await;
        places.ask(&store, &pools, answers).await;
    }
}

/// Files of the system are read beside the runtime: a file system that is away must not hold it.
async fn look_around(before: Cpu, places: Vec<(&'static str, PathBuf)>) -> Cpu {
    let looked = tokio::task::spawn_blocking(move || {
        process::look();
        host::look(before, &places)
    });
    looked.await.unwrap_or(before)
}

/// A count as metrics want it.
#[expect(clippy::cast_precision_loss, reason = "bytes and counts, which are shown with a few digits")]
fn number(count: u64) -> f64 {
    count as f64
}
