//! How a verb fails: what is said, and with which exit code.

use std::io::Write as _;
use std::process::ExitCode;

use brasa_jobs::SiteError;
use brasa_jobs::cache::InvalidationError;
use brasa_shared::config::{Problem, Problems};
use brasa_shared::db::DbError;
use brasa_shared::db::changes::triggers::TriggerError;
use brasa_shared::queue::QueueError;
use brasa_shared::store::StoreError;
pub(crate) use brasa_shared::telemetry::logs::chain;

/// Why a verb did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
    said: bool,
}

impl Failure {
    /// Wrong usage or configuration: exit code 2.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into(), said: false }
    }

    /// The world is not as it should be, or the work failed: exit code 1.
    pub(crate) fn environment(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into(), said: false }
    }

    /// Everything has been said already; only the exit code is left.
    pub(crate) fn silent(code: u8) -> Self {
        Self { code, text: String::new(), said: true }
    }

    /// Redis did not do what was asked of it.
    fn redis(place: &str, error: &StoreError) -> Self {
        let StoreError { address, action, fault, source } = error;
        let (cause, help) = (chain(source), fault.help());
        Self::environment(format!("{place}redis at {address} could not {action}: {cause}\n  help: {help}"))
    }

    /// The same as a problem of the configuration at `path`.
    pub(crate) fn into_problem(self, path: &str) -> Problem {
        let (message, help) = self.text.split_once("\n  help: ").unwrap_or((&self.text, ""));
        let (message, help) = (message.to_owned(), help.to_owned());
        Problem { file: "environment".to_owned(), line: 0, path: path.to_owned(), message, help }
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if !self.said {
            let line = if json {
                serde_json::json!({ "error": self.text }).to_string()
            } else {
                format!("error: {}", self.text)
            };
            // Where standard error is closed there is nobody to tell.
            let _told = writeln!(std::io::stderr(), "{line}");
        }
        ExitCode::from(self.code)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::usage(format!("the configuration has {} problem(s)\n{problems}", problems.0.len()))
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Envelope { .. } => Self::usage(chain(&error)),
            QueueError::Shared(ref shared) => Self::environment(chain(shared.as_ref())),
            QueueError::Full { .. } => {
                let help = "let workers drain it, or raise max_length and max_bytes of [queues.NAME]";
                Self::environment(format!("{error}\n  help: {help}"))
            }
            QueueError::Closed { ref queue, .. } => {
                let help = format!("`brasa queues open {queue}` opens it again");
                Self::environment(format!("{error}\n  help: {help}"))
            }
            QueueError::Store { queue, source } => Self::redis(&format!("queue `{queue}`: "), &source),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::redis("", &error)
    }
}

impl From<InvalidationError> for Failure {
    fn from(error: InvalidationError) -> Self {
        match error {
            InvalidationError::Postgres(source) => source.into(),
            InvalidationError::Store(source) => source.into(),
            InvalidationError::Number(_) => Self::environment(chain(&error)),
        }
    }
}

impl From<SiteError> for Failure {
    fn from(error: SiteError) -> Self {
        Self::usage(chain(&error))
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        let help = match &error {
            DbError::Address(_) => return Self::usage(chain(&error)),
            DbError::Connect { .. } => {
                "\n  help: is Postgres running, and are DATABASE_URL and its password right?"
            }
            DbError::Migrate(_) => "",
        };
        Self::environment(format!("{}{help}", chain(&error)))
    }
}

impl From<TriggerError> for Failure {
    fn from(error: TriggerError) -> Self {
        match &error {
            TriggerError::NoTable { .. } | TriggerError::NoColumn { .. } => {
                let help = "correct `depends_on`, or migrate the database first";
                Self::usage(format!("{error}\n  help: {help}"))
            }
            TriggerError::NotATable { .. } | TriggerError::Part { .. } | TriggerError::ForeignPart { .. } => {
                Self::usage(error.to_string())
            }
            TriggerError::Right { role, what, grant } => Self::environment(format!(
                "role `{role}` may not {what}\n  help: let the owner say `{grant}`"
            )),
            TriggerError::NoLog => {
                Self::environment("the database has no change log\n  help: run `brasa migrate`")
            }
            TriggerError::Owner { .. } | TriggerError::Busy { .. } => Self::environment(error.to_string()),
            TriggerError::Db { .. } => Self::environment(chain(&error)),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        // Postgres says which table, but not of which schema it is: ours, or the application's.
        let help = if is_forbidden(&error) {
            "\n  help: let the owner of it give the right; in schema brasa that is the role that ran `brasa migrate`: \
             grant usage on schema brasa to ROLE; grant select, insert, update, delete on all tables in schema brasa \
             to ROLE"
        } else {
            ""
        };
        Self::environment(format!("postgres did not do what was asked: {}{help}", chain(&error)))
    }
}

/// Whether Postgres refused for want of a right (`insufficient_privilege`).
pub(crate) fn is_forbidden(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42501")
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // A reader that has seen enough (`| head`) is no failure worth a word.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::silent(0)
        } else {
            Self::environment(chain(&error))
        }
    }
}
