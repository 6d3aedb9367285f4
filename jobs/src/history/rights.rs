//! Whether the role may write down what became of jobs.

use sqlx::{Executor as _, PgConnection, Row as _};

/// What lets it.
pub(super) const HELP: &str = "let the role own the table, for it makes and drops a part for each day: alter table \
                               brasa.history owner to ROLE; grant usage, create on schema brasa to ROLE. Or \
                               [history] enabled = false";

const ASK: &str = "/* brasa */ select current_user::text as role,
    pg_has_role(c.relowner, 'usage') and has_schema_privilege('brasa', 'create') as may_cut,
    has_table_privilege(c.oid, 'insert') as may_write, has_table_privilege(c.oid, 'select') as may_read
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'brasa' and c.relname = 'history'";

/// What the role may do with the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The role.
    pub role: String,
    /// Write into it, and make and drop its parts.
    pub may_write: bool,
    /// Search it.
    pub may_read: bool,
}

impl Rights {
    /// What would let it do the rest.
    pub fn help(&self) -> String {
        HELP.replace("ROLE", &brasa_shared::db::quoted(&self.role))
    }
}

/// What the role may do with the history; none where there is no table for it. In the simple protocol, so that poolers of
/// every kind can be asked through.
///
/// # Errors
/// What Postgres says.
pub async fn rights(connection: &mut PgConnection) -> Result<Option<Rights>, sqlx::Error> {
    let Some(row) = connection.fetch_optional(ASK).await? else { return Ok(None) };
    let (may_cut, may_write): (bool, bool) = (row.try_get("may_cut")?, row.try_get("may_write")?);
    let may_read = row.try_get("may_read")?;
    Ok(Some(Rights { role: row.try_get("role")?, may_write: may_cut && may_write, may_read }))
}
