//! The table that rows are written to, as the database describes it, and whether the configuration fits it.

use std::collections::BTreeMap;

use brasa_shared::config::{Mode, Write};
use brasa_shared::db::{self, TableColumn};
use sqlx::PgConnection;

use crate::writes::statement;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "so the catalogue says")]
pub struct Shape {
    /// Where it stands among the columns of its table, by their names.
    pub place: usize,
    /// Its type, as texts are cast to it: without a length, which the database itself watches over.
    pub kind: String,
    /// It must not be NULL.
    pub is_needed: bool,
    /// It has a value where none is given.
    pub has_default: bool,
    /// The database makes it, always.
    pub is_made: bool,
    /// It is an array.
    pub is_array: bool,
    /// It is `json` or `jsonb`.
    pub is_json: bool,
    /// It is a number.
    pub is_number: bool,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns by name.
    pub columns: BTreeMap<String, Shape>,
}

/// Why rows cannot be written to a table.
#[derive(Debug, thiserror::Error)]
pub enum TableProblem {
    /// The database could not be asked.
    #[error("could not look at the table")]
    Database(#[source] sqlx::Error),
    /// The configuration and the table do not fit one another.
    #[error("{message}")]
    Unfit {
        /// The part of the configuration that is concerned.
        at: &'static str,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = (String, Shape)>) -> Self {
        let mut columns: BTreeMap<String, Shape> = columns.into_iter().collect();
        for (place, shape) in columns.values_mut().enumerate() {
            shape.place = place;
        }
        Self { columns }
    }

    /// Looks at the table of a write, and makes sure that rows can be written there as the configuration says.
    ///
    /// # Errors
    /// They cannot, or nobody knows.
    pub async fn look(connection: &mut PgConnection, write: &Write) -> Result<Self, TableProblem> {
        let name = write.table.to_string();
        let found = db::columns_of(connection, &name).await.map_err(TableProblem::Database)?;
        if found.is_empty() {
            let help = "correct the name, with its schema where it is not in the search path, or migrate the database";
            return Err(unfit(
                "table",
                format!("there is no table {name}, or this role may not see it"),
                help,
            ));
        }
        let shape = |column: TableColumn| {
            let shape = Shape {
                place: 0,
                is_array: column.is_array,
                is_number: column.is_number,
                is_json: ["json", "jsonb"].contains(&column.kind.as_str()),
                kind: column.kind,
                is_needed: column.is_needed,
                has_default: column.has_default,
                is_made: column.is_made,
            };
            (column.name, shape)
        };
        let table = Self::new(found.into_iter().map(shape));
        table.check(write)?;
        if let Mode::Upsert(merging) = &write.mode
            && !db::has_unique(connection, &name, &merging.key).await.map_err(TableProblem::Database)?
        {
            let key = merging.key.join(", ");
            let message = format!("there is no unique index on exactly these columns of {name}: {key}");
            return Err(unfit(
                "key",
                message,
                format!("make one: create unique index concurrently on {name} ({key})"),
            ));
        }
        let columns: Vec<&str> = table.writable().collect();
        db::describe(connection, &statement::insert(write, &table, &columns))
            .await
            .map_err(|error| refused(write, error))?;
        Ok(table)
    }

    /// Where these columns stand; none where there is one that it does not have.
    pub fn places(&self, columns: &[String]) -> Option<Vec<usize>> {
        columns.iter().map(|column| Some(self.columns.get(column)?.place)).collect()
    }

    /// The columns that can be written.
    fn writable(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|(_, shape)| !shape.is_made).map(|(name, _)| name.as_str())
    }

    fn check(&self, write: &Write) -> Result<(), TableProblem> {
        let known =
            || format!("the table has: {}", self.columns.keys().cloned().collect::<Vec<_>>().join(", "));
        let missing =
            |columns: &[String]| columns.iter().find(|column| !self.columns.contains_key(*column)).cloned();
        // The key first: where nothing else is said, rows are ordered by it.
        if let Mode::Upsert(merging) = &write.mode
            && let Some(column) = missing(&merging.key)
        {
            return Err(unfit("key", format!("the table has no column `{column}`"), known()));
        }
        if let Some(column) = missing(&write.order_by) {
            return Err(unfit("order_by", format!("the table has no column `{column}`"), known()));
        }
        let Mode::Upsert(merging) = &write.mode else { return Ok(()) };
        let merged: Vec<String> = merging.merge.keys().cloned().collect();
        if let Some(column) = missing(&merged) {
            return Err(unfit("merge", format!("the table has no column `{column}`"), known()));
        }
        Ok(())
    }
}

/// What the database says to the statement that writes all columns.
fn refused(write: &Write, error: sqlx::Error) -> TableProblem {
    let Some(said) = error.as_database_error() else { return TableProblem::Database(error) };
    let (at, help) = match (said.code().as_deref(), &write.mode) {
        (Some("42501"), _) => (
            "table",
            format!("grant select, insert, update on {} to the role that Brasa connects as", write.table),
        ),
        (Some("42883" | "42804"), Mode::Upsert(_)) => {
            ("merge", "what cannot be added up or compared is merged with \"last\" or \"first\"".to_owned())
        }
        _ => ("table", "correct the configuration, or migrate the database first".to_owned()),
    };
    unfit(at, format!("Postgres refuses to write to {}: {}", write.table, said.message()), help)
}

fn unfit(at: &'static str, message: impl Into<String>, help: impl Into<String>) -> TableProblem {
    TableProblem::Unfit { at, message: message.into(), help: help.into() }
}
