//! Which ticks fall between two instants, and which of them still count. No I/O.

use std::collections::VecDeque;
use std::time::Duration;

use brasa_shared::config::Late;
use brasa_shared::jiff::{SignedDuration, Timestamp};

/// The most ticks looked at in one go; the rest follow in the next.
const LOOK_MAX: usize = 200_000;
/// Of an outage longer than this, the older part is not walked through where newer ticks decide anyway.
const WALK_MAX: SignedDuration = SignedDuration::from_hours(48);

/// Ticks that are due, and what is to become of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The nominal instant; of several that are withheld together, the last.
    pub instant: Timestamp,
    /// Set where it is not to fire, with the verdict.
    pub withheld: Option<&'static str>,
    /// How many ticks this stands for: more than one only where they are withheld.
    pub count: usize,
}

/// The ticks after `last` up to `now`, in order.
///
/// A tick younger than `late_after` is not late, whatever the policy: a restart or a change of leader must
/// not skip any. Older ones are judged by the policy: `skip` drops them, `run-once` fires only the latest
/// tick of all that are due, `run-all` fires the latest up to its limit. What is dropped is dropped
/// together, with one verdict.
pub fn due(
    next_after: impl Fn(Timestamp) -> Option<Timestamp>,
    last: Timestamp,
    now: Timestamp,
    late: Late,
    late_after: Duration,
) -> Vec<Due> {
    let fires_max = match late {
        Late::RunAll { max } => max as usize,
        Late::Skip | Late::RunOnce => 1,
    };
    let is_late = |instant: Timestamp| now.duration_since(instant).unsigned_abs() > late_after;
    let mut kept: VecDeque<Timestamp> = VecDeque::new();
    let (mut cursor, mut dropped) = (begin(&next_after, last, now, fires_max), None::<Due>);
    for _ in 0..LOOK_MAX {
        let Some(instant) = next_after(cursor).filter(|instant| *instant <= now) else { break };
        cursor = instant;
        kept.push_back(instant);
        // Late ticks leave as soon as enough newer ones are known; those that are not late all stay.
        while kept.len() > fires_max && kept.front().is_some_and(|oldest| is_late(*oldest)) {
            withhold(&mut dropped, kept.pop_front());
        }
    }
    if late == Late::Skip {
        while kept.front().is_some_and(|oldest| is_late(*oldest)) {
            withhold(&mut dropped, kept.pop_front());
        }
    }
    // Something was missed for longer than it may be: then the latest tick alone makes up for all of it.
    let missed = dropped.is_some() || kept.front().is_some_and(|oldest| is_late(*oldest));
    while late == Late::RunOnce && missed && kept.len() > 1 {
        withhold(&mut dropped, kept.pop_front());
    }
    let fires = kept.into_iter().map(|instant| Due { instant, withheld: None, count: 1 });
    dropped.into_iter().chain(fires).collect()
}

fn withhold(dropped: &mut Option<Due>, instant: Option<Timestamp>) {
    if let Some(instant) = instant {
        let count = dropped.map_or(0, |due| due.count) + 1;
        *dropped = Some(Due { instant, withheld: Some("late"), count });
    }
}

/// Where to begin to walk: after a long outage not at its beginning, if enough ticks lie in its last part.
fn begin(
    next_after: &impl Fn(Timestamp) -> Option<Timestamp>,
    last: Timestamp,
    now: Timestamp,
    fires_max: usize,
) -> Timestamp {
    let Ok(recent) = now.checked_sub(WALK_MAX) else { return last };
    if recent <= last {
        return last;
    }
    let mut cursor = recent;
    for _ in 0..fires_max {
        match next_after(cursor).filter(|instant| *instant <= now) {
            Some(instant) => cursor = instant,
            None => return last,
        }
    }
    recent
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_S: i64 = 60;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * MINUTE_S).unwrap()
    }

    fn every_minute(after: Timestamp) -> Option<Timestamp> {
        Timestamp::from_second((after.as_second().div_euclid(MINUTE_S) + 1) * MINUTE_S).ok()
    }

    /// The minutes that fire after an outage from minute 0 to `until`.
    fn fired(late: Late, until: i64) -> Vec<i64> {
        let due = due(every_minute, at(0), at(until), late, Duration::from_secs(90));
        let fired = due.iter().filter(|due| due.withheld.is_none());
        fired.map(|due| due.instant.as_second() / MINUTE_S).collect()
    }

    #[test]
    fn ticks_that_are_hardly_late_fire_whatever_the_policy() {
        for late in [Late::Skip, Late::RunOnce, Late::RunAll { max: 1 }] {
            assert_eq!(fired(late, 1), [1]);
        }
        assert_eq!(fired(Late::Skip, 2), [1, 2]);
    }

    #[test]
    fn after_a_day_each_policy_fires_its_own_number() {
        let day = 24 * 60;
        assert_eq!(fired(Late::Skip, day), [day - 1, day]);
        assert_eq!(fired(Late::RunOnce, day), [day]);
        assert_eq!(fired(Late::RunAll { max: 5 }, day), [day - 4, day - 3, day - 2, day - 1, day]);
        assert_eq!(fired(Late::RunAll { max: 100_000 }, day).len(), 1440);
    }

    #[test]
    fn ticks_that_do_not_fire_share_one_verdict() {
        let due = due(every_minute, at(0), at(600), Late::RunOnce, Duration::from_secs(30));
        let told: Vec<_> = due.iter().map(|due| (due.instant, due.withheld, due.count)).collect();
        assert_eq!(told, [(at(599), Some("late"), 599), (at(600), None, 1)]);
    }

    #[test]
    fn a_year_of_missed_minutes_is_judged_without_walking_through_it() {
        let year = 365 * 24 * 60;
        assert_eq!(fired(Late::RunOnce, year), [year]);
        assert_eq!(fired(Late::Skip, year), [year - 1, year]);
        assert_eq!(fired(Late::RunAll { max: 3 }, year), [year - 2, year - 1, year]);
    }

    #[test]
    fn a_rare_tick_missed_long_ago_is_made_up_for() {
        let yearly = |after: Timestamp| (after < at(10)).then(|| at(10));
        let due = due(yearly, at(0), at(100_000), Late::RunOnce, Duration::from_secs(30));
        assert_eq!(due, [Due { instant: at(10), withheld: None, count: 1 }]);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        assert!(due(every_minute, at(5), at(5), Late::RunOnce, Duration::ZERO).is_empty());
    }
}
