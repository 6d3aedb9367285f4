//! An instant, and the day and the hour that it is in, all in UTC.

use std::time::{Duration, SystemTime};

use brasa_shared::jiff::Timestamp;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// An instant as statements take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// In ms since 1970.
    pub(super) ms: i64,
}

impl Moment {
    pub(super) fn of(at: Timestamp) -> Self {
        Self { ms: at.as_millisecond() }
    }

    /// When its hour began, in ms since 1970.
    pub(super) fn hour_ms(self) -> i64 {
        self.ms - self.ms.rem_euclid(HOUR_MS)
    }

    /// Its day, counted since 1970.
    pub(super) fn day(self) -> i32 {
        i32::try_from(self.ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX)
    }
}

/// An instant in µs since 1970, as people's programs have it.
pub(super) fn instant(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}
