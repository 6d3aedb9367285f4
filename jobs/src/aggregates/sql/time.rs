//! Buckets in SQL: where a time belongs, and where its rows can be found by an index.

use brasa_shared::config::Bucket;
use brasa_shared::db::literal;
use serde::{Deserialize, Serialize};

/// The type of the column that says when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeKind {
    /// An instant: `timestamptz`.
    Instant,
    /// A local time: `timestamp`.
    Local,
    /// A day: `date`.
    Date,
}

impl TimeKind {
    /// That of a type as Postgres writes it.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "timestamp with time zone" => Some(Self::Instant),
            "timestamp without time zone" => Some(Self::Local),
            "date" => Some(Self::Date),
            _ => None,
        }
    }

    /// As it is written in SQL, of a bucket too.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Instant => "timestamptz",
            Self::Local => "timestamp",
            Self::Date => "date",
        }
    }
}

/// Buckets of a kind of time, in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aggregates) struct Buckets<'a> {
    pub(in crate::aggregates) kind: TimeKind,
    pub(in crate::aggregates) bucket: Bucket,
    pub(in crate::aggregates) tz: &'a str,
}

impl Buckets<'_> {
    /// The bucket that a time belongs to. Nothing in it depends on what a session sets.
    pub(super) fn of(&self, time: &str) -> String {
        let zone = literal(self.tz);
        let unit = match self.bucket {
            Bucket::Minutes(1) => "minute",
            Bucket::Minutes(_) => "hour",
            other => other.word(),
        };
        let trunc = match self.kind {
            TimeKind::Instant => format!("date_trunc('{unit}', {time}, {zone})"),
            TimeKind::Local => format!("date_trunc('{unit}', {time})"),
            TimeKind::Date if self.bucket == Bucket::Day => return time.to_owned(),
            TimeKind::Date => format!("date_trunc('{unit}', {time}::timestamp)::date"),
        };
        let Bucket::Minutes(minutes @ 2..) = self.bucket else { return trunc };
        let local = match self.kind {
            TimeKind::Instant => format!("({time} at time zone {zone})"),
            TimeKind::Local | TimeKind::Date => time.to_owned(),
        };
        format!("({trunc} + interval '{minutes} minutes' * floor(extract(minute from {local}) / {minutes}))")
    }

    /// The bucket that a person means by any time in it: a local time of its zone, where none is said.
    pub(in crate::aggregates) fn named(&self, time: &str) -> String {
        let time = match self.kind {
            TimeKind::Instant if !says_zone(time) => format!("{} {}", time.trim(), self.tz),
            _ => time.to_owned(),
        };
        self.of(&format!("{}::{}", literal(&time), self.kind.sql()))
    }

    /// The bucket behind a bucket.
    pub(super) fn end(&self, bucket: &str) -> String {
        let span = self.span();
        match self.kind {
            TimeKind::Instant if self.is_short() => format!("({bucket} + {span})"),
            TimeKind::Instant => {
                let zone = literal(self.tz);
                format!("((({bucket} at time zone {zone}) + {span}) at time zone {zone})")
            }
            TimeKind::Local => format!("({bucket} + {span})"),
            TimeKind::Date => format!("({bucket} + {span})::date"),
        }
    }

    /// How far from its bucket a row can lie, in clock time: where clocks are put back at midnight, the first rows of a
    /// day are from before its beginning. What is found too much there is left out by its bucket.
    pub(super) fn slack(&self) -> &'static str {
        match self.kind {
            TimeKind::Instant if self.tz == "UTC" => "interval '0'",
            TimeKind::Instant if self.is_short() => "interval '1 hour'",
            TimeKind::Instant => "interval '3 hours'",
            TimeKind::Local | TimeKind::Date => "interval '0'",
        }
    }

    /// How long a bucket is.
    pub(super) fn span(&self) -> String {
        match self.bucket {
            Bucket::Minutes(minutes) => format!("interval '{minutes} minutes'"),
            Bucket::Quarter => "interval '3 months'".to_owned(),
            other => format!("interval '1 {}'", other.word()),
        }
    }

    fn is_short(&self) -> bool {
        matches!(self.bucket, Bucket::Minutes(_) | Bucket::Hour)
    }
}

/// Whether a time says which zone it is of: by `Z`, by an offset, or behind a space by name.
fn says_zone(time: &str) -> bool {
    let behind_day = time.trim().get(10..).unwrap_or_default();
    let is_zulu = |word: &str| {
        word.strip_suffix(['Z', 'z'])
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(|c: char| c.is_ascii_digit()))
    };
    let is_name = |word: &str| {
        let is_clock = word.starts_with(['T', 't']) && word.contains(':');
        let is_part = ["am", "pm", "ad", "bc"].iter().any(|part| word.eq_ignore_ascii_case(part));
        word.starts_with(char::is_alphabetic) && !is_clock && !is_part
    };
    let named = |(at, word): (usize, &str)| at > 0 && is_name(word);
    behind_day.contains(['+', '-'])
        || behind_day.split_whitespace().any(is_zulu)
        || behind_day.split(char::is_whitespace).enumerate().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_says_its_zone_by_z_an_offset_or_a_name() {
        for time in [
            "2026-05-01Z",
            "2026-05-01 10:00Z",
            "2026-05-01T10:00:00.5z",
            "2026-05-01 10:00 Z",
            "2026-05-01 10:00+02",
            "2026-05-01T10:00-05:30",
            "2026-05-01 10:00 +2",
            "2026-05-01 10:00 UTC",
            "2026-05-01 10:00 PM Europe/Berlin",
            "2026-05-01 T10:00 UTC",
            "2026-05-01 10:00 Etc/GMT+5",
            "2026-05-01 Europe/Berlin",
        ] {
            assert!(says_zone(time), "{time}");
        }
        for time in [
            "2026-05-01",
            " 2026-05-01 10:00 ",
            "2026-05-01T10:00",
            "2026-05-01 T10:00",
            "2026-05-01t10:00",
            "2026-05-01 10:00 PM",
            "2026-05-01 10:00PM",
            "2026-05-01 10:00 am",
            "2026-05-01 10:00 AD",
            "today",
        ] {
            assert!(!says_zone(time), "{time}");
        }
    }
}
