//! What people write behind options, and in which units it goes on.

use std::time::Duration;

use brasa_shared::jiff::Timestamp;
use brasa_shared::trace::Trace;
use brasa_shared::units::parse_duration;

use crate::app::env;

/// A duration as people write it; what is wrong with it, and how to write it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{error}; {}", error.help()))
}

/// The place in a trace that whoever calls us is at; none where the environment has something else there.
pub(super) fn trace_around() -> Option<Trace> {
    env("TRACEPARENT")?.parse().ok()
}

/// A moment as people write it: so long ago, or an instant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Ago(Duration),
    At(Timestamp),
}

impl Moment {
    /// The instant.
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
            Self::At(instant) => instant,
        }
    }
}

/// Reads such a moment; what is wrong with it, and how to write it.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(instant) = text.parse() {
        return Ok(Moment::At(instant));
    }
    let help = "write how long ago, such as \"2h\", or an instant, such as \"2026-01-31T08:00:00Z\"";
    parse_duration(text).map(Moment::Ago).map_err(|_| format!("it is no moment; {help}"))
}

/// Milliseconds.
pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
