//! What an error of Postgres means for an aggregate.

/// Classes of SQLSTATE that do not pass: features, cardinality, data, dependants, syntax and rights, limits of the
/// program, functions that raise, the database's own faults.
const BROKEN: [&str; 8] = ["0A", "21", "22", "2B", "42", "54", "P0", "XX"];

/// Why something was not done. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Somebody else is at it.
    #[error("somebody else is at it")]
    Busy,
    /// Another version took its place, or it was removed.
    #[error("another version took its place, or it was removed")]
    Gone,
    /// It may go better a little later.
    #[error("the database did not do it")]
    Passing(#[source] sqlx::Error),
    /// A person has to look at it: the source is not what it was, or a value does not fit.
    #[error("the database refuses")]
    Broken(#[source] sqlx::Error),
    /// A newer build wrote what is known about it.
    #[error("a newer version of Brasa installed it, or its row in brasa.aggregates was changed by hand")]
    Unreadable(#[from] serde_json::Error),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let code = code.unwrap_or_default().into_owned();
        match code.as_str() {
            // Somebody was there before us, in the snapshot or with a lock.
            "40001" | "40P01" | "55P03" => Self::Busy,
            code if BROKEN.iter().any(|class| code.starts_with(class)) => Self::Broken(error),
            _ => Self::Passing(error),
        }
    }
}
