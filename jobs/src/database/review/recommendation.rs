//! What a review recommends: what is wrong, how that is known, and the statement that mends it.

use brasa_shared::hash::fnv1a;
use serde::{Deserialize, Serialize};

use crate::database::indexes::Trust;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and could be better.
    Info,
    /// It works, and will hurt one day.
    Warning,
    /// It hurts now, or is about to.
    Critical,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Info];

    /// As it is written down.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A sign only: look for yourself before anything is done.
    Low,
    /// Likely, from estimates.
    Medium,
    /// As the catalogue or the counters say.
    High,
}

impl Confidence {
    /// As it is written down.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl From<Trust> for Confidence {
    fn from(trust: Trust) -> Self {
        match trust {
            Trust::Low => Self::Low,
            Trust::Medium => Self::Medium,
            Trust::High => Self::High,
        }
    }
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// Brasa may, where it is allowed to.
    Apply,
    /// A person, with the statement that is proposed.
    Propose,
    /// A person, who decides how.
    Advise,
}

/// What a review recommends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The rule that it comes from: `R04`.
    pub rule: String,
    /// What it is about, as it is written in SQL where it has a name there. With the rule it tells one recommendation
    /// from another, so it holds nothing that changes from day to day.
    pub object: String,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// What is so, in a sentence.
    pub title: String,
    /// The figures that say so, with their names.
    pub evidence: Vec<(String, String)>,
    /// What to run, where a statement mends it. Statements are separated by `;` and a new line.
    pub statement: Option<String>,
    /// What brings back what was there before.
    pub undo: Option<String>,
    /// What makes it go away.
    pub clears: String,
    /// Who does it.
    pub does: Does,
}

impl Recommendation {
    /// Advice without figures and without a statement.
    pub(super) fn new(rule: &str, object: &str, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            object: object.to_owned(),
            severity,
            confidence: Confidence::High,
            title: title.into(),
            evidence: Vec::new(),
            statement: None,
            undo: None,
            clears: String::new(),
            does: Does::Advise,
        }
    }

    /// The same with another figure.
    pub(super) fn shows(mut self, name: &str, value: impl Into<String>) -> Self {
        self.evidence.push((name.to_owned(), value.into()));
        self
    }

    /// The same with another figure where it is known.
    pub(super) fn may_show(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.shows(name, value),
            None => self,
        }
    }

    /// The same where it is less sure.
    pub(super) fn with(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// The same with a statement that a person may run.
    pub(super) fn proposes(mut self, statement: impl Into<String>) -> Self {
        (self.statement, self.does) = (Some(statement.into()), Does::Propose);
        self
    }

    /// The same with a statement that Brasa may run.
    pub(super) fn applies(mut self, statement: impl Into<String>) -> Self {
        (self.statement, self.does) = (Some(statement.into()), Does::Apply);
        self
    }

    /// The same with what brings back what was there before.
    pub(super) fn undone_by(mut self, statement: impl Into<String>) -> Self {
        self.undo = Some(statement.into());
        self
    }

    /// The same with what makes it go away.
    pub(super) fn clears_when(mut self, what: &str) -> Self {
        what.clone_into(&mut self.clears);
        self
    }

    /// The same from review to review, whatever the figures are.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", fnv1a(&format!("{}\n{}", self.rule, self.object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_the_rule_and_the_object_alone() {
        let one = Recommendation::new("R04", "public.a", Severity::Info, "once");
        let other = Recommendation::new("R04", "public.a", Severity::Critical, "twice").shows("size", "1 MB");
        assert_eq!(one.fingerprint(), other.fingerprint());
        let rules = ["R04", "R05"].map(|rule| Recommendation::new(rule, "public.a", Severity::Info, ""));
        assert_ne!(rules[0].fingerprint(), rules[1].fingerprint());
    }
}
