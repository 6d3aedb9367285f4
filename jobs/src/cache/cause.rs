//! What an invalidation by a person comes behind.

use brasa_shared::cache::Cause;
use sqlx::PgPool;

/// What a person changed: a transaction of the primary that is over when this returns, so that what a replica shows from
/// before it is refused; nobody where there is no database.
///
/// # Errors
/// What Postgres says.
pub async fn cause(pool: Option<&PgPool>) -> Result<Cause, sqlx::Error> {
    let Some(pool) = pool else { return Ok(Cause::Nobody) };
    let text: String = sqlx::query_scalar("select pg_current_xact_id()::text").fetch_one(pool).await?;
    let xid = text.parse().map_err(|error: std::num::ParseIntError| sqlx::Error::Decode(error.into()))?;
    Ok(Cause::Transaction(xid))
}
