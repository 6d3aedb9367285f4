//! Why values could not be loaded, and whether fewer of them could be.

use brasa_shared::store::StoreError;

use crate::cache::loaders::EpochError;
use crate::cache::plan::LoaderProblem;
use crate::cache::rows::RowProblem;

/// Why values could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// No connection to the database came in time.
    #[error("could not get a connection to Postgres")]
    Connection(#[source] sqlx::Error),
    /// The warmer does not fit the database.
    #[error(transparent)]
    Plan(LoaderProblem),
    /// The loader failed.
    #[error("could not load")]
    Load(#[source] sqlx::Error),
    /// The loader gave what cannot be.
    #[error(transparent)]
    Rows(#[from] RowProblem),
    /// Redis did not do its part.
    #[error("could not fill the cache")]
    Store(#[from] StoreError),
    /// Redis may not know any more what invalidated values that were loaded without a lease.
    #[error(
        "while the values were loaded, Redis evicted keys, was restarted, or a quarter of an hour went by; give it more \
         memory, or make the key of the loader's parameters: such values are leased before they are loaded"
    )]
    Forgotten,
    /// Nobody knows which transactions are over.
    #[error(transparent)]
    Epoch(#[from] EpochError),
}

/// What the database said.
pub(super) fn said(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Whether fewer values at a time may go better: one cannot be read, or all together took too long.
pub(super) fn is_splittable(error: &sqlx::Error) -> bool {
    is_unreadable(error) || code_of(error).is_some_and(|code| code == "57014")
}

/// Whether a parameter cannot be read as the type that the loader takes, or is out of its range.
pub(super) fn is_unreadable(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| code.starts_with("22"))
}

/// Whether the database, or the way there, has more to do than it can; or else the statement is at fault.
pub(super) fn is_strain(error: &sqlx::Error) -> bool {
    const CLASSES: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
    error.as_database_error().is_none()
        || code_of(error).is_none_or(|code| CLASSES.iter().any(|class| code.starts_with(class)))
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned))
}
