//! Taking care of the application's database.

pub mod history;
pub mod indexes;
mod kinds;
pub mod ledger;
pub mod session;
pub mod tables;

pub use kinds::{Analyze, Batches, PruneRows, Pruned, Vacuum, describe, expired, parts};
