//! Into which spans of time rows are parted.

use crate::config::complaint::Complaint;

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// So many minutes, which divide an hour.
    Minutes(u32),
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
    /// A quarter of a year.
    Quarter,
    /// A year.
    Year,
}

const WORDS: [(&str, Bucket); 12] = [
    ("minute", Bucket::Minutes(1)),
    ("5m", Bucket::Minutes(5)),
    ("10m", Bucket::Minutes(10)),
    ("15m", Bucket::Minutes(15)),
    ("20m", Bucket::Minutes(20)),
    ("30m", Bucket::Minutes(30)),
    ("hour", Bucket::Hour),
    ("day", Bucket::Day),
    ("week", Bucket::Week),
    ("month", Bucket::Month),
    ("quarter", Bucket::Quarter),
    ("year", Bucket::Year),
];

impl Bucket {
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        let found = WORDS.iter().find(|(word, _)| *word == text).map(|(_, bucket)| *bucket);
        found.ok_or_else(|| {
            let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            Complaint::new(
                format!("`{text}` is no span of time for a bucket"),
                format!("write one of {}", words.join(", ")),
            )
        })
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, known)| *known == self).map_or("minute", |(word, _)| *word)
    }
}
