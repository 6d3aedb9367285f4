//! Crontab expressions: what operators write, and the instants at which it fires.
//!
//! An expression has five fields (minute, hour, day of month, month, day of week), or six with seconds
//! first, or is a macro such as `@daily`. A field holds `*`, numbers, names (`JAN`-`DEC`, `SUN`-`SAT`),
//! ranges, lists and steps; `a/n` means from `a` to the highest number in steps of `n`. `0` and `7` are
//! both Sunday. What only Quartz knows (`?`, `L`, `W`, `#`, a year) is refused by name.
//!
//! **The two day fields.** A day field that does not begin with `*` is restricted. If both are, a day
//! needs to match only one of them: `0 0 13 * FRI` fires on every 13th and on every Friday. Otherwise a day
//! must match both, and since `*/2` begins with `*`, `0 0 */2 * MON` fires on Mondays of odd date. This is
//! how crontab(5) has always read them.
//!
//! **Clock changes.** Times of day and intervals are two different wishes, told apart as Vixie cron does:
//!
//! - Neither the minute nor the hour begins with `*`: *fixed times*, which happen on every day whose date
//!   matches. A time that the clock jumps over is fired at the first instant after the jump (02:30 in
//!   New York on 8 March 2026 fires at 03:00), a time that comes twice is fired at its first pass. Several
//!   times that end up on one instant fire once.
//! - Otherwise the expression *follows the clock*: it fires whenever the clock on the wall shows a match.
//!   Nothing is made up for an hour that was jumped over, and an hour that comes twice counts twice.
//!
//! Inside, `field`, `item` and `quartz` read a field, `calendar` walks naive local time with the `cron`
//! crate, and `walk` turns local time into instants with the exact transitions that jiff keeps. The `cron`
//! crate sees neither an expression as it was written (it counts weekdays from 1, and wants both day fields
//! to match) nor a time zone (it leaves out what falls into a gap). Its years end with 2100, and so do ours.

mod calendar;
mod error;
mod field;
mod item;
mod quartz;
mod walk;

use std::fmt;
use std::iter;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::calendar::Calendar;
use self::field::Field;

pub use self::error::{CrontabError, FieldProblem};
pub use self::field::Unit;

/// What each macro stands for.
const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A crontab expression that can fire.
///
/// Two are equal if they were written alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Crontab {
    text: String,
    calendar: Calendar,
    follows_clock: bool,
}

impl Crontab {
    /// Reads an expression, or says what is wrong with it and what would be right.
    pub fn parse(text: &str) -> Result<Self, CrontabError> {
        let expanded = match text.trim() {
            name if name.starts_with('@') => expand(name)?,
            fields => fields,
        };
        let [second, minute, hour, day, month, weekday] = &read(expanded)?;
        let follows_clock = minute.starred || hour.starred;
        let calendar = Calendar::new([second, minute, hour], day, month, weekday)?;
        Ok(Self { text: text.to_owned(), calendar, follows_clock })
    }

    /// The first firing strictly after an instant, on the clocks of a zone.
    ///
    /// `None` means never again: nothing fires after the year 2100.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // A firing is on a whole second, so the fraction of the second that has begun does not matter.
        let passed = after.as_second() - i64::from(after.subsec_nanosecond() < 0);
        let next = if self.follows_clock {
            walk::clock_match(&self.calendar, passed, zone)
        } else {
            walk::fixed_time(&self.calendar, passed, zone)
        };
        next.and_then(walk::instant)
    }

    /// Every firing strictly after an instant, earliest first.
    pub fn upcoming(&self, after: Timestamp, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
        iter::successors(self.next_after(after, zone), |&fired| self.next_after(fired, zone))
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Crontab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Crontab {
    type Err = CrontabError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The fields that a macro stands for.
fn expand(name: &str) -> Result<&'static str, CrontabError> {
    if name.eq_ignore_ascii_case("@reboot") {
        return Err(CrontabError::Reboot);
    }
    MACROS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|&(_, fields)| fields)
        .ok_or_else(|| CrontabError::unknown_macro(name, &MACROS.map(|(known, _)| known)))
}

/// Reads the six fields; the seconds are 0 where only five are written.
fn read(text: &str) -> Result<[Field; 6], CrontabError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [second, minute, hour, day, month, weekday] = match fields[..] {
        [minute, hour, day, month, weekday] => ["0", minute, hour, day, month, weekday],
        [second, minute, hour, day, month, weekday] => [second, minute, hour, day, month, weekday],
        [] => return Err(CrontabError::Empty),
        _ => return Err(CrontabError::FieldCount { count: fields.len() }),
    };
    Ok([
        Field::parse(Unit::Second, second)?,
        Field::parse(Unit::Minute, minute)?,
        Field::parse(Unit::Hour, hour)?,
        Field::parse(Unit::DayOfMonth, day)?,
        Field::parse(Unit::Month, month)?,
        Field::parse(Unit::DayOfWeek, weekday)?,
    ])
}

#[cfg(test)]
mod tests;
