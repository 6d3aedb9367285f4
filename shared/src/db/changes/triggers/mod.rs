//! The triggers that write changes of the application's tables into the log.
//!
//! For each table there are four statement-level triggers, on the table and on each of its parts: Postgres
//! fires those of the table that a statement names, and no others. They call functions in schema `brasa`
//! (`definition.rs`), whose names have a hash of what they do, so that another list of columns is seen as
//! another function. What is there is read from the catalogues (`catalog.rs`), and nothing else is
//! remembered.
//!
//! Nothing in here is done unasked: people install and remove.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::db::changes::Dependency;
use crate::db::statement::execute_all;

mod catalog;
mod definition;
mod error;
mod removal;
mod rights;
mod standing;
mod target;

pub use error::TriggerError;
pub use removal::{Removal, plan_removal, remove};
pub use standing::{TableState, TableStatus, TriggerStatus, status};
pub use target::log_name;

use catalog::Ours;
use definition::Event;
use standing::{extras, stands};
use target::{Target, targets};

/// How long the application's statements are made to wait at most, where nothing else is said: who makes a
/// trigger waits for the writers of the table, and all others wait behind.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// What the rest of the transaction sees is what was there when it had the lock.
const BEGIN: &str = "begin isolation level read committed";
/// Two that change triggers come one after the other. The number is `brasa` in ASCII.
const ALONE: &str = "/* brasa */ select pg_advisory_xact_lock(422825784161)";
/// From this version on, a trigger can be replaced.
const CAN_REPLACE: &str = "/* brasa */ select current_setting('server_version_num')::int >= 140000";

/// What is to be done to one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerPlan {
    /// The table.
    pub table: String,
    /// How it stands now.
    pub state: TableState,
    /// What would be run, in this order. Nothing where all is well.
    pub statements: Vec<String>,
}

impl TriggerPlan {
    /// The whole transaction as a text that can be run by hand.
    pub fn sql(&self, lock_timeout: Duration) -> String {
        script(&self.statements, lock_timeout)
    }
}

/// What has to be done so that changes of these tables are logged. Changes nothing.
///
/// # Errors
/// A table or a column is not there or cannot be watched, or a right is missing.
pub async fn plan(
    connection: &mut PgConnection,
    dependencies: &[Dependency],
) -> Result<Vec<TriggerPlan>, TriggerError> {
    let (_, _, plans) = plan_all(connection, dependencies).await?;
    Ok(plans)
}

/// Makes it so that changes of these tables are logged, a transaction per table; returns what was done to
/// which. What was cached before a table had its triggers is invalid afterwards.
///
/// # Errors
/// As [`plan`], or a table was in use for longer than `lock_timeout`. Tables before it have their triggers;
/// asking again goes on from there.
pub async fn install(
    connection: &mut PgConnection,
    dependencies: &[Dependency],
    lock_timeout: Duration,
) -> Result<Vec<TriggerPlan>, TriggerError> {
    let (targets, wanted, mut plans) = plan_all(connection, dependencies).await?;
    for (plan, target) in plans.iter_mut().zip(&targets).filter(|(plan, _)| !plan.statements.is_empty()) {
        *plan = install_one(connection, target, &wanted, lock_timeout).await?;
    }
    Ok(plans)
}

/// The tables, the functions that they need, and what has to be done to each.
async fn plan_all(
    connection: &mut PgConnection,
    dependencies: &[Dependency],
) -> Result<(Vec<Target>, BTreeSet<String>, Vec<TriggerPlan>), TriggerError> {
    let found = targets(connection, dependencies).await?.into_iter().map(|(_, target)| target);
    let targets = found.collect::<Result<Vec<_>, _>>()?;
    let (wanted, ours) = (wanted(&targets), Ours::read(connection).await?);
    let mut plans = Vec::new();
    for target in &targets {
        plans.push(plan_one(connection, target, &wanted, &ours).await?);
    }
    Ok((targets, wanted, plans))
}

async fn install_one(
    connection: &mut PgConnection,
    target: &Target,
    wanted: &BTreeSet<String>,
    lock_timeout: Duration,
) -> Result<TriggerPlan, TriggerError> {
    let failed = |source| TriggerError::changing(&target.definition.table, source);
    let mut transaction = connection.begin_with(BEGIN).await.map_err(failed)?;
    execute_all(&mut transaction, &preamble(lock_timeout)).await.map_err(failed)?;
    // Somebody else may have done it meanwhile, or half of it.
    let target = &target.again(&mut transaction).await?;
    let ours = Ours::read(&mut transaction).await?;
    let plan = plan_one(&mut transaction, target, wanted, &ours).await?;
    execute_all(&mut transaction, &plan.statements).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(plan)
}

/// What has to be done to one table.
async fn plan_one(
    connection: &mut PgConnection,
    target: &Target,
    wanted: &BTreeSet<String>,
    ours: &Ours,
) -> Result<TriggerPlan, TriggerError> {
    let definition = &target.definition;
    let (state, missing_partitions) = stands(target, wanted, ours);
    let table = definition.table.clone();
    if state == TableState::Installed && missing_partitions.is_empty() {
        return Ok(TriggerPlan { table, state, statements: Vec::new() });
    }
    let may_replace = sqlx::query_scalar(CAN_REPLACE).fetch_one(&mut *connection).await;
    let may_replace: bool = may_replace.map_err(TriggerError::reading)?;
    let lacking: Vec<_> =
        target.tree.iter().filter(|part| !may_replace || !target.is_on(part, ours)).collect();
    rights::check(connection, &lacking).await?;
    let extras = extras(target, wanted, ours);
    let is_made = |name: &str| Event::ALL.iter().any(|event| definition.function(*event) == name);
    let touched = ours.functions.iter().filter(|known| is_made(&known.name) || extras.contains(&known.name));
    rights::check_owner(&table, touched.clone())?;

    let mut statements = Vec::new();
    if !may_replace {
        statements.extend(touched.map(|known| drop_function(&known.name)));
    }
    statements.extend(Event::ALL.iter().flat_map(|event| definition.create_function(*event)));
    for part in lacking {
        let create = |event: &Event| definition.create_trigger(*event, part, may_replace);
        statements.extend(Event::ALL.iter().map(create));
    }
    if may_replace {
        statements.extend(extras.iter().map(|name| drop_function(name)));
    }
    statements.push(definition.begin_anew());
    Ok(TriggerPlan { table, state, statements })
}

/// The functions that all these tables need.
fn wanted(targets: &[Target]) -> BTreeSet<String> {
    let functions = |target: &Target| Event::ALL.map(|event| target.definition.function(event));
    targets.iter().flat_map(functions).collect()
}

/// With the triggers that call it, wherever they are, for which no right on their tables is needed.
fn drop_function(name: &str) -> String {
    format!("drop function if exists brasa.{name}() cascade")
}

/// What each transaction that changes triggers begins with.
fn preamble(lock_timeout: Duration) -> [String; 2] {
    // Zero would be for ever.
    let limit_ms = lock_timeout.as_millis().max(1);
    [format!("set local lock_timeout = '{limit_ms}ms'"), ALONE.to_owned()]
}

/// A transaction as a text.
fn script(statements: &[String], lock_timeout: Duration) -> String {
    let mut text = String::new();
    if !statements.is_empty() {
        let begin = [BEGIN.to_owned()].into_iter().chain(preamble(lock_timeout));
        for sql in begin.chain(statements.iter().cloned()).chain(["commit".to_owned()]) {
            writeln!(text, "{sql};").unwrap_or_default();
        }
    }
    text
}
