//! Taking care of the application's database.

pub mod capability;
pub mod history;
pub mod indexes;
mod kinds;
pub mod ledger;
pub mod rebuild;
pub mod review;
pub mod session;
pub mod sessions;
pub mod tables;
pub mod whole;

pub use kinds::{Analyze, Batches, PruneRows, Pruned, Reindex, Vacuum, describe, expired, parts};
pub use review::ReviewDatabase;
