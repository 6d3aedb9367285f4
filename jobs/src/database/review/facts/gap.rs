//! What could not be had, and why.

use brasa_shared::db::quoted;
use serde::{Deserialize, Serialize};

/// What facts are about. A rule says which it needs: what it once found stands while they cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The server and this database.
    Server,
    /// Indexes.
    Indexes,
    /// What the first pages of indexes say.
    Metapages,
    /// Foreign keys.
    ForeignKeys,
    /// Tables.
    Tables,
    /// Statistics for the planner.
    Statistics,
    /// Who keeps old rows from being cleaned up.
    Holders,
    /// Who is connected, and waits for whom.
    Activity,
    /// Sequences.
    Sequences,
    /// Standbys and slots.
    Replication,
    /// `pg_stat_statements`.
    StatementsModule,
    /// Plans of statements.
    Plans,
    /// Plans that are not asked for, as to make them could run somebody's function.
    Unplanned,
    /// Rows that have expired.
    Expired,
    /// Caches in Redis.
    Caches,
    /// How indexes were used.
    IndexUses,
    /// How tables were used.
    TableUses,
    /// What statements cost.
    StatementUses,
    /// Since when counters are what they are.
    Spells,
    /// What Brasa did to indexes.
    Ledger,
}

impl Subject {
    /// As people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Server => "the server and its counters",
            Self::Indexes => "indexes",
            Self::Metapages => "the first pages of indexes",
            Self::ForeignKeys => "foreign keys",
            Self::Tables => "tables",
            Self::Statistics => "statistics for the planner",
            Self::Holders => "transactions that hold back VACUUM",
            Self::Activity => "sessions and locks",
            Self::Sequences => "sequences",
            Self::Replication => "replication",
            Self::StatementsModule => "pg_stat_statements",
            Self::Plans => "plans of statements",
            Self::Unplanned => "plans that are not asked for",
            Self::Expired => "rows that have expired",
            Self::Caches => "caches in Redis",
            Self::IndexUses => "the history of index use",
            Self::TableUses => "the history of table use",
            Self::StatementUses => "the history of statements",
            Self::Spells => "resets of counters",
            Self::Ledger => "rebuilds by Brasa",
        }
    }
}

/// What could not be had, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What it is about.
    pub subject: Subject,
    /// Why, in a sentence.
    pub why: String,
    /// The statement that gives the right, where a right is missing.
    pub grant: Option<String>,
    /// The rest of it is known: what is found there stands, and only "nothing more" cannot be said.
    #[serde(default)]
    pub is_partial: bool,
}

impl Gap {
    /// Something could not be had for another reason than a right.
    pub(in crate::database::review) fn new(subject: Subject, why: impl Into<String>) -> Self {
        Self { subject, why: why.into(), grant: None, is_partial: false }
    }

    /// A right is missing, and this is how to give it.
    pub(in crate::database::review) fn right(
        subject: Subject,
        why: impl Into<String>,
        grant: impl Into<String>,
    ) -> Self {
        Self { subject, why: why.into(), grant: Some(grant.into()), is_partial: false }
    }

    /// The same where the rest of it is known.
    pub(in crate::database::review) fn in_part(self) -> Self {
        Self { is_partial: true, ..self }
    }

    /// The server's statistics about other roles are hidden.
    pub(in crate::database::review) fn monitor(subject: Subject, why: impl Into<String>, role: &str) -> Self {
        Self::right(subject, why, format!("GRANT pg_monitor TO {};", quoted(role)))
    }

    /// A query did not work.
    pub(in crate::database::review) fn failed(subject: Subject, error: &sqlx::Error, role: &str) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("42501") => Self::monitor(subject, format!("The role may not look: {error}."), role),
            Some("55P03") => Self::new(subject, "Somebody holds a lock that would have to be waited for."),
            Some("57014") => Self::new(subject, "It took longer than a look may."),
            _ => Self::new(subject, format!("The database did not answer: {error}.")),
        }
    }
}
