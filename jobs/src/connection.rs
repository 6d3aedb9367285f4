//! A connection that goes back to the pool only if nothing is under way on it.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};

/// A connection on loan to a job.
///
/// A handler can be dropped in the middle of a statement: its time is over, it was cancelled, its lease was
/// lost. Dropping an sqlx future does not stop the statement, so it would go on, and commit, while the job
/// runs again elsewhere. So a connection that was not given back with [`Self::give_back`] is closed, and
/// Postgres, which is told to look (see `db::pool`), ends what runs on it.
#[derive(Debug)]
pub struct Connection(Option<PoolConnection<Postgres>>);

impl Connection {
    pub(crate) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    /// Returns it to the pool. To be called when no statement is under way, whatever the last one's outcome.
    pub fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // Out of the pool, so that the next job gets a fresh one, and closed without a word.
            drop(connection.detach());
        }
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    #[expect(
        clippy::expect_used,
        reason = "it is there until it is given back, which takes it away for good"
    )]
    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("a connection that was not given back")
    }
}

impl DerefMut for Connection {
    #[expect(
        clippy::expect_used,
        reason = "it is there until it is given back, which takes it away for good"
    )]
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("a connection that was not given back")
    }
}
