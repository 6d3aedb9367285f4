//! What a database counted, kept over time: how often indexes were used, what statements cost.
//!
//! Postgres counts since some moment, forgets everything when one of its processes crashes, and says so nowhere but in
//! passing; each replica counts for itself. Whoever reads its counters as they are takes an index for unused because
//! the server crashed last night. So `db.observe` looks every few minutes and keeps *differences*: between two looks at
//! the same counter in the same [`Spell`], and never across. A day counts only where one spell covers it whole.
//!
//! Nothing is ever reset, since others read these counters too. Texts of statements are kept without literals and
//! comments, and of statements that may hold secrets only the kind is. What grows is cut by time and dropped in parts.

mod baseline;
mod counters;
mod facts;
mod look;
mod moment;
mod node;
mod observe;
mod parts;
mod shape;
mod spells;
mod statement_uses;
mod statements;
mod text;
mod uses;

pub use baseline::{Tick, is_regressed, median_and_mad, usual};
pub use facts::{IndexUse, Spell, StatementUse, TableUse};
pub use look::{LookError, Looked, NodeLook, StatementLook, look};
pub use observe::Observe;
pub use parts::{DAILY_DAYS, HOURLY_DAYS, RAW_DAYS};
pub(crate) use parts::{day_of, keep_days};
pub use shape::{Flag, flags};
pub use spells::spells;
pub use statement_uses::statement_uses;
pub use text::{Statement, read_text};
pub use uses::{index_uses, is_kept, looked_at, table_uses};
