//! Taking care of the application's database.

mod analyze;
pub mod history;
pub mod indexes;
mod prune;

pub use analyze::Analyze;
pub use prune::{Batches, PruneRows, Pruned, describe, expired, parts};
