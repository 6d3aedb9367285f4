//! What every part of Brasa stands on: the queue engine, the database, the configuration, telemetry and
//! the clock.
//!
//! Nothing in here knows what a job does, and nothing in here knows apalis. `queue` and `db` stand side
//! by side and never import one another.

pub mod alerts;
pub mod boards;
pub mod cache;
pub mod clock;
pub mod config;
pub mod crontab;
pub mod db;
pub mod finding;
mod harmless;
pub mod hash;
pub mod minutes;
pub mod name;
pub mod network;
pub mod place;
pub mod queue;
mod script;
pub mod seal;
pub mod store;
pub mod streams;
pub mod telemetry;
pub mod trace;
pub mod units;

/// The time zone database and the instants that the whole workspace speaks in.
pub use jiff;
