//! The indexes of a database: what the catalogue knows of each, and how large it would be if it were made anew.

mod catalogue;
mod counting;
mod exact;
mod index;
mod look;
mod model;
mod signature;
mod statistics;

pub use exact::exact;
pub use index::{Estimate, Index, Key, Size, Trust, Withheld};
pub use look::{Scope, look, look_closer, tables_named};

pub(in crate::database) use signature::signature;
