//! Which transactions had ended when something was read.

use std::fmt;
use std::str::FromStr;

/// A snapshot as `pg_current_snapshot()` writes it: `xmin:xmax:running,running`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Every transaction before this one had ended.
    pub xmin: u64,
    /// This transaction and all after it had not ended.
    pub xmax: u64,
    /// Transactions between the two that had not ended, in ascending order.
    pub running: Vec<u64>,
}

/// A text that is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no snapshot of Postgres: it has the form 10:20:10,14")]
pub struct SnapshotError(String);

impl Snapshot {
    /// Reads the text of a `pg_snapshot`.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, SnapshotError> {
        read(text).ok_or_else(|| SnapshotError(text.chars().take(80).collect()))
    }

    /// Whether what this transaction wrote was seen, if it committed.
    ///
    /// A replica does not list what runs on the primary, so only `xmin` is to be believed there.
    pub fn covers(&self, xid: u64, from_replica: bool) -> bool {
        let had_ended = || xid < self.xmax && self.running.binary_search(&xid).is_err();
        xid < self.xmin || (!from_replica && had_ended())
    }
}

/// The parts of a snapshot, where they keep the order that Postgres keeps.
fn read(text: &str) -> Option<Snapshot> {
    let mut parts = text.split(':');
    let (xmin, xmax, running) = (number(parts.next()?)?, number(parts.next()?)?, parts.next()?);
    let running = match running {
        "" => Vec::new(),
        list => list.split(',').map(number).collect::<Option<Vec<_>>>()?,
    };
    let ascending = running.windows(2).all(|pair| pair[0] < pair[1]);
    let inside = running.iter().all(|xid| (xmin..xmax).contains(xid));
    let whole = parts.next().is_none() && xmin <= xmax && ascending && inside;
    whole.then_some(Snapshot { xmin, xmax, running })
}

/// Digits only: the standard parser takes a sign too.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl FromStr for Snapshot {
    type Err = SnapshotError;

    fn from_str(text: &str) -> Result<Self, SnapshotError> {
        Self::parse(text)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:", self.xmin, self.xmax)?;
        for (place, xid) in self.running.iter().enumerate() {
            write!(out, "{}{xid}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_and_written_in_the_same_form() {
        for text in ["10:10:", "10:20:10,14", "1:18446744073709551615:1"] {
            assert_eq!(Snapshot::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_postgres_would_not_write_is_refused() {
        for text in [
            "",
            "10",
            "10:20",
            "10:20::",
            "20:10:",
            "10:20:9",
            "10:20:20",
            "10:20:14,12",
            "10:20:12,12",
            "10:20:,",
            "+10:20:",
            "10:20:a",
            "1:18446744073709551616:",
        ] {
            assert!(Snapshot::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_snapshot_of_the_primary_covers_what_had_ended() {
        let snapshot = Snapshot::parse("10:20:10,14").unwrap();
        let covered: Vec<u64> = (8..22).filter(|xid| snapshot.covers(*xid, false)).collect();
        assert_eq!(covered, [8, 9, 11, 12, 13, 15, 16, 17, 18, 19]);
    }

    #[test]
    fn a_snapshot_of_a_replica_covers_only_what_all_agree_has_ended() {
        let snapshot = Snapshot::parse("10:20:").unwrap();
        let covered: Vec<u64> = (8..22).filter(|xid| snapshot.covers(*xid, true)).collect();
        assert_eq!(covered, [8, 9]);
    }
}
