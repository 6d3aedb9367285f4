//! Taking care of the application's database.

mod analyze;
mod prune;

pub use analyze::Analyze;
pub use prune::{Batches, PruneRows, Pruned, describe, expired, parts};
