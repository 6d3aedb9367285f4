//! What became of jobs, kept in Postgres when Redis has long forgotten them.
//!
//! The scripts that end jobs tell of it in a stream (`shared/src/queue/history.rs`); one worker writes down what stands
//! there with a [`Book`], and takes it away once it is written. Whoever is killed in between leaves it there, and the next
//! one writes it again, which changes nothing: an end is known by its job and its instant. [`search`] and [`find`] are for
//! people.

mod book;
mod rights;
mod search;

pub use book::{Book, BookError, Written};
pub use rights::{Rights, rights};
pub use search::{Past, Search, find, search};

use sqlx::PgPool;

/// Whether the database has a table for it.
///
/// # Errors
/// What Postgres says.
pub async fn exists(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("/* brasa */ select to_regclass('brasa.history') is not null").fetch_one(pool).await
}
