//! For tests of applications that use Brasa: run a handler at once, see what was enqueued, run a queue to its
//! end, and move time. `docs/testing.md` shows them side by side.
//!
//! | | Needs | Runs | Says |
//! |---|---|---|---|
//! | [`Inline`] | nothing | one handler, with your arguments | what the handler returned |
//! | [`Captured`] | nothing | nothing | what your code has enqueued |
//! | [`Sandbox`] and [`drain`] | a Redis | everything that is due in a queue | how each run ended |
//!
//! A handler that needs Postgres is given one by [`Inline::db`]; nothing here pretends to be a database.

mod captured;
mod drain;
mod inline;
mod sandbox;
mod seam;

pub use brasa_shared::clock::Manual;
pub use tokio_util::sync::CancellationToken;

pub use captured::{Captured, CapturedJob};
pub use drain::{DrainError, Drained, Ended, Ran, drain};
pub use inline::Inline;
pub use sandbox::Sandbox;
