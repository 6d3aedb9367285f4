//! Taking the triggers away again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::db::changes::Dependency;
use crate::db::changes::triggers::catalog::{self, Function, Ours, Trigger};
use crate::db::changes::triggers::{BEGIN, TriggerError, drop_function, preamble, rights, script};
use crate::db::quoted;
use crate::db::statement::execute_all;

/// What is to be taken away together: triggers that call the same functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// The tables and parts of tables that lose triggers. None where only functions are left.
    pub tables: Vec<String>,
    /// What would be run, in this order.
    pub statements: Vec<String>,
}

impl Removal {
    /// The whole transaction as a text that can be run by hand.
    pub fn sql(&self, lock_timeout: Duration) -> String {
        script(&self.statements, lock_timeout)
    }
}

/// What has to be done so that changes of these tables, or of all, are not logged any more. Changes nothing.
///
/// # Errors
/// A table is not there, or another role made its triggers.
pub async fn plan_removal(
    connection: &mut PgConnection,
    only: Option<&[Dependency]>,
) -> Result<Vec<Removal>, TriggerError> {
    let ours = Ours::read(connection).await?;
    let mut chosen = BTreeSet::new();
    for dependency in only.unwrap_or_default() {
        let (table, _) = catalog::find(connection, dependency).await?;
        chosen.extend(catalog::tree(connection, &table).await?.iter().map(|part| part.oid.0));
    }
    let mut groups: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
    for function in &ours.functions {
        groups.entry(function.id()).or_default().push(function);
    }
    let mut removals = Vec::new();
    for functions in groups.values() {
        let calls = |trigger: &&Trigger| functions.iter().any(|known| known.name == trigger.function);
        let all: Vec<_> = ours.triggers.iter().filter(calls).collect();
        let is_chosen = |trigger: &&&Trigger| only.is_none() || chosen.contains(&trigger.on.oid.0);
        let lost: Vec<_> = all.iter().filter(is_chosen).copied().collect();
        if only.is_none() || !lost.is_empty() {
            removals.push(removal(functions, &lost, lost.len() == all.len())?);
        }
    }
    Ok(removals)
}

/// Functions go with their triggers, unless other tables still call them.
fn removal(
    functions: &[&Function],
    lost: &[&Trigger],
    with_functions: bool,
) -> Result<Removal, TriggerError> {
    let mut tables: Vec<_> = lost.iter().map(|trigger| trigger.on.shown()).collect();
    tables.dedup();
    let statements = if with_functions {
        let table = tables.first().map_or("a table that is gone", String::as_str);
        rights::check_owner(table, functions.iter().copied())?;
        functions.iter().map(|function| drop_function(&function.name)).collect()
    } else {
        let drop = |trigger: &&Trigger| {
            format!("drop trigger if exists {} on {}", quoted(&trigger.name), trigger.on.quoted())
        };
        lost.iter().map(drop).collect()
    };
    Ok(Removal { tables, statements })
}

/// Makes it so that changes of these tables, or of all, are not logged any more, a transaction per table;
/// returns what was done.
///
/// # Errors
/// As [`plan_removal`], or a table was in use for longer than `lock_timeout`. Those before it have lost their
/// triggers; asking again goes on from there.
pub async fn remove(
    connection: &mut PgConnection,
    only: Option<&[Dependency]>,
    lock_timeout: Duration,
) -> Result<Vec<Removal>, TriggerError> {
    let removals = plan_removal(connection, only).await?;
    for removal in &removals {
        let table = removal.tables.first().map_or("brasa", String::as_str);
        let failed = |source| TriggerError::changing(table, source);
        let mut transaction = connection.begin_with(BEGIN).await.map_err(failed)?;
        execute_all(&mut transaction, &preamble(lock_timeout)).await.map_err(failed)?;
        execute_all(&mut transaction, &removal.statements).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    Ok(removals)
}
