//! The tables that are to be watched, as the database has them.

use sqlx::PgConnection;

use crate::db::changes::Dependency;
use crate::db::changes::triggers::TriggerError;
use crate::db::changes::triggers::catalog::{self, Ours, Relation};
use crate::db::changes::triggers::definition::{Column, Definition, Event, Keys};

/// A table that is to be watched.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) definition: Definition,
    /// The table, and behind it all of its parts.
    pub(super) tree: Vec<Relation>,
    /// What it is made of.
    dependencies: Vec<Dependency>,
}

impl Target {
    async fn read(
        connection: &mut PgConnection,
        table: &Relation,
        dependencies: Vec<Dependency>,
    ) -> Result<Self, TriggerError> {
        let tree = catalog::tree(connection, table).await?;
        let columns = catalog::columns(connection, table).await?;
        let mut lists = Vec::new();
        for dependency in &dependencies {
            let mut list = Vec::new();
            for wanted in &dependency.columns {
                let name = wanted.column.clone();
                let Some(&is_plain) = columns.get(&name) else {
                    return Err(TriggerError::NoColumn { table: table.shown(), column: name });
                };
                list.push(Column { name, is_plain });
            }
            lists.push(Keys { dep: dependency.log_name(&table.schema), columns: list });
        }
        Ok(Self { definition: Definition::new(table.shown(), lists), tree, dependencies })
    }

    /// The same, as it is now.
    pub(super) async fn again(&self, connection: &mut PgConnection) -> Result<Self, TriggerError> {
        let [first, ..] = self.dependencies.as_slice() else { return Err(TriggerError::NoLog) };
        let table = catalog::find_table(connection, first).await?;
        Self::read(connection, &table, self.dependencies.clone()).await
    }

    /// Whether a part has all triggers as they are to be.
    pub(super) fn is_on(&self, part: &Relation, ours: &Ours) -> bool {
        Event::ALL.iter().all(|event| {
            let (name, function) = (self.definition.trigger(*event), self.definition.function(*event));
            let mut here = ours.triggers.iter().filter(|trigger| trigger.on.oid == part.oid);
            here.any(|trigger| trigger.name == name && trigger.function == function && trigger.is_enabled)
        })
    }
}

/// What the change log calls a table and these columns of it; none while there is no such table that could be watched.
///
/// # Errors
/// Postgres did not say.
pub async fn log_name(
    connection: &mut PgConnection,
    dependency: &Dependency,
) -> Result<Option<String>, TriggerError> {
    match catalog::find_table(connection, dependency).await {
        Ok(table) => Ok(Some(dependency.log_name(&table.schema))),
        Err(error @ TriggerError::Db { .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

/// The tables that are to be watched, each once, by name; or why one cannot be.
pub(super) async fn targets(
    connection: &mut PgConnection,
    dependencies: &[Dependency],
) -> Result<Vec<(String, Result<Target, TriggerError>)>, TriggerError> {
    let mut tables: Vec<(Relation, Vec<Dependency>)> = Vec::new();
    let mut made = Vec::new();
    for dependency in dependencies {
        match catalog::find_table(connection, dependency).await {
            Ok(table) => match tables.iter_mut().find(|(known, _)| known.oid == table.oid) {
                Some((_, list)) => list.push(dependency.clone()),
                None => tables.push((table, vec![dependency.clone()])),
            },
            Err(error @ TriggerError::Db { .. }) => return Err(error),
            Err(error) => {
                let shown = Dependency { columns: Vec::new(), ..dependency.clone() }.to_string();
                made.push((shown, Err(error)));
            }
        }
    }
    for (table, list) in tables {
        let target = match Target::read(connection, &table, list).await {
            Err(error @ TriggerError::Db { .. }) => return Err(error),
            other => other,
        };
        made.push((table.shown(), target));
    }
    made.sort_by(|(one, _), (other, _)| one.cmp(other));
    made.dedup_by(|(one, _), (other, _)| one == other);
    Ok(made)
}
