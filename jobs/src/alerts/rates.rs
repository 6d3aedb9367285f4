//! How often something went well lately, out of counters that only grow.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Over which time it is judged.
const WINDOW: Duration = Duration::from_mins(15);

/// What was counted, look by look, as far back as it matters.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<(i64, BTreeMap<String, Counted>)>);

/// What was counted since something began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    pub(super) good: u64,
    pub(super) bad: u64,
}

impl Counted {
    pub(super) fn all(self) -> u64 {
        self.good + self.bad
    }

    /// Which share was good; all of nothing is.
    pub(super) fn share_good(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        if self.all() == 0 { 1.0 } else { self.good as f64 / self.all() as f64 }
    }

    /// What came since; nothing where the counters began anew.
    fn since(self, before: Self) -> Self {
        let by = |now: u64, before: u64| now.checked_sub(before);
        match (by(self.good, before.good), by(self.bad, before.bad)) {
            (Some(good), Some(bad)) => Self { good, bad },
            _ => Self::default(),
        }
    }
}

impl Rates {
    /// What has come lately, by subject, as far back as is known; none at the first look.
    pub(super) fn add(
        &mut self,
        now_ms: i64,
        counted: BTreeMap<String, Counted>,
    ) -> Option<BTreeMap<String, Counted>> {
        let begins_ms = now_ms.saturating_sub(i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX));
        // The last one from before the window is where it begins.
        while self.0.get(1).is_some_and(|(at_ms, _)| *at_ms <= begins_ms) {
            self.0.pop_front();
        }
        let lately = (!self.0.is_empty()).then(|| {
            // What came into being since is judged from when it was first seen.
            let first = |name: &String| self.0.iter().find_map(|(_, before)| before.get(name));
            let since = |(name, now): (&String, &Counted)| Some((name.clone(), now.since(*first(name)?)));
            counted.iter().filter_map(since).collect()
        });
        self.0.push_back((now_ms, counted));
        lately
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rates: &mut Rates, minute: i64, good: u64, bad: u64) -> Option<Counted> {
        let counted = BTreeMap::from([("board".to_owned(), Counted { good, bad })]);
        rates.add(minute * 60_000, counted).and_then(|lately| lately.get("board").copied())
    }

    #[test]
    fn only_what_came_in_the_last_quarter_of_an_hour_counts() {
        let mut rates = Rates::default();
        assert_eq!(at(&mut rates, 0, 1_000, 1_000), None, "nobody knows when that was");
        assert_eq!(at(&mut rates, 1, 1_010, 1_000), Some(Counted { good: 10, bad: 0 }));
        assert_eq!(at(&mut rates, 10, 1_010, 1_030), Some(Counted { good: 10, bad: 30 }));
        assert_eq!(at(&mut rates, 24, 1_010, 1_030), Some(Counted { good: 0, bad: 30 }));
        assert_eq!(at(&mut rates, 25, 1_011, 1_030), Some(Counted { good: 1, bad: 0 }));
        assert_eq!(at(&mut rates, 26, 3, 4), Some(Counted::default()), "they began anew");
    }

    #[test]
    fn what_came_into_being_after_the_first_look_is_judged_from_when_it_was_seen() {
        let mut rates = Rates::default();
        assert_eq!(rates.add(0, BTreeMap::new()), None);
        assert_eq!(at(&mut rates, 1, 100, 50), None, "nobody knows when that was");
        assert_eq!(at(&mut rates, 2, 101, 70), Some(Counted { good: 1, bad: 20 }));
    }

    #[test]
    fn of_nothing_all_is_good() {
        assert!((Counted::default().share_good() - 1.0).abs() < f64::EPSILON);
        assert!((Counted { good: 1, bad: 3 }.share_good() - 0.25).abs() < f64::EPSILON);
    }
}
