//! `[history]`: what became of jobs, kept in Postgres.

use std::time::Duration;

use super::complaint::{Complaint, clip};
use super::section::Section;
use crate::name::check_name;

/// For how long it is kept, at least: the table is cut by days.
const KEEP_MIN: Duration = Duration::from_hours(24);
/// How much may wait in Redis for a queue, at least.
const WAITING_MIN: u64 = 1 << 20;

/// The section `[history]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Whether workers write down what became of jobs. By default those do that have a Postgres with a table for it.
    pub enabled: Option<bool>,
    /// For how long it is kept, in whole days; 30 days by default.
    pub keep: Duration,
    /// Kinds of which nothing is kept; none by default.
    pub leave_out: Vec<String>,
    /// Whether arguments are kept, too; false by default, for they may hold what is nobody's business.
    pub args: bool,
    /// How many bytes of a queue may wait in Redis for Postgres before the oldest go; 64 MiB by default.
    pub max_bytes: u64,
}

impl Default for History {
    fn default() -> Self {
        Self {
            enabled: None,
            keep: Duration::from_hours(30 * 24),
            leave_out: Vec::new(),
            args: false,
            max_bytes: 64 << 20,
        }
    }
}

impl History {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let max_bytes = section.size("max_bytes");
        if max_bytes.is_some_and(|bytes| bytes < WAITING_MIN) {
            let message = "what ends in a moment may take more than that";
            section.report("max_bytes", message, "write at least \"1MiB\"");
        }
        Self {
            enabled: section.flag("enabled"),
            keep: section.duration("keep", KEEP_MIN).unwrap_or(default.keep),
            leave_out: section.parsed_each("leave_out", kind).unwrap_or_default(),
            args: section.flag("args").unwrap_or(default.args),
            max_bytes: max_bytes.unwrap_or(default.max_bytes),
        }
    }
}

fn kind(name: &str) -> Result<String, Complaint> {
    match check_name(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(_) => Err(Complaint::new(
            format!("`{}` is not a kind of job", clip(name)),
            "write kinds as `brasa kinds` lists them: leave_out = [\"cache.warm\"]",
        )),
    }
}
