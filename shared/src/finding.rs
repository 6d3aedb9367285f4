//! What an examination of the servers finds: how bad it is, what it is, why it matters, and what to do. For whoever
//! examines (`brasa doctor`) and whoever shows it.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Works, and will hurt one day.
    Warning,
    /// Does not work, or loses jobs.
    Problem,
}

impl Level {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What is so.
    pub found: String,
    /// Why it matters; empty where all is well.
    pub why: String,
    /// The statement or the setting to use; empty where there is nothing to do.
    pub help: String,
}

impl Finding {
    /// As it should be.
    pub fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), why: String::new(), help: String::new() }
    }

    /// Worth knowing.
    pub fn note(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Note, found: found.into(), why: why.into(), help: help.into() }
    }

    /// Works, and will hurt one day.
    pub fn warning(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warning, ..Self::note(check, found, why, help) }
    }

    /// Does not work, or loses jobs.
    pub fn problem(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { level: Level::Problem, ..Self::note(check, found, why, help) }
    }
}

/// What was found at one place.
#[derive(Debug, Serialize)]
pub struct Section {
    /// `redis`, `fleet`, `postgres` or `replica`.
    pub server: &'static str,
    /// Where it is, without a password.
    pub address: String,
    /// What was found, in the order of the checks.
    pub findings: Vec<Finding>,
}

impl Section {
    /// The server, for people.
    pub fn name(&self) -> &'static str {
        match self.server {
            "redis" => "Redis",
            "fleet" => "Fleet",
            "postgres" => "Postgres",
            "replica" => "Replica of Postgres",
            other => other,
        }
    }
}
