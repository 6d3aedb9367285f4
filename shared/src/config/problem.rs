//! What is wrong with a configuration, and where.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// One thing wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file as it was named, or `environment`.
    pub file: String,
    /// The line, counted from 1; 0 where there is none.
    pub line: u32,
    /// The dotted path of the key, or the name of the variable; empty where the whole file is meant.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (self.file.as_str(), self.line) {
            ("", _) | (_, 0) => self.file.clone(),
            (file, line) => format!("{file}:{line}"),
        };
        for part in [&place, &self.path].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.help) }
    }
}

/// Everything that is wrong in the configuration, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Where a section was written.
///
/// Every section keeps its own, so that what is found out later (that the database refuses a statement,
/// that a kind does not know an argument) is reported like any other problem, with file, line and path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file as it was named.
    pub file: String,
    /// The line of the section's header, counted from 1; 0 where the section is not written at all.
    pub line: u32,
    /// The dotted path of the section, such as `schedules.weekly-analyze`.
    pub path: String,
    /// The lines of the keys inside, by their dotted paths.
    lines: BTreeMap<String, u32>,
}

impl Origin {
    pub(super) fn new(file: String, line: u32, path: String, lines: BTreeMap<String, u32>) -> Self {
        Self { file, line, path, lines }
    }

    /// The line of a key of this section, such as `sql` or `args.name`.
    ///
    /// For a key that is not written: the line of the nearest table around it.
    pub fn at(&self, key: &str) -> u32 {
        let mut key = key;
        loop {
            if let Some(line) = self.lines.get(key) {
                return *line;
            }
            match key.rsplit_once('.') {
                Some((around, _)) => key = around,
                None => return self.line,
            }
        }
    }

    /// A problem with a key of this section; with the section itself if `key` is empty.
    pub fn problem(&self, key: &str, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.at(key),
            path: join(&self.path, key),
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Puts two parts of a dotted path together, either of which may be empty.
pub(super) fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

/// A key as a part of a dotted path, in quotes where TOML needs them.
pub(super) fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("{key:?}") }
}
