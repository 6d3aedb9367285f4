//! Statements and functions with ON CONFLICT, and what tables may be called in them.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::Facts;
use crate::database::indexes::Index;
use crate::database::rebuild::{called, kept, names, written};

/// Statements and functions with ON CONFLICT, as far as they are known of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upserts {
    /// Each with what it is called: a statement by its fingerprint.
    pub texts: Vec<(String, String)>,
    /// What tables of bloated unique indexes may be called in them, by their numbers: by themselves, by a table that they
    /// are a part of, by a view of one of these.
    pub called: BTreeMap<u32, Vec<String>>,
}

/// Reads them: all that were ever recorded and are still kept, and functions.
pub(in crate::database::review) async fn upserts(
    connection: &mut PgConnection,
    facts: &Facts,
) -> Result<Upserts, sqlx::Error> {
    let mut found = Upserts { texts: written(connection).await?, ..Upserts::default() };
    found.texts.extend(kept(connection).await?);
    let unique = facts.bloated_indexes().filter(|index| index.is_unique);
    for table in unique.map(|index| index.table_oid).collect::<BTreeSet<_>>() {
        found.called.insert(table, called(connection, table).await?);
    }
    Ok(found)
}

impl Facts {
    /// The statements and functions that may write the table of an index with ON CONFLICT, by what they are called.
    pub fn upserts_into(&self, index: &Index) -> Vec<String> {
        let bare = index.table.rsplit('.').next().unwrap_or(&index.table).trim_matches('"').to_owned();
        let called = self.upserts.called.get(&index.table_oid).cloned().unwrap_or_else(|| vec![bare]);
        let of_day = self.statement_uses.iter().filter(|statement| {
            statement
                .text
                .to_lowercase()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains("on conflict")
        });
        let of_day = of_day.map(|statement| (&statement.fingerprint, &statement.text));
        let all = self.upserts.texts.iter().map(|(what, text)| (what, text)).chain(of_day);
        let into = all.filter(|(_, text)| {
            let text = text.to_lowercase();
            called.iter().any(|table| names(&text, table))
        });
        into.map(|(what, _)| what.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}
