//! Figures as people read them.

use std::time::Duration;

/// A size: `512 bytes`, `8 kB`, `1.5 GB`, in steps of 1,024 as Postgres' own.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_024 {
        return format!("{bytes} bytes");
    }
    let mut number = float(bytes) / 1_024.0;
    let mut unit = 0;
    while number >= 1_023.95 && unit + 1 < UNITS.len() {
        number /= 1_024.0;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if number >= 99.95 || (number - number.round()).abs() < 0.05 {
        format!("{number:.0} {unit}")
    } else {
        format!("{number:.1} {unit}")
    }
}

/// A share between 0 and 1: `37 %`, `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    let number = share * 100.0;
    // All of it is all of it, and nothing less.
    if (99.5..100.0).contains(&number) {
        return near(share);
    }
    if number.abs() >= 9.95 || number.abs() < 0.005 || (number - number.round()).abs() < 0.005 {
        format!("{number:.0} %")
    } else {
        format!("{number:.1} %")
    }
}

/// A share that comes near the whole, so that its last digits count: `99.97 %`.
pub(super) fn near(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A count: `1,234,567`.
pub(super) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// The same of an estimate.
pub(super) fn about(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "an estimate, for people")]
    let whole = number.round() as i64;
    format!("about {}", count(whole))
}

/// The nearest whole number; 0 for what is below that.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure for people, not below zero"
)]
pub(super) fn rounded(number: f64) -> usize {
    number.max(0.0).round() as usize
}

/// How long something lasts: `45 s`, `12 min`, `3.5 hours`, `9 days`.
pub(super) fn lasting(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1_000.0),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} hours", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// The same of seconds, none of which are before zero.
pub(super) fn seconds(number: f64) -> String {
    lasting(Duration::try_from_secs_f64(number.max(0.0)).unwrap_or_default())
}

/// The same of milliseconds.
pub(super) fn millis(number: f64) -> String {
    if number < 1.0 { format!("{number:.2} ms") } else { seconds(number / 1_000.0) }
}

/// So many of something: `1 index`, `3 indexes`.
pub(super) fn many(number: usize, one: &str, more: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {more}", count(signed(number))) }
}

/// Names in a row: `a, b and c`.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// As the number that shares are made of.
#[expect(clippy::cast_precision_loss, reason = "a share of it, for people")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// A count with a sign.
pub(super) fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count without one: the counters of Postgres are never below zero.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// How much of a whole something is; nothing of an empty whole.
pub(super) fn share(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 0.0 } else { float(unsigned(part)) / float(unsigned(whole)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!([12, 8_192, 1_572_864, 157_286_400].map(size), ["12 bytes", "8 kB", "1.5 MB", "150 MB"]);
        assert_eq!([0.9965, 0.994].map(percent), ["99.65 %", "99 %"]);
        assert_eq!([0.0, 0.004, 0.05, 0.372, 1.0].map(percent), ["0 %", "0.4 %", "5 %", "37 %", "100 %"]);
        assert_eq!(
            [0, 999, 1_000, 1_234_567, -4_000].map(count),
            ["0", "999", "1,000", "1,234,567", "-4,000"]
        );
        assert_eq!(
            [0.02, 45.0, 720.0, 12_600.0, 777_600.0].map(seconds),
            ["20 ms", "45 s", "12 min", "3.5 hours", "9 days"]
        );
        assert_eq!([many(1, "index", "indexes"), many(3, "index", "indexes")], ["1 index", "3 indexes"]);
        assert_eq!([list(&["a"]), list(&["a", "b", "c"])], ["a", "a, b and c"]);
    }
}
