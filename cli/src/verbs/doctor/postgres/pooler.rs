//! Is there a pooler in between that gives a connection away between two statements?
//!
//! `SHOW POOLS` would not tell: an ordinary database of PgBouncer hands it on to Postgres. But two connections
//! that are open at the same time have two server processes, unless somebody shares one between them.

use brasa_shared::finding::Finding;
use sqlx::{Executor as _, PgConnection, PgPool, Row as _};

use super::facts::Facts;
use super::{connect, within};

const PID: &str = "select pg_backend_pid()";
/// What PgBouncer says where even a transaction is too long for it.
const STATEMENT_POOLING: &str = "statement pooling";

/// Which server processes two connections met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pids {
    /// The first connection, outside of a transaction.
    first: i32,
    /// The second one, in a transaction, while the first is still open; none where transactions are refused.
    second: Option<i32>,
    /// The first one again, while that transaction goes on.
    again: i32,
}

impl Pids {
    fn are_shared(self) -> bool {
        self.first != self.again
            || self.second.is_none_or(|second| second == self.first || second == self.again)
    }
}

/// Opens a second connection beside the first; none where that cannot be had, or fails.
pub(super) async fn meet(pool: &PgPool, mut one: PgConnection) -> Option<Pids> {
    let mut two = connect(pool).await.ok()?;
    let first = pid(&mut one).await.ok()?;
    let second = match within(two.execute("begin")).await {
        Ok(_) => Some(pid(&mut two).await.ok()?),
        Err(error) if error.to_string().contains(STATEMENT_POOLING) => None,
        Err(_) => return None,
    };
    let again = pid(&mut one).await.ok()?;
    if second.is_some() {
        within(two.execute("rollback")).await.ok()?;
    }
    Some(Pids { first, second, again })
}

async fn pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    within(connection.fetch_one(PID)).await?.try_get(0)
}

/// Says nothing where all is as it should be: there is no pooler, or one in session mode.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    if !facts.pids.is_some_and(Pids::are_shared) {
        return Vec::new();
    }
    vec![Finding::warning(
        "pooler",
        "two connections share one server process: a pooler in transaction mode, or statement mode",
        "statement_timeout is set per session and statements are prepared, so jobs get the limits of others \
         and fail with `prepared statement does not exist`",
        "give the address of Postgres itself, or of a database of the pooler with pool_mode = session",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_serves_two_connections_is_shared() {
        let met = |first, second, again| Pids { first, second, again }.are_shared();

        assert!(!met(1, Some(2), 1), "each has its own");
        assert!(met(1, Some(1), 2), "the second got the first one's");
        assert!(met(1, Some(2), 3), "the first got another one");
        assert!(met(1, None, 1), "transactions are refused");
    }
}
