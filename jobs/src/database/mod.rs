//! Taking care of the application's database.

mod analyze;

pub use analyze::Analyze;
