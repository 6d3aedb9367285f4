//! A place in a trace, as W3C writes it: `traceparent`, such as
//! `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
//!
//! Brasa collects no traces. It hands the place on: from who enqueues to the job, to its log lines, and to the endpoint
//! that a job calls.

use std::fmt;
use std::str::FromStr;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    span: u64,
    flags: u8,
}

/// A text is no place in a trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not as in `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`")]
pub struct NoTrace;

impl Trace {
    /// The trace, in 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The place in it, in 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// A place of our own below this one.
    #[must_use]
    pub fn below(self) -> Self {
        // Zero would be no place.
        Self { span: rand::random::<u64>().max(1), ..self }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl FromStr for Trace {
    type Err = NoTrace;

    /// Later versions may say more behind; what version 0 says is read of them too.
    fn from_str(text: &str) -> Result<Self, NoTrace> {
        let mut parts = text.trim().split('-');
        let mut part = |digits: usize| {
            let part = parts.next().unwrap_or_default();
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let fits = part.len() == digits && is_hex;
            u128::from_str_radix(part, 16).ok().filter(|_| fits).ok_or(NoTrace)
        };
        let (version, id, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let says_more = parts.next().is_some();
        if version == 0xff || id == 0 || span == 0 || (version == 0 && says_more) {
            return Err(NoTrace);
        }
        let (span, flags) = (u64::try_from(span), u8::try_from(flags));
        Ok(Self { id, span: span.map_err(|_| NoTrace)?, flags: flags.map_err(|_| NoTrace)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_place_reads_as_it_was_written() {
        let trace: Trace = GOOD.parse().unwrap();
        assert_eq!(trace.to_string(), GOOD);
        let later = GOOD.replace("00-4bf9", "01-4bf9") + "-more";
        assert_eq!(later.parse::<Trace>().unwrap(), trace);
    }

    #[test]
    fn a_place_below_is_of_the_same_trace() {
        let trace: Trace = GOOD.parse().unwrap();
        let below = trace.below();
        assert_eq!((below.id, below.flags), (trace.id, 1));
        assert_ne!(below.span, trace.span);
        assert_eq!(below.to_string().parse::<Trace>().unwrap(), below);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let bad =
            ["", "00", zeros, &GOOD.to_uppercase(), &GOOD.replace("00-", "ff-"), &format!("{GOOD}-more")];
        for text in bad {
            assert!(text.parse::<Trace>().is_err(), "{text}");
        }
    }
}
