//! Why triggers cannot be made, looked at or removed.

use crate::db::changes::dependency::name;

/// Waited for a lock in vain, or was the one that a deadlock ended.
const BUSY: &[&str] = &["55P03", "40P01"];

/// Why triggers cannot be made, looked at or removed.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The migrations have not run.
    #[error("the database has no change log: run `brasa migrate` first")]
    NoLog,
    /// No table has this name.
    #[error("there is no table `{table}` that this role can see")]
    NoTable {
        /// As it was written.
        table: String,
    },
    /// Something has this name that cannot have the triggers.
    #[error("`{table}` is {what}: only tables of the application can be watched for changes")]
    NotATable {
        /// Which one.
        table: String,
        /// What it is.
        what: String,
    },
    /// The table is a part of another one, through which it can be written to unseen.
    #[error(
        "`{table}` is a part of `{parent}`, and what is written through that one would go unseen: depend on it"
    )]
    Part {
        /// Which one.
        table: String,
        /// What it is a part of.
        parent: String,
    },
    /// The table has a part that cannot have the triggers.
    #[error("`{part}` is a foreign table and a part of `{table}`: Postgres cannot say what changes in it")]
    ForeignPart {
        /// The table.
        table: String,
        /// The part.
        part: String,
    },
    /// The table has no such column.
    #[error("table `{table}` has no column `{column}`")]
    NoColumn {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
    },
    /// The role may not do it.
    #[error("role `{role}` may not {what}: let the owner say `{grant}`")]
    Right {
        /// Who.
        role: String,
        /// What.
        what: String,
        /// What would allow it.
        grant: String,
    },
    /// Another role made the triggers that are there.
    #[error("the triggers of `{table}` were made by role `{owner}`: only that role can change them")]
    Owner {
        /// Of which table.
        table: String,
        /// Who made them.
        owner: String,
    },
    /// The table is in use.
    #[error("`{table}` is in use by others, who were not to wait any longer: try again at a quieter time")]
    Busy {
        /// Which one.
        table: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// Postgres said no.
    #[error("could not {doing}")]
    Db {
        /// What was being done.
        doing: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
}

impl TriggerError {
    /// While the catalogues were read.
    pub(super) fn reading(source: sqlx::Error) -> Self {
        Self::Db { doing: "look at the triggers of the database".to_owned(), source }
    }

    /// While the triggers of a table were made or removed.
    pub(super) fn changing(table: &str, source: sqlx::Error) -> Self {
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| BUSY.contains(&code.as_ref())) {
            return Self::Busy { table: table.to_owned(), source };
        }
        Self::Db { doing: format!("change the triggers of `{table}`"), source }
    }

    pub(super) fn right(role: &str, what: String, right: &str) -> Self {
        let grant = format!("grant {right} to {}", name(role));
        Self::Right { role: role.to_owned(), what, grant }
    }
}
