//! Claims jobs, runs them, judges them, drains.
//!
//! ```text
//! claim ──► feed (apalis) ──► dispatch ──► settle ──► Redis
//!   ▲                            │
//!   │ a slot per job             └── leases: on a thread and a connection of their own
//!   └── wake: a push, or once a second
//! housekeep: due jobs become ready, lost ones come back, the inbox is admitted
//! outbox: what was enqueued in SQL comes from Postgres, and is looked after until it has ended
//! ```
//!
//! apalis runs the handlers (`feed.rs` and `run.rs` alone know it); everything that must be right is ours:
//! which jobs are held, for how long, and what is said about them.

mod claim;
mod dispatch;
mod drain;
mod feed;
mod housekeep;
mod leases;
pub mod outbox;
mod run;
mod settle;

pub use drain::Shutdown;
pub use run::{Pulses, Settings, Tally, WorkerError, run};
