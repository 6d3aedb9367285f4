//! What the integration tests stand on: a world per test, on real servers, and waits that end.
//!
//! A [`World`] has a database of its own and a prefix of its own in Redis, so tests run beside one another and
//! see nothing of each other. Nothing here sleeps and hopes: [`eventually`] looks until a fact is there, and
//! names it when it never comes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails, and says where; clippy's allowance for tests does not reach here"
)]

pub mod bench;
mod database;
mod everything;
pub mod faults;
pub mod flights;
pub mod hand;
pub mod kinds;
pub mod ledger;
pub mod model;
pub mod process;
mod proxy;
pub mod recount;
pub mod shapes;
mod worker;
mod world;

use std::time::{Duration, Instant};

pub use proxy::Proxy;
pub use worker::{Worker, over_pool};
pub use world::World;

/// How long a test waits for a fact. Where many tests share two processors, starting a worker alone takes seconds.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long it waits between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `holds` does: `eventually("the worker claims it", async || …).await`.
///
/// # Panics
/// It still does not after a minute; the message says what never happened.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "it never happened that {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
