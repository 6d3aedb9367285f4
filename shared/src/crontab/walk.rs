//! From local time to instants, through the transitions of a zone.
//!
//! Everything here counts whole seconds: of real time for an instant, and of a clock that shows UTC for a
//! local time, so that the two differ by the offset in force.

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::calendar::Calendar;

/// The first firing after an instant, if the expression names times of day.
///
/// Local time never goes back here: the times in a gap all become its end, and those in an overlap all
/// belong to its first pass. So one step of the calendar is enough.
pub(super) fn fixed_time(calendar: &Calendar, after: i64, zone: &TimeZone) -> Option<i64> {
    let offset = offset_at(after, zone)?;
    let local = after + offset;
    let passed = match ambiguity(local, zone)? {
        // In the second pass all of the overlap is over.
        AmbiguousOffset::Fold { before, after: second } if seconds(second) == offset => {
            let back = next_transition(local - seconds(before), zone)?;
            back + seconds(before) - 1
        }
        _ => local,
    };
    let next = calendar.next_after(passed)?;
    match ambiguity(next, zone)? {
        AmbiguousOffset::Unambiguous { offset } => Some(next - seconds(offset)),
        AmbiguousOffset::Fold { before, .. } => Some(next - seconds(before)),
        // Read with the later offset, a time in the gap lies just before the gap.
        AmbiguousOffset::Gap { after, .. } => next_transition(next - seconds(after), zone),
    }
}

/// The first firing after an instant, if the expression follows the clock on the wall.
///
/// Goes from transition to transition, since between two of them local time is real time plus a constant.
/// It ends: a found time lies before the end of the calendar, and each turn is a transition further.
pub(super) fn clock_match(calendar: &Calendar, after: i64, zone: &TimeZone) -> Option<i64> {
    let mut from = after + 1;
    let mut searched = from + offset_at(from, zone)?;
    let mut found = calendar.next_after(searched - 1)?;
    loop {
        let offset = offset_at(from, zone)?;
        let fires = found - offset;
        match next_transition(from, zone) {
            Some(transition) if transition <= fires => from = transition,
            _ => return Some(fires),
        }
        let local = from + offset_at(from, zone)?;
        // What was found stays the next match unless the clock has gone past it, or back before the search.
        if !(searched..=found).contains(&local) {
            searched = local;
            found = calendar.next_after(local - 1)?;
        }
    }
}

/// The instant of so many seconds; `None` beyond the years that jiff knows.
pub(super) fn instant(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

fn offset_at(second: i64, zone: &TimeZone) -> Option<i64> {
    instant(second).map(|instant| seconds(zone.to_offset(instant)))
}

fn ambiguity(local: i64, zone: &TimeZone) -> Option<AmbiguousOffset> {
    let shown = Offset::UTC.to_datetime(instant(local)?);
    Some(zone.to_ambiguous_timestamp(shown).offset())
}

fn next_transition(after: i64, zone: &TimeZone) -> Option<i64> {
    let transition = zone.following(instant(after)?).next()?;
    Some(transition.timestamp().as_second())
}

fn seconds(offset: Offset) -> i64 {
    i64::from(offset.seconds())
}
