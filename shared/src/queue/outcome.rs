//! How a job ended, as it is kept beside the job and shown to people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::seal::Sealed;

/// The longest reason that is kept, in bytes.
const REASON_MAX: usize = 2_000;

/// The ways in which a job can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Its handler succeeded.
    Done,
    /// Somebody stopped it.
    Cancelled,
    /// Its time was over before it could start.
    Expired,
    /// It is in the dead letter.
    Dead,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// In which way.
    pub ending: Ending,
    /// What a person should know: the error, or who cancelled it and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the handler returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The same, sealed. The queue seals it where it keeps it, and opens it for whoever looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// When, by the clock of whoever recorded it, ms since 1970.
    #[serde(default)]
    pub at: i64,
    /// The attempt that decided it.
    #[serde(default)]
    pub attempt: u32,
    /// How long that attempt ran, in ms.
    #[serde(default)]
    pub took_ms: u64,
    /// The worker that ran it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub worker: String,
}

impl Outcome {
    /// An ending at `at` ms with nothing else known.
    pub fn new(ending: Ending, at: i64) -> Self {
        Self {
            ending,
            reason: None,
            result: None,
            sealed: None,
            at,
            attempt: 0,
            took_ms: 0,
            worker: String::new(),
        }
    }

    /// The same with a reason, cut to a length that Redis can afford.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(cut(reason.into()));
        self
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"ending":"dead"}"#.to_owned())
    }
}

/// Cuts a text to what is kept, at a character's edge.
pub fn cut(mut text: String) -> String {
    if text.len() > REASON_MAX {
        let edge = (0..=REASON_MAX).rev().find(|&edge| text.is_char_boundary(edge)).unwrap_or(0);
        text.truncate(edge);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_the_edge_of_a_character() {
        let outcome = Outcome::new(Ending::Dead, 0).because("é".repeat(3_000));
        assert!(outcome.reason.is_some_and(|reason| reason.len() < 2_010 && reason.ends_with('…')));
    }
}
