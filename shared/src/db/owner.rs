//! Whose database it is: one prefix' workers look after it, and those of no other.

use sqlx::{Executor as _, PgConnection, Row as _};

/// The prefix whose workers look after a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `[redis] prefix` of those.
    pub prefix: String,
    /// Since when, as Postgres writes a time.
    pub since: String,
}

/// Who looks after this database; none where nobody does yet, or before its migration. In the simple protocol, so that
/// poolers of every kind can be asked through.
///
/// # Errors
/// The database is out of reach, or the role sees something of schema `brasa` and may not look here.
pub async fn owner(connection: &mut PgConnection) -> Result<Option<Owner>, sqlx::Error> {
    if !is_told(connection).await? {
        return Ok(None);
    }
    let row = connection.fetch_optional("select prefix, since::text from brasa.owner").await?;
    row.map(|row| Ok(Owner { prefix: row.try_get(0)?, since: row.try_get(1)? })).transpose()
}

/// Makes a database that nobody looks after that of this prefix; says whose it is then.
///
/// # Errors
/// The database is out of reach, or the role may not write there.
pub async fn own(connection: &mut PgConnection, prefix: &str) -> Result<Option<Owner>, sqlx::Error> {
    let found = owner(connection).await?;
    if found.is_some() || !is_told(connection).await? {
        return Ok(found);
    }
    let query = "insert into brasa.owner (prefix) values ($1) on conflict do nothing";
    sqlx::query(query).bind(prefix).execute(&mut *connection).await?;
    owner(connection).await
}

/// Makes a database that of this prefix, whoever looked after it before.
///
/// # Errors
/// The database is out of reach, not migrated, or the role may not write there.
pub async fn adopt(connection: &mut PgConnection, prefix: &str) -> Result<(), sqlx::Error> {
    let query = "insert into brasa.owner (prefix) values ($1) on conflict (is_only) do update
        set prefix = excluded.prefix, since = excluded.since where owner.prefix <> excluded.prefix";
    sqlx::query(query).bind(prefix).execute(connection).await.map(drop)
}

/// Whether there is a place where it is said, for those who see something of the schema. Who does not can take nothing
/// there either.
async fn is_told(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let query = "/* brasa */ select exists (
        select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'brasa' and c.relname = 'owner' and has_schema_privilege(n.oid, 'usage'))";
    connection.fetch_one(query).await?.try_get(0)
}
