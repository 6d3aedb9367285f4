//! Whose clock counts.
//!
//! Leases, delays and retries are judged by the Redis server's clock: scripts ask it themselves, so skew
//! between hosts cannot make a live job look dead. The local clock decides only when a schedule is due
//! (the tick's id is its nominal instant, so being a little early or late changes nothing) and what is
//! written into logs. Tests pass a clock of their own, which scripts then obey instead of the server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock; Redis scripts use the server's.
    #[default]
    System,
    /// A clock that only a test moves.
    Manual(Manual),
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Clone)]
pub struct Manual(Arc<AtomicI64>);

impl Manual {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millisecond())))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock {
    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Manual(manual) => {
                Timestamp::from_millisecond(manual.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// What a script is given: 0 makes it ask the server.
    pub fn for_scripts(&self) -> i64 {
        match self {
            Self::System => 0,
            Self::Manual(manual) => manual.0.load(Ordering::SeqCst),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let manual = Manual::at(Timestamp::UNIX_EPOCH);
        let clock = Clock::Manual(manual.clone());
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        manual.advance(Duration::from_secs(2));
        assert_eq!(clock.for_scripts(), 2_000);
    }
}
