//! What people write behind options, and in which units it goes on.

use std::time::Duration;

use brasa_shared::trace::Trace;
use brasa_shared::units::{Moment, NoMoment, parse_duration};

use crate::app::env;

/// A duration as people write it; what is wrong with it, and how to write it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{error}; {}", error.help()))
}

/// The place in a trace that whoever calls us is at; none where the environment has something else there.
pub(super) fn trace_around() -> Option<Trace> {
    env("TRACEPARENT")?.parse().ok()
}

/// A moment as people write it; what is wrong with it, and how to write it.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    text.parse().map_err(|wrong: NoMoment| format!("{wrong}; {}", wrong.help()))
}

/// Milliseconds.
pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
