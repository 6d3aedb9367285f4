//! The indexes of a database: what the catalogue knows of each, and how large it would be if it were made anew.

mod index;

pub use index::{Estimate, Index, Key, Size, Trust, Withheld};
