//! The frame of every benchmark: `make bench`.
//!
//! A *family* measures one part of the product (the queue, a cache) and answers with a [`Report`]: rows that hold
//! our figure, a peer's figure of the same run where there is a peer, and the bar that ours has to clear. The frame
//! prints them for people and writes them as JSON.
//!
//! Whoever is measured, we or a peer, is a [`Contestant`]: a program that enqueues and a program that works, each a
//! process of its own, both told the same things in the same way ([`protocol`]). What they cost is read from the
//! kernel ([`usage`]), so it says the same thing about Rust, Node and Ruby. Nothing here knows what is measured.
//!
//! A figure that could not be had is a sentence that says why ([`Figure`]), and its row is there all the same.

mod child;
mod contestant;
mod enqueuer;
mod nap;
mod pace;
mod peers;
mod pgbench;
pub mod protocol;
mod redis;
mod report;
mod row;
mod run;
mod stage;
pub mod usage;
mod workers;

pub use contestant::Contestant;
pub use peers::{Peer, bullmq, rusty_sidekiq, sidekiq};
pub use pgbench::{Latencies, Pgbench};
pub use redis::{Redis, script_calls};
pub use report::Report;
pub use row::{Bar, Figure, Row};
pub use run::Run;
pub use stage::{Stage, figure, median, middle, pause, ratios, say};
pub use workers::Workers;
