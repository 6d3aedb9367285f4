//! A place in a trace, as W3C writes it: `traceparent`, such as
//! `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
//!
//! The place is handed on: from who enqueues to the job, to its log lines, to the jobs that it enqueues, to the endpoint
//! that it calls, and to its statements. What was done at it is told by `telemetry/spans`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Whoever began the trace wants its spans.
const SAMPLED: u8 = 1;

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
    /// The first place of a trace that nobody has begun: the same one for the same seed. Of all seeds, this share (0 to 1)
    /// is sampled.
    pub fn root(seed: &str, sample: f64) -> Self {
        let hash = Sha256::digest(seed);
        let id = hash.iter().take(16).fold(0, |id: u128, byte| id << 8 | u128::from(*byte));
        let span = hash.iter().skip(16).take(8).fold(0, |span: u64, byte| span << 8 | u64::from(*byte));
        let drawn = f64::from(u32::try_from(id & u128::from(u32::MAX)).unwrap_or(0)) / 2_f64.powi(32);
        let flags = if drawn < sample { SAMPLED } else { 0 };
        Self { id: id.max(1), span: span.max(1), flags }
    }

    /// The trace, as 16 bytes.
    pub fn trace_bytes(&self) -> [u8; 16] {
        self.id.to_be_bytes()
    }

    /// The place in it, as 8 bytes.
    pub fn span_bytes(&self) -> [u8; 8] {
        self.span.to_be_bytes()
    }

    /// What is said about the trace: bit 0 is that its spans are wanted.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether whoever began the trace wants its spans.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

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
    fn a_trace_that_nobody_began_is_the_same_for_the_same_seed_and_sampled_as_often_as_is_wanted() {
        let root = |n: u32, sample| Trace::root(&format!("default\n{n}"), sample);
        assert_eq!(root(1, 1.0), root(1, 1.0));
        assert_ne!(root(1, 1.0).id, root(2, 1.0).id);
        assert_eq!(root(1, 1.0).to_string().parse(), Ok(root(1, 1.0)));
        let sampled = |share| (0..10_000).filter(|n| root(*n, share).is_sampled()).count();
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        assert!((900..1_100).contains(&sampled(0.1)), "{}", sampled(0.1));
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
