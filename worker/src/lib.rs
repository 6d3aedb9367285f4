//! Claims jobs, runs them, judges them, drains.
//!
//! ```text
//! claim ──► feed (apalis) ──► dispatch ──► judge ──► settle ──► Redis
//!   ▲                            │
//!   │ a slot per job             └── leases: on a thread and a connection of their own
//!   └── wake: a push, or once a second
//! isolate: jobs that were lost with more than one worker, in a process of their own
//! housekeep: due jobs become ready, lost ones come back, the inbox is admitted
//! cache: what readers ask for and what is due is loaded, what changes is told to Redis
//! history: what became of jobs is written down in Postgres
//! outbox: what was enqueued in SQL comes from Postgres, and is looked after until it has ended
//! ```
//!
//! apalis runs the handlers (`feed.rs` and `run.rs` alone know it); everything that must be right is ours:
//! which jobs are held, for how long, and what is said about them.

pub mod aggregates;
mod alarm;
mod announce;
pub mod cache;
mod care;
mod claim;
mod dispatch;
mod drain;
mod feed;
mod gather;
pub mod history;
mod housekeep;
mod isolate;
mod job;
mod judge;
mod leases;
mod meters;
mod order;
pub mod outbox;
mod recent;
mod run;
mod served;
mod settle;
mod traced;
pub mod writes;

pub use drain::Shutdown;
pub use isolate::Isolation;
pub use order::Order;
pub use run::{Pulses, Settings, Tally, WorkerError, run};
