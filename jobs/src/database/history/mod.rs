//! What a database counted, kept over time: how often indexes were used, what statements cost.

mod facts;

pub use facts::{IndexUse, Spell, StatementUse, TableUse};
