//! The numbers that producers give their rows: which came again, and which did not come.
//!
//! A producer counts from one up, for each stream by itself. Rows may come in another order than they were sent, where it
//! has several connections; so what is remembered is the highest number and the gaps below it, and a row is new exactly
//! if its number is above the highest or in a gap.

use std::collections::{BTreeMap, BTreeSet};

use brasa_shared::db::writes::{Sent, StreamOf, note_sent, sent};
use brasa_shared::streams::Entry;
use sqlx::PgConnection;

use crate::writes::gather::Gathered;

/// So many gaps are remembered of a producer; of older ones it is only known how many numbers they had.
const GAPS_MAX: usize = 1_000;

/// What came of the producers of a batch.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<String, Came>);

/// What came of a producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Came {
    last: i64,
    /// From and to, both of them missing; in order.
    gaps: Vec<(i64, i64)>,
    /// How many numbers gaps had that are not remembered.
    forgotten: i64,
}

impl Numbers {
    /// What is known about the producers of these entries.
    pub(super) async fn of(
        connection: &mut PgConnection,
        stream: &StreamOf,
        gathered: &Gathered,
    ) -> Result<Self, sqlx::Error> {
        let producers: BTreeSet<&str> =
            gathered.0.iter().filter_map(|(entry, _)| Some(entry.number.as_ref()?.0.as_str())).collect();
        let producers: Vec<&str> = producers.into_iter().collect();
        if producers.is_empty() {
            return Ok(Self::default());
        }
        let mut numbers: BTreeMap<String, Came> =
            producers.iter().map(|producer| ((*producer).to_owned(), Came::default())).collect();
        for sent in sent(connection, stream, &producers).await? {
            numbers.insert(sent.producer.clone(), Came::read(&sent));
        }
        Ok(Self(numbers))
    }

    /// Whether an entry has not come before; from now on it has.
    pub(super) fn is_new(&mut self, entry: &Entry) -> bool {
        let Some((producer, number)) = &entry.number else { return true };
        self.0.get_mut(producer).is_none_or(|came| came.take(*number))
    }

    /// Notes all of it, as a part of the transaction that writes the batch.
    pub(super) async fn note(
        &self,
        connection: &mut PgConnection,
        stream: &StreamOf,
    ) -> Result<(), sqlx::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let all: Vec<Sent> = self.0.iter().map(|(producer, came)| came.to_sent(producer)).collect();
        note_sent(connection, stream, &all).await
    }
}

impl Came {
    /// Whether a number has not come before.
    fn take(&mut self, number: i64) -> bool {
        if number > self.last {
            if number > self.last + 1 {
                self.gaps.push((self.last + 1, number - 1));
                if self.gaps.len() > GAPS_MAX {
                    let (from, to) = self.gaps.remove(0);
                    self.forgotten += to - from + 1;
                }
            }
            self.last = number;
            return true;
        }
        let place = self.gaps.partition_point(|(_, to)| *to < number);
        match self.gaps.get(place).copied() {
            Some((from, to)) if from <= number => {
                let parts = [(from, number - 1), (number + 1, to)];
                self.gaps.splice(place..=place, parts.into_iter().filter(|(from, to)| from <= to));
                true
            }
            _ => false,
        }
    }

    fn lost(&self) -> i64 {
        self.forgotten + self.gaps.iter().map(|(from, to)| to - from + 1).sum::<i64>()
    }

    fn read(sent: &Sent) -> Self {
        let gap = |text: &str| {
            let (from, to) = text.split_once('-')?;
            Some((from.parse().ok()?, to.parse().ok()?))
        };
        let mut came = Self { last: sent.last, ..Self::default() };
        came.gaps = sent.missing.split_whitespace().filter_map(gap).collect();
        came.forgotten = sent.lost - came.lost();
        came
    }

    fn to_sent(&self, producer: &str) -> Sent {
        let gaps: Vec<String> = self.gaps.iter().map(|(from, to)| format!("{from}-{to}")).collect();
        Sent { producer: producer.to_owned(), last: self.last, missing: gaps.join(" "), lost: self.lost() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once_in_whichever_order_they_come() {
        let mut came = Came::default();
        for (number, is_new, lost) in [
            (1, true, 0),
            (2, true, 0),
            (2, false, 0),
            (7, true, 4),
            (4, true, 3),
            (4, false, 3),
            (3, true, 2),
            (6, true, 1),
            (5, true, 0),
            (5, false, 0),
            (8, true, 0),
            (0, false, 0),
            (-3, false, 0),
            (10, true, 1),
        ] {
            assert_eq!((came.take(number), came.lost()), (is_new, lost), "{number}: {came:?}");
            assert_eq!(Came::read(&came.to_sent("p")), came, "as it is written and read");
        }
    }

    #[test]
    fn too_many_gaps_are_counted_and_not_remembered() {
        let mut came = Came::default();
        let all = i64::try_from(GAPS_MAX).unwrap() + 5;
        for number in 1..=all {
            assert!(came.take(number * 2));
        }
        assert_eq!((came.gaps.len(), came.lost()), (GAPS_MAX, all));
        assert!(!came.take(1), "nobody knows any more");
        assert!(came.take(2 * all - 1));
        assert_eq!(Came::read(&came.to_sent("p")), came);
    }
}
