//! Numbers and times that a tired person can read.

use std::time::Duration;

use brasa_shared::hash::hex;
use jiff::Timestamp;

/// A count with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            // Narrow, and lines do not break there.
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// A rate per second.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second >= 100.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
        let whole = per_second.round() as u64;
        format!("{}/s", count(whole))
    } else if per_second == 0.0 {
        "0/s".to_owned()
    } else {
        format!("{per_second:.1}/s")
    }
}

/// A share of one as percent.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 99.9 && percent < 100.0 { format!("{percent:.2} %") } else { format!("{percent:.1} %") }
}

/// A size.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let (mut number, mut place) = (size as f64, 0);
    while number >= 1_024.0 && place + 1 < UNITS.len() {
        number /= 1_024.0;
        place += 1;
    }
    let unit = UNITS.get(place).copied().unwrap_or_default();
    if place == 0 { format!("{size} {unit}") } else { format!("{number:.1} {unit}") }
}

/// How long something took or takes.
pub(crate) fn lasting(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms @ 10_000..120_000 => format!("{} s", ms / 1_000),
        ms @ 120_000..7_200_000 => format!("{} min", ms / 60_000),
        ms @ 7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        ms => format!("{} d", ms / 86_400_000),
    }
}

/// The same of what is so short that milliseconds say little, in µs.
pub(crate) fn micros(us: u64) -> String {
    if us < 1_000 { format!("{us} µs") } else { lasting(Duration::from_micros(us)) }
}

/// How long ago, or in how long, an instant is.
pub(crate) fn ago(ms: i64, now: Timestamp) -> String {
    if ms == 0 {
        return "-".to_owned();
    }
    let away = now.as_millisecond() - ms;
    let words = lasting(Duration::from_millis(away.unsigned_abs()));
    if away >= 0 { format!("{words} ago") } else { format!("in {words}") }
}

/// An instant in full.
pub(crate) fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map_or_else(|_| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A text cut to what a table can bear.
pub(crate) fn short(text: &str, most: usize) -> String {
    let line = text.replace(['\n', '\r'], " ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A text as a part of a path.
pub(crate) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) { path.push(char::from(byte)) } else { path.extend(["%", &hex(&[byte])]) }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((count(0), count(999)), ("0".to_owned(), "999".to_owned()));
        assert_eq!(
            (rate(0.0), rate(1.25), rate(1_500.4)),
            ("0/s".into(), "1.2/s".into(), "1\u{202f}500/s".into())
        );
        assert_eq!(
            (percent(0.5), percent(0.9996), percent(1.0)),
            ("50.0 %".into(), "99.96 %".into(), "100.0 %".into())
        );
        assert_eq!(
            (bytes(17), bytes(1_536), bytes(5 << 30)),
            ("17 B".into(), "1.5 KiB".into(), "5.0 GiB".into())
        );
        assert_eq!(lasting(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(segment("a b/ü@1"), "a%20b%2f%c3%bc%401");
    }
}
