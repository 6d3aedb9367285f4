//! Waiting for a fact, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use super::ServersError;

/// How long to rest between two looks. A server that starts cannot wake us, so we have to look.
const REST: Duration = Duration::from_millis(2);

/// Looks until there is something to see; nothing, when `limit` is over first.
pub(super) fn until<T>(
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, ServersError>,
) -> Result<Option<T>, ServersError> {
    let end = Instant::now() + limit;
    loop {
        if let Some(seen) = look()? {
            return Ok(Some(seen));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::park_timeout(REST);
    }
}
