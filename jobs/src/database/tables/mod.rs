//! The tables of a database: what is known of each, and what is owed to it.

mod analyze;
mod debt;
mod look;
mod vacuum;

pub use analyze::{Analyzed, analyze};
pub use debt::{Analyzing, Freezing, Vacuuming, analyzing, vacuuming};
pub use look::{Table, Tables, look};
pub use vacuum::{Vacuumed, holders, vacuum};
