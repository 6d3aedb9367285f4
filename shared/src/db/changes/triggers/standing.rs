//! How the triggers stand.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::PgConnection;

use crate::db::changes::Dependency;
use crate::db::changes::triggers::catalog::{Ours, Relation, Trigger};
use crate::db::changes::triggers::definition::Event;
use crate::db::changes::triggers::target::{Target, targets};
use crate::db::changes::triggers::{TriggerError, wanted};

/// How the triggers of all tables stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerStatus {
    /// The tables that something depends on, by name.
    pub tables: Vec<TableStatus>,
    /// Tables that have triggers of ours and that nothing depends on.
    pub leftover_tables: Vec<String>,
    /// Functions of ours that no trigger calls, and that no table needs.
    pub leftover_functions: Vec<String>,
}

/// How the triggers of one table stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableStatus {
    /// The table.
    pub table: String,
    /// How it stands.
    pub state: TableState,
    /// Parts of it that have no triggers, such as partitions that came later: what is written to them
    /// directly goes unseen.
    pub missing_partitions: Vec<String>,
}

/// How the triggers of one table stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableState {
    /// They are there, as they are to be.
    Installed,
    /// There are none.
    Missing,
    /// Some are missing, or do something else than is needed now.
    Outdated,
    /// Somebody has disabled one.
    Disabled,
    /// It can have none, for this reason.
    Impossible(String),
}

impl TriggerStatus {
    /// Whether every change of every table is logged, and nothing else.
    pub fn is_good(&self) -> bool {
        let leftover = [&self.leftover_tables, &self.leftover_functions];
        self.tables.iter().all(TableStatus::is_good) && leftover.iter().all(|list| list.is_empty())
    }
}

impl TableStatus {
    /// Whether every change of the table is logged.
    pub fn is_good(&self) -> bool {
        self.state == TableState::Installed && self.missing_partitions.is_empty()
    }
}

/// How the triggers that these tables need stand, and what is left over of others.
///
/// # Errors
/// The catalogues cannot be read. What is wrong with one table is a state of it.
pub async fn status(
    connection: &mut PgConnection,
    dependencies: &[Dependency],
) -> Result<TriggerStatus, TriggerError> {
    let found = targets(connection, dependencies).await?;
    let ours = Ours::read(connection).await?;
    let mut tables = Vec::new();
    let mut good = Vec::new();
    for (table, target) in found {
        match target {
            Ok(target) => good.push(target),
            Err(error) => {
                let state = TableState::Impossible(error.to_string());
                tables.push(TableStatus { table, state, missing_partitions: Vec::new() });
            }
        }
    }
    let wanted = wanted(&good);
    for target in &good {
        let (state, missing_partitions) = stands(target, &wanted, &ours);
        tables.push(TableStatus { table: target.definition.table.clone(), state, missing_partitions });
    }
    tables.sort_by(|one, other| one.table.cmp(&other.table));

    let is_known = |oid| good.iter().flat_map(|target| &target.tree).any(|part| part.oid == oid);
    let strange = ours.triggers.iter().filter(|trigger| !is_known(trigger.on.oid));
    let mut leftover_tables: Vec<_> = strange.map(|trigger| trigger.on.shown()).collect();
    leftover_tables.dedup();
    let is_called = |name: &String| ours.triggers.iter().any(|trigger| trigger.function == *name);
    let functions = ours.functions.iter().map(|function| &function.name);
    let unused = functions.filter(|name| !is_called(name) && !wanted.contains(*name));
    let leftover_functions = unused.map(|name| format!("brasa.{name}")).collect();
    Ok(TriggerStatus { tables, leftover_tables, leftover_functions })
}

/// How a table stands, and the parts of it that have no triggers.
pub(super) fn stands(target: &Target, wanted: &BTreeSet<String>, ours: &Ours) -> (TableState, Vec<String>) {
    let is_there =
        |oid, name: &str| ours.triggers.iter().any(|trigger| trigger.on.oid == oid && trigger.name == name);
    let lacks = |oid, all: bool| {
        let mut missing = Event::ALL.iter().map(|event| !is_there(oid, &target.definition.trigger(*event)));
        if all { missing.all(|missing| missing) } else { missing.any(|missing| missing) }
    };
    let parts = target.tree.iter().skip(1).filter(|part| lacks(part.oid, false));
    let missing = parts.map(Relation::shown).collect();
    let root = target.tree.iter().take(1);
    let state = if root.clone().any(|root| lacks(root.oid, true)) {
        TableState::Missing
    } else if root.clone().any(|root| lacks(root.oid, false)) || is_outdated(target, wanted, ours) {
        TableState::Outdated
    } else if mine(target, ours).any(|trigger| !trigger.is_enabled) {
        TableState::Disabled
    } else {
        TableState::Installed
    };
    (state, missing)
}

/// The triggers that the table and its parts have.
fn mine<'a>(target: &'a Target, ours: &'a Ours) -> impl Iterator<Item = &'a Trigger> {
    ours.triggers.iter().filter(|trigger| target.tree.iter().any(|part| part.oid == trigger.on.oid))
}

/// Whether a trigger of the table or of a part does something else than it is to do.
fn is_outdated(target: &Target, wanted: &BTreeSet<String>, ours: &Ours) -> bool {
    let definition = &target.definition;
    let is_other = Event::ALL.iter().any(|event| {
        let (name, function) = (definition.trigger(*event), definition.function(*event));
        let is_misled = mine(target, ours).any(|known| known.name == name && known.function != function);
        let mut made = ours.functions.iter().filter(|known| known.name == function);
        is_misled || made.any(|known| known.body != definition.body(*event))
    });
    is_other || !extras(target, wanted, ours).is_empty()
}

/// The functions of ours that this table or a part of it calls, or once called, and that nothing needs now.
pub(super) fn extras(target: &Target, wanted: &BTreeSet<String>, ours: &Ours) -> BTreeSet<String> {
    let called = mine(target, ours).map(|trigger| &trigger.function);
    let once = ours.functions.iter().filter(|function| function.id() == target.definition.id);
    let all = called.chain(once.map(|function| &function.name));
    all.filter(|name| !wanted.contains(*name)).cloned().collect()
}
