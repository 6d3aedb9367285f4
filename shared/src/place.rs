//! A place in a stream.

use std::fmt;
use std::str::FromStr;

/// The id of an entry, in the order of the stream: milliseconds, and a number for those of the same one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Milliseconds.
    pub ms: i64,
    /// The number of the entry among those of its millisecond.
    pub seq: i64,
}

impl Place {
    /// The next place that there can be.
    #[must_use]
    pub fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { ms: self.ms, seq },
            None => Self { ms: self.ms.saturating_add(1), seq: 0 },
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A text is not the id of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of an entry of a stream")]
pub struct NoPlace(String);

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let parse = || {
            let (ms, seq) = text.split_once('-')?;
            Some(Self {
                ms: ms.parse().ok().filter(|ms| *ms >= 0)?,
                seq: seq.parse().ok().filter(|seq| *seq >= 0)?,
            })
        };
        parse().ok_or_else(|| NoPlace(text.chars().take(50).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_is_written_and_is_ordered_as_the_stream_is() {
        let place: Place = "1795557203191-7".parse().unwrap();
        assert_eq!(
            (place.to_string().as_str(), place.next().to_string().as_str()),
            ("1795557203191-7", "1795557203191-8")
        );
        assert!(place < place.next() && place.next() < Place { ms: place.ms + 1, seq: 0 });
        for text in ["", "7", "-1-1", "1--1", "a-1", "1-a", "1-1-1"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
