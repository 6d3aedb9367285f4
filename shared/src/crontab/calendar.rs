//! Naive local time: which dates and times of day an expression means, before any zone comes in.

use chrono::DateTime;
use cron::Schedule;

use super::error::CrontabError;
use super::field::Field;

/// The longest that each month can be.
const MONTH_DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The matches of an expression in naive local time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calendar {
    /// One, or two for "that day of the month, or that day of the week": any of them may match.
    schedules: Vec<Schedule>,
}

impl Calendar {
    /// Builds the calendar of all six fields; `time` is second, minute and hour.
    pub(super) fn new(
        time: [&Field; 3],
        day: &Field,
        month: &Field,
        weekday: &Field,
    ) -> Result<Self, CrontabError> {
        let time = time.map(|field| list(field, 0)).join(" ");
        let (days, months) = (list(day, 0), list(month, 0));
        // Sunday is 0 in a crontab and 1 for `cron`.
        let weekdays = list(weekday, 1);
        let quartz = if !day.starred && !weekday.starred {
            vec![format!("{time} {days} {months} *"), format!("{time} * {months} {weekdays}")]
        } else if exists(day, month) {
            vec![format!("{time} {days} {months} {weekdays}")]
        } else {
            return Err(CrontabError::NoSuchDay { days, months });
        };
        let schedules = quartz.into_iter().map(translated).collect::<Result<_, _>>()?;
        Ok(Self { schedules })
    }

    /// The first match after a local time; both count seconds as if the clock showed UTC.
    pub(super) fn next_after(&self, local: i64) -> Option<i64> {
        let local = DateTime::from_timestamp(local, 0)?;
        let matches = self.schedules.iter().filter_map(|schedule| schedule.after(&local).next());
        matches.min().map(|time| time.timestamp())
    }
}

/// The numbers of a field, the way `cron` reads them.
fn list(field: &Field, shift: u8) -> String {
    let numbers: Vec<String> = field.values.iter().map(|value| (value + shift).to_string()).collect();
    numbers.join(",")
}

/// Whether any of the months ever has any of the days.
fn exists(day: &Field, month: &Field) -> bool {
    let earliest = day.values.first();
    MONTH_DAYS.iter().zip(1..).any(|(last, number)| month.values.contains(&number) && earliest <= Some(last))
}

fn translated(quartz: String) -> Result<Schedule, CrontabError> {
    quartz.parse().map_err(|source| CrontabError::Translation { quartz, source })
}
