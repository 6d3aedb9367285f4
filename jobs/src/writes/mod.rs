//! Rows that applications hand over one by one, written in batches.
//!
//! ```text
//! table: what the catalogue says          row: JSON -> texts, or why not
//! statement: rows -> SQL                  flush: one batch, one transaction
//! ```

mod flush;
mod row;
mod statement;
mod table;

pub use flush::{FlushError, Flusher, replay};
pub use row::{Poison, Row};
pub use table::{Shape, Table, TableProblem};
