//! Durations, sizes and moments as people write them: "30s", "1h30m", "64MiB", "2h" ago.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

/// The longest duration that is accepted: a hundred years, so that adding one to a date cannot overflow.
pub const DURATION_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// In milliseconds, from the largest.
const DURATION_UNITS: &[(&str, u64)] =
    &[("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// In bytes.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// How much of a refused text is quoted back.
const QUOTE_MAX: usize = 32;

/// What a text was read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// A span of time.
    Duration,
    /// A number of bytes.
    Size,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is nothing in it.
    Empty,
    /// It holds white space.
    Space,
    /// It begins with a minus.
    Negative,
    /// A number is missing before a unit.
    NoNumber,
    /// A number has no unit behind it.
    NoUnit,
    /// A number is not whole.
    Fraction,
    /// A unit is not one of ours.
    UnknownUnit(String),
    /// The parts do not go from the largest unit to the smallest.
    Order,
    /// It is more than can be held.
    TooLarge,
}

/// A text that is neither a duration nor a size, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {quantity}: {reason}")]
pub struct UnitError {
    text: String,
    quantity: Quantity,
    reason: Reason,
}

impl UnitError {
    fn new(text: &str, quantity: Quantity, reason: Reason) -> Self {
        Self { text: text.chars().take(QUOTE_MAX).collect(), quantity, reason }
    }

    /// What is wrong with the text.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// How to write it instead, with examples.
    pub fn help(&self) -> &'static str {
        self.quantity.help()
    }
}

impl Quantity {
    /// How to write one, with examples.
    pub fn help(self) -> &'static str {
        match self {
            Self::Duration => {
                r#"write a number and a unit, such as "30s", "100ms", "15m", "6h", "2d", "1w" or "1h30m""#
            }
            Self::Size => {
                r#"write a number and a unit, such as "64MiB", "10kB" or "512B" (kB is 1000 bytes, KiB 1024)"#
            }
        }
    }
}

impl Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => "duration",
            Self::Size => "size",
        })
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Space => f.write_str("it holds a space"),
            Self::Negative => f.write_str("it is negative"),
            Self::NoNumber => f.write_str("it does not begin with a number"),
            Self::NoUnit => f.write_str("a number has no unit"),
            Self::Fraction => f.write_str("a number is not whole"),
            Self::UnknownUnit(unit) => write!(f, "`{unit}` is not a unit"),
            Self::Order => f.write_str("its units do not go from large to small"),
            Self::TooLarge => f.write_str("it is too large"),
        }
    }
}

/// Reads a duration: "30s", "100ms", "15m", "6h", "2d", "1w", or several together as in "1h30m".
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let total_max = u64::try_from(DURATION_MAX.as_millis()).unwrap_or(u64::MAX);
    parse(text, DURATION_UNITS, total_max)
        .map(Duration::from_millis)
        .map_err(|reason| UnitError::new(text, Quantity::Duration, reason))
}

/// Reads a size in bytes: "64MiB", "10kB", "512B".
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    parse(text, SIZE_UNITS, u64::MAX).map_err(|reason| UnitError::new(text, Quantity::Size, reason))
}

/// A moment as people write it: so long ago, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no moment")]
pub struct NoMoment;

impl NoMoment {
    /// How to write one, with examples.
    pub fn help(self) -> &'static str {
        r#"write how long ago, such as "2h", or an instant, such as "2026-01-31T08:00:00Z""#
    }
}

impl Moment {
    /// The instant, as seen from now.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
            Self::At(instant) => instant,
        }
    }
}

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if let Ok(instant) = text.parse() {
            return Ok(Self::At(instant));
        }
        parse_duration(text).map(Self::Ago).map_err(|_| NoMoment)
    }
}

/// Writes a duration as `parse_duration` reads it; what is below a millisecond is left out.
///
/// Weeks are written as days: "30d" says more than "4w2d".
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, factor) in DURATION_UNITS.iter().filter(|(unit, _)| *unit != "w") {
        let count = rest / u128::from(*factor);
        rest %= u128::from(*factor);
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

fn parse(text: &str, units: &[(&str, u64)], total_max: u64) -> Result<u64, Reason> {
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    if text.contains(char::is_whitespace) {
        return Err(Reason::Space);
    }
    if text.starts_with('-') {
        return Err(Reason::Negative);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut factor_before = u64::MAX;
    while !rest.is_empty() {
        let (number, unit, after) = first_part(rest);
        let factor = factor_of(number, unit, units)?;
        if factor >= factor_before {
            return Err(Reason::Order);
        }
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= total_max)
            .ok_or(Reason::TooLarge)?;
        factor_before = factor;
        rest = after;
    }
    Ok(total)
}

/// Cuts "1h30m" into "1", "h" and "30m".
fn first_part(text: &str) -> (&str, &str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    (number, unit, after)
}

fn factor_of(number: &str, unit: &str, units: &[(&str, u64)]) -> Result<u64, Reason> {
    if number.is_empty() {
        return Err(Reason::NoNumber);
    }
    if unit.is_empty() {
        return Err(Reason::NoUnit);
    }
    if unit.starts_with(['.', ',']) {
        return Err(Reason::Fraction);
    }
    let known = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    known.ok_or_else(|| Reason::UnknownUnit(unit.chars().take(QUOTE_MAX).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        let cases = [
            ("0s", 0),
            ("100ms", 100),
            ("30s", 30_000),
            ("15m", 900_000),
            ("6h", 21_600_000),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
            ("1h30m", 5_400_000),
            ("1m0s1ms", 60_001),
            ("007s", 7_000),
            ("36500d", 3_153_600_000_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_durations_are_refused_with_the_reason() {
        let cases = [
            ("", Reason::Empty),
            ("30", Reason::NoUnit),
            ("1h30", Reason::NoUnit),
            ("30x", Reason::UnknownUnit("x".to_owned())),
            ("30S", Reason::UnknownUnit("S".to_owned())),
            ("1µs", Reason::UnknownUnit("µs".to_owned())),
            ("-5s", Reason::Negative),
            ("1.5s", Reason::Fraction),
            ("s", Reason::NoNumber),
            ("30 s", Reason::Space),
            ("30m1h", Reason::Order),
            ("1s1s", Reason::Order),
            ("36501d", Reason::TooLarge),
            ("99999999999999999999s", Reason::TooLarge),
            ("18446744073709551615w", Reason::TooLarge),
        ];
        for (text, reason) in cases {
            assert_eq!(parse_duration(text).unwrap_err().reason(), &reason, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_both_kinds_of_unit() {
        let cases =
            [("0B", 0), ("512B", 512), ("10kB", 10_000), ("64MiB", 67_108_864), ("2GB", 2_000_000_000)];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(parse_size("16777216TiB").unwrap_err().reason(), &Reason::TooLarge);
        assert_eq!(parse_size("10KB").unwrap_err().reason(), &Reason::UnknownUnit("KB".to_owned()));
    }

    #[test]
    fn an_error_quotes_the_text_and_says_why() {
        let error = parse_duration("30x").unwrap_err();
        assert_eq!(error.to_string(), "`30x` is not a duration: `x` is not a unit");
        assert!(error.help().contains("\"30s\""));
        assert!(parse_duration(&"9".repeat(1_000)).unwrap_err().to_string().len() < 100);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for millis in [0, 1, 999, 1_000, 1_500, 59_999, 60_000, 5_400_000, 86_400_000, 2_592_000_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        assert_eq!(format_duration(Duration::from_hours(24 * 30)), "30d");
        assert_eq!(format_duration(Duration::from_mins(90)), "1h30m");
        assert_eq!(format_duration(Duration::from_micros(1_700)), "1ms");
    }
}
