//! One field of an expression: the numbers it stands for, and whether it begins with `*`.

use std::collections::BTreeSet;
use std::fmt;

use super::error::{CrontabError, FieldProblem};
use super::item::Item;

/// Which of the six fields, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 0-59, in front of the other five where it is written at all.
    Second,
    /// 0-59.
    Minute,
    /// 0-23.
    Hour,
    /// 1-31.
    DayOfMonth,
    /// 1-12, or JAN-DEC.
    Month,
    /// 0-7, or SUN-SAT; 0 and 7 are both Sunday.
    DayOfWeek,
}

impl Unit {
    /// The lowest number of the field.
    pub(super) fn low(self) -> u8 {
        u8::from(matches!(self, Self::DayOfMonth | Self::Month))
    }

    /// The highest number of the field.
    pub(super) fn high(self) -> u8 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::DayOfWeek => 7,
        }
    }

    /// How many different numbers the field has.
    pub(super) fn count(self) -> u8 {
        let sunday_twice = u8::from(self == Self::DayOfWeek);
        self.high() - self.low() + 1 - sunday_twice
    }

    /// The names of the numbers, from the lowest up.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => {
                &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
            }
            Self::DayOfWeek => &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
            _ => &[],
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        })
    }
}

/// What one field says.
#[derive(Debug)]
pub(super) struct Field {
    /// The numbers that match, with Sunday as 0.
    pub(super) values: BTreeSet<u8>,
    /// Whether it begins with `*`, which decides about the OR of the day fields and about clock changes.
    pub(super) starred: bool,
}

impl Field {
    /// Reads a comma-separated list of numbers, names, ranges and steps.
    pub(super) fn parse(unit: Unit, text: &str) -> Result<Self, CrontabError> {
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let read = if item.is_empty() {
                Err(FieldProblem::Missing { found: text.to_owned() })
            } else {
                Item::new(unit, item).values()
            };
            values.extend(read.map_err(|problem| CrontabError::Field { unit, problem })?);
        }
        Ok(Self { values, starred: text.starts_with('*') })
    }
}
