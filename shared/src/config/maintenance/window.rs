//! `windows` of `[maintenance]`: when changes may be made.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::config::complaint::{Complaint, clip};

const HELP: &str = r#"write it as in "01:00-05:00", "sat,sun 22:00-04:00" or "mon-fri 02:30-04:00""#;
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A time of some days of the week. One that ends at its beginning or before it goes on into the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    days: [bool; 7],
    from: Time,
    to: Time,
}

/// When changes may be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// The windows; none is any time.
    pub windows: Vec<Window>,
    /// The zone that they are meant in.
    pub zone: TimeZone,
}

impl Default for Windows {
    fn default() -> Self {
        Self { windows: Vec::new(), zone: TimeZone::UTC }
    }
}

impl Windows {
    /// When the window ends in which `now` is; no end where there are no windows, and nothing outside of all.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.windows.is_empty() {
            return Some(Timestamp::MAX);
        }
        let around = self.around(now);
        let end = |at: Timestamp| {
            around.iter().filter(|(from, to)| *from <= at && at < *to).map(|(_, to)| *to).max()
        };
        // Windows that touch are one.
        let mut until = end(now)?;
        while let Some(later) = end(until) {
            until = later;
        }
        Some(until)
    }

    /// When the next one begins.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).into_iter().map(|(from, _)| from).filter(|from| *from > now).min()
    }

    /// The windows of yesterday and of the next eight days.
    fn around(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let today = now.to_zoned(self.zone.clone()).date();
        let days = (-1..=8).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        let of_day = |day: Date| self.windows.iter().filter_map(move |window| window.on(day, &self.zone));
        days.flat_map(of_day).collect()
    }
}

impl Window {
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        let complain = |why: &str| Complaint::new(format!("`{}` {why}", clip(text)), HELP);
        let (days, hours) = match text.trim().rsplit_once(char::is_whitespace) {
            Some((days, hours)) => (days.trim(), hours),
            None => ("mon-sun", text.trim()),
        };
        let (from, to) = hours.split_once('-').ok_or_else(|| complain("has no beginning and end"))?;
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            // The end of a day is the beginning of the next.
            if (hour, minute) == ("24", "00") {
                return Some(Time::midnight());
            }
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        if from.trim() == "24:00" {
            return Err(complain("begins at the end of a day: write 00:00 of the next one"));
        }
        let (from, to) = time(from).zip(time(to)).ok_or_else(|| complain("has a time that is none"))?;
        Ok(Self { days: parse_days(days).ok_or_else(|| complain("names days that are none"))?, from, to })
    }

    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.days[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())] {
            return None;
        }
        let ends = if self.to <= self.from { day.checked_add(1.day()).ok()? } else { day };
        let at = |day: Date, time: Time| {
            Some(zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?.timestamp())
        };
        Some((at(day, self.from)?, at(ends, self.to)?))
    }
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let place = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        DAYS.iter().position(|(short, _)| name.len() >= 3 && name.get(..3) == Some(short))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        // `fri-mon` goes over the weekend.
        for ahead in 0..=(last + 7 - first) % 7 {
            days[(first + ahead) % 7] = true;
        }
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(texts: &[&str], zone: &str) -> Windows {
        let windows = texts.iter().map(|text| Window::parse(text).unwrap()).collect();
        Windows { windows, zone: TimeZone::get(zone).unwrap() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_that_ends_before_it_begins_goes_on_into_the_next_day() {
        // Friday night in Bogota, five hours behind.
        let open = windows(&["fri 22:00-04:00"], "America/Bogota");
        for (now, until) in [
            ("2026-11-28T02:59:00Z", None),
            ("2026-11-28T03:00:00Z", Some("2026-11-28T09:00:00Z")),
            ("2026-11-28T08:59:59Z", Some("2026-11-28T09:00:00Z")),
            ("2026-11-28T09:00:00Z", None),
            ("2026-11-27T03:30:00Z", None),
        ] {
            assert_eq!(open.open_until(at(now)), until.map(at), "{now}");
        }
        assert_eq!(open.next(at("2026-11-28T09:00:00Z")), Some(at("2026-12-05T03:00:00Z")));
    }

    #[test]
    fn of_windows_that_overlap_the_later_end_counts_and_none_is_any_time() {
        let open = windows(&["01:00-03:00", "02:00-24:00"], "UTC");
        assert_eq!(open.open_until(at("2026-11-28T02:30:00Z")), Some(at("2026-11-29T00:00:00Z")));
        let touching = windows(&["sat 22:00-24:00", "sun 00:00-05:00"], "UTC");
        assert_eq!(touching.open_until(at("2026-11-28T23:00:00Z")), Some(at("2026-11-29T05:00:00Z")));
        assert_eq!(Windows::default().open_until(at("2026-11-28T02:30:00Z")), Some(Timestamp::MAX));
        assert_eq!(Windows::default().next(at("2026-11-28T02:30:00Z")), None);
    }

    #[test]
    fn days_are_lists_and_ranges_that_may_go_over_the_weekend() {
        assert_eq!(parse_days("sat,Sunday"), Some([false, false, false, false, false, true, true]));
        assert_eq!(parse_days("fri-mon"), Some([true, false, false, false, true, true, true]));
        assert_eq!(parse_days("mo"), None);
        for text in [
            "",
            "sat",
            "25:00-26:00",
            "01:00",
            "someday 01:00-02:00",
            "01:00 - 02:00",
            "sat 1-2",
            "24:00-05:00",
        ] {
            assert!(Window::parse(text).is_err(), "{text}");
        }
    }
}
