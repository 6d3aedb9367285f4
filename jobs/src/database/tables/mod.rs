//! The tables of a database: what is known of each, and what is owed to it.

mod analyze;
mod debt;
mod due;
mod look;
mod vacuum;

pub use analyze::{Analyzed, analyze};
pub use debt::{Analyzing, Freezing, Vacuuming};
pub use due::{Due, to_analyze, to_vacuum};
pub use look::{Table, Tables, look};
pub use vacuum::{Vacuumed, holders, vacuum};
