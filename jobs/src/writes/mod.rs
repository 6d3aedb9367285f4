//! Rows that applications hand over one by one, written in batches.
//!
//! ```text
//! table: what the catalogue says          row: JSON -> texts, or why not
//! statement: rows -> SQL                  flush: one batch, one transaction
//! numbers: what came, and came again      gather: what is written next, out of its stream
//! drain: the kind `writes.flush`          writer: for applications in Rust
//! status: how far rows are, for people
//! ```

mod drain;
mod flush;
mod gather;
mod numbers;
mod row;
mod statement;
mod status;
mod table;
mod writer;

pub use drain::Flush;
pub use flush::{FlushError, Flusher, replay};
pub use gather::{Gathered, Gatherer};
pub use row::{Poison, Row};
pub use status::{Standing, StandingError, replay_each, standings, streams_of};
pub use table::{Shape, Table, TableProblem};
pub use writer::{Handed, WriteError, Writer};
