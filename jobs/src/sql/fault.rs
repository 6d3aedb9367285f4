//! What an error of Postgres means for a job.

use sqlx::Error;

use crate::verdict::{JobError, Verdict};

/// Turns an error into a verdict: what cannot get better by itself is not tried again.
///
/// Class 42 is a mistake in the statement or a missing right, class 22 a value that does not fit: both wait
/// for a person. Everything else (a lost connection, a deadlock, a lock, a broken constraint that another
/// transaction may mend) may pass.
pub(crate) fn judge(error: Error, doing: &str) -> JobError {
    let code =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned();
    let verdict =
        if code.starts_with("42") || code.starts_with("22") { Verdict::Bury } else { Verdict::Retry };
    // A value that does not fit is quoted, and it may be one that the job was given, which not everybody may see.
    let cause = match error.as_database_error() {
        Some(said) if code.starts_with("22") => {
            anyhow::anyhow!("{} (SQLSTATE {code})", unquoted(said.message()))
        }
        _ => anyhow::Error::new(error),
    };
    JobError { verdict, cause: cause.context(format!("could not {doing}")) }
}

/// A message of Postgres without what it quotes.
fn unquoted(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}\"…\"{}", &message[..first], &message[last + 1..])
        }
        _ => message.to_owned(),
    }
}
