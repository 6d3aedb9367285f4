//! What is wrong with an installation, and telling somebody: once when it begins, once when it is over.
//!
//! ```text
//! look: configuration + servers -> troubles       state: trouble + what is remembered -> what is to be done
//! watch: look, remember, tell, for ever           message: what is told, in words
//! ```
//!
//! What is remembered is in Redis, so that whoever leads next goes on where the last one was. A trouble is told while it is
//! claimed: a leader that was thought to be gone, and is not, finds that another has claimed it. Only where a process
//! dies between sending a message and writing that down is it sent twice.

mod cache;
mod database;
mod look;
mod message;
mod queues;
mod rates;
mod state;
mod watch;

pub use crate::http::Untold;
pub use look::{Look, Trouble, Watcher};
pub use state::{Claim, Known};
pub use watch::{NoWebhook, TestError, remembered, test, watch};
