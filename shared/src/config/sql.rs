//! `[sql.NAME]`: statements that jobs run by name, and the text of statements everywhere.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use super::complaint::{Complaint, clip};
use super::placeholders::{first_of, first_word, highest_placeholder};
use super::problem::Origin;
use super::reader::read_text;
use super::section::Section;
use super::suggest::did_you_mean;

/// A statement that is given less time than this is a slip.
pub(super) const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// The parameters that a job has without its arguments, by name.
const JOB_PARAMS: &[(&str, Param)] =
    &[("job.id", Param::JobId), ("job.attempt", Param::JobAttempt), ("job.fence", Param::JobFence)];

const HELP_PARAM: &str = r#"write "job.id", "job.attempt", "job.fence", or "args.NAME" for an argument"#;

/// One of `[sql.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Where the statement was written.
    pub origin: Origin,
    /// The statement.
    pub sql: Sql,
    /// What is bound to `$1`, `$2`, …; nothing by default.
    pub params: Vec<Param>,
    /// After how long the statement is cancelled; by default `statement_timeout` of `[postgres]`.
    pub timeout: Option<Duration>,
}

/// The text of a statement, from `sql` or from the file that `sql_file` names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sql {
    /// The text.
    pub text: String,
    /// The file it was read from, if it was.
    pub file: Option<PathBuf>,
}

/// What is bound to one placeholder of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// `job.id`: the id of the job, a text.
    JobId,
    /// `job.attempt`: which attempt this is, counted from 1.
    JobAttempt,
    /// `job.fence`: a number that is larger for every later claim.
    JobFence,
    /// `args.a.b`: a value of the job's arguments, by its path.
    Arg(Vec<String>),
}

impl Statement {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let sql = Sql::read(section);
        let params = section.parsed_each("params", Param::parse);
        if let Some(sql) = &sql
            && (params.is_some() || !section.has("params"))
        {
            let count = params.as_ref().map_or(0, Vec::len);
            let key = if params.is_some() { "params" } else { sql.key() };
            check_placeholders(section, key, sql, count, &format!("params names {count}"));
        }
        if let Some(sql) = &sql {
            refuse_session(section, sql);
        }
        let timeout = section.duration("timeout", TIMEOUT_MIN);
        Some(Self { origin: section.origin(), sql: sql?, params: params.unwrap_or_default(), timeout })
    }
}

impl Sql {
    /// Reads `sql` or `sql_file`, of which there must be one.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let text = section.text("sql");
        let file = section.text("sql_file");
        if !section.exactly_one("sql", "sql_file") {
            return None;
        }
        let sql = match (text, file) {
            (Some(text), _) => Self { text, file: None },
            (None, Some(path)) => Self::read_file(section, &path)?,
            (None, None) => return None,
        };
        if sql.text.trim().is_empty() {
            section.report(sql.key(), "the statement is empty", "write a statement of SQL");
            return None;
        }
        refuse_session_locks(section, &sql);
        Some(sql)
    }

    /// The key it was read from, for problems: `sql` or `sql_file`.
    pub fn key(&self) -> &'static str {
        if self.file.is_some() { "sql_file" } else { "sql" }
    }

    fn read_file(section: &Section<'_>, path: &str) -> Option<Self> {
        let path = section.reader().resolve(path);
        let text = read_text(&path).map_err(|why| {
            let help = "the path is relative to the folder of the configuration file";
            section.report("sql_file", format!("cannot read `{}`: {why}", path.display()), help);
        });
        Some(Self { text: text.ok()?, file: Some(path) })
    }
}

/// Statements that would leave something behind on the connection, which the next job gets: a transaction
/// that nobody commits, a setting, a subscription.
const SESSION: &[&str] = &[
    "abort",
    "begin",
    "commit",
    "deallocate",
    "discard",
    "end",
    "listen",
    "load",
    "lock",
    "prepare",
    "release",
    "reset",
    "rollback",
    "savepoint",
    "set",
    "start",
    "unlisten",
];

/// Records a problem if the statement is about its session instead of about data.
fn refuse_session(section: &Section<'_>, sql: &Sql) {
    let word = first_word(&sql.text);
    if SESSION.contains(&word.as_str()) {
        let message = format!("`{word}` changes the connection, which other jobs use after this one");
        let help =
            "a statement runs in a transaction of its own; put several steps into one `with` or a function";
        section.report(sql.key(), message, help);
    }
}

/// Functions whose lock nobody would give back: it is the session's, and outlives the statement and its time limit.
const SESSION_LOCKS: &[&str] =
    &["pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared"];

/// Records a problem if the statement takes a lock for its session.
fn refuse_session_locks(section: &Section<'_>, sql: &Sql) {
    if let Some(function) = first_of(&sql.text, SESSION_LOCKS) {
        let message = format!("`{function}` locks for the connection, which other jobs use after this one");
        let help = format!(
            "write `{}`: such a lock ends with the statement",
            function.replace("_lock", "_xact_lock")
        );
        section.report(sql.key(), message, help);
    }
}

/// Records a problem unless the statement uses `$1` to `$count`; `named` says what names that many.
pub(super) fn check_placeholders(section: &Section<'_>, key: &str, sql: &Sql, count: usize, named: &str) {
    let highest = highest_placeholder(&sql.text);
    if usize::try_from(highest).is_ok_and(|highest| highest == count) {
        return;
    }
    let used = if highest == 0 { "no placeholder".to_owned() } else { format!("${highest}") };
    let help = "name one value for each of $1, $2, … in the statement, in this order";
    section.report(key, format!("the statement uses {used} but {named}"), help);
}

impl Param {
    fn parse(text: &str) -> Result<Self, Complaint> {
        if let Some((_, param)) = JOB_PARAMS.iter().find(|(name, _)| *name == text) {
            return Ok(param.clone());
        }
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_step = |step: &str| !step.is_empty() && step.chars().all(is_inner);
        if let Some(path) = text.strip_prefix("args.")
            && path.split('.').all(is_step)
        {
            return Ok(Self::Arg(path.split('.').map(str::to_owned).collect()));
        }
        let known = JOB_PARAMS.iter().map(|(name, _)| *name);
        let help = did_you_mean(text, known).unwrap_or_else(|| HELP_PARAM.to_owned());
        Err(Complaint::new(format!("`{}` cannot be bound", clip(text)), help))
    }
}

impl Display for Param {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JobId => f.write_str("job.id"),
            Self::JobAttempt => f.write_str("job.attempt"),
            Self::JobFence => f.write_str("job.fence"),
            Self::Arg(path) => write!(f, "args.{}", path.join(".")),
        }
    }
}
