//! Names that are taken already.

use sqlx::PgConnection;

/// Everything that is called as a proposed index may be: tables, views and indexes of a schema share their names.
const RELATIONS: &str = "
    /* brasa */ select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname ~ '_idx[0-9]*$' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'";

/// Names of relations that end as those of proposed indexes do, each after its schema.
pub(in crate::database::review) async fn relations(
    connection: &mut PgConnection,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(RELATIONS).fetch_all(connection).await
}
