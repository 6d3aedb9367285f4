//! Making an aggregate's tables and triggers, and taking them away again. Nothing in here is done unasked.
//!
//! Another definition is another version beside the one that is there: it is built while that one is still shown, and
//! takes its place when it is through.

use std::time::Duration;

use brasa_shared::config::{Aggregate, Publish};
use brasa_shared::db::aggregates::{State, Version, add, forget, live, versions};
use brasa_shared::db::{self, Part, execute_all};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::aggregates::build::BEGINNING;
use crate::aggregates::fault::Fault;
use crate::aggregates::fold::held;
use crate::aggregates::look::{Look, Misfit, unfit};
use crate::aggregates::publish::mark_all;
use crate::aggregates::shape::Shape;
use crate::aggregates::{shape_of, sql};

/// How long writers of the source may be made to wait for a trigger.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long anybody may be made to wait for what nobody asked for.
const GLANCE: Duration = Duration::from_millis(50);
/// What the rest of the transaction sees is what was there when it had its locks.
const BEGIN: &str = "begin isolation level read committed";

/// How an aggregate is, compared with its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    /// It is not there.
    Missing,
    /// It is there by another definition.
    Changed,
    /// Some parts of the source are not watched.
    Unwatched,
    /// All is well.
    Installed,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How it is now.
    pub state: PlanState,
    /// What it is or will be.
    pub shape: Shape,
    /// What is run, in this order, in one transaction; nothing where all is well.
    pub statements: Vec<String>,
}

impl Plan {
    /// The whole transaction as a text.
    pub fn sql(&self) -> String {
        let all = preamble(LOCK_TIMEOUT).into_iter().chain(self.statements.iter().cloned());
        let lines: Vec<String> = all.map(|sql| format!("{sql};\n")).collect();
        format!("begin;\n{}commit;\n", lines.concat())
    }
}

/// Why an aggregate was not installed. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It does not fit.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The source is in use.
    #[error("the source is in use by others, who were not to wait any longer: try again at a quieter time")]
    Busy(#[source] sqlx::Error),
    /// It has buckets that stay as they are.
    #[error(
        "buckets before {0} stay as they are, and their rows may be gone: another definition would begin without them"
    )]
    Frozen(String),
    /// What is there cannot be understood.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Postgres said no.
    #[error("could not change the tables and triggers of the aggregate")]
    Database(#[source] sqlx::Error),
}

impl InstallError {
    fn of(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| code == "55P03") { Self::Busy(error) } else { Self::Database(error) }
    }
}

/// What has to be done so that an aggregate is kept as it is defined. Changes nothing. Buckets that stay as they are, though
/// their rows may be gone, are given up only where that is said.
///
/// # Errors
/// It does not fit the database, or nobody knows.
pub async fn plan(
    connection: &mut PgConnection,
    name: &str,
    aggregate: &Aggregate,
    forgets_frozen: bool,
) -> Result<Plan, InstallError> {
    let Look { mut shape, parts } = Look::at(connection, name, aggregate).await?;
    let known = versions(connection, None).await.map_err(InstallError::of)?;
    let is_alike = |other: &&Version| {
        other.name != name && shape_of(other).is_ok_and(|other| other.view() == shape.view())
    };
    if let Some(other) = known.iter().find(is_alike) {
        let message =
            format!("its tables would be called like those of `{}`, which is installed", other.name);
        return Err(unfit("source", message, "choose another name, or remove the other one").into());
    }
    let known: Vec<&Version> = known.iter().filter(|version| version.name == name).collect();
    let newest = known.iter().rfind(|version| version.state != State::Old);
    let last = known.last().map_or(0, |version| version.version);
    if let Some(newest) = newest {
        shape.version = newest.version;
        if shape_of(newest).is_ok_and(|known| known == shape) {
            let statements = watch(connection, &shape, &parts).await?;
            let state = if statements.is_empty() { PlanState::Installed } else { PlanState::Unwatched };
            return Ok(Plan { state, shape, statements });
        }
        if newest.frozen_until != BEGINNING && !forgets_frozen {
            return Err(InstallError::Frozen(newest.frozen_until.clone()));
        }
    }
    shape.version = last + 1;
    let mut statements = sql::create_tables(&shape);
    if shape.definition.xid.is_none() {
        statements.extend(lock_for_triggers(&parts));
        statements.extend(sql::create_functions(&shape));
        statements.extend(parts.iter().flat_map(|part| sql::create_triggers(&shape, &part.name)));
    }
    if newest.is_none() {
        statements.extend(sql::create_view(&shape));
    }
    let state = if newest.is_some() { PlanState::Changed } else { PlanState::Missing };
    Ok(Plan { state, shape, statements })
}

/// What makes all parts of a source note what changes in them, and no others.
async fn watch(
    connection: &mut PgConnection,
    shape: &Shape,
    parts: &[Part],
) -> Result<Vec<String>, InstallError> {
    let Watched { missing, lame, strays } =
        watched(connection, shape, parts).await.map_err(InstallError::of)?;
    let mut statements = Vec::new();
    if !missing.is_empty() || !lame.is_empty() {
        statements.extend(lock_for_triggers(parts));
    }
    let drop = |part: &String| {
        sql::EVENTS.map(|event| format!("drop trigger if exists {} on {part}", shape.trigger(event)))
    };
    statements.extend(strays.iter().chain(&lame).flat_map(drop));
    for part in missing.iter().chain(&lame) {
        statements.extend(sql::create_triggers(shape, part));
    }
    // What came into a new part before is noted as unknown; what happened where triggers did not fire, nobody knows.
    statements.extend(missing.iter().map(|part| sql::mark_part(shape, part)));
    if !lame.is_empty() {
        statements.push(sql::mark_everything(shape));
    }
    Ok(statements)
}

/// How the triggers of a version are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// Parts of the source that have none.
    pub missing: Vec<String>,
    /// Parts that have some which do not fire, or not all.
    pub lame: Vec<String>,
    /// Tables that have some and are no part of the source any more.
    pub strays: Vec<String>,
}

impl Watched {
    /// Whether all is as it should be.
    pub fn is_well(&self) -> bool {
        *self == Self::default()
    }
}

/// How the triggers of a version are.
///
/// # Errors
/// What Postgres says.
pub async fn watched(
    connection: &mut PgConnection,
    shape: &Shape,
    parts: &[Part],
) -> Result<Watched, sqlx::Error> {
    let mut watched = Watched::default();
    if shape.definition.xid.is_some() {
        return Ok(watched);
    }
    let triggers = sql::EVENTS.map(|event| shape.trigger(event).trim_matches('"').to_owned());
    let there = db::triggers_on(connection, &triggers).await?;
    for part in parts {
        match there.iter().find(|(name, _)| *name == part.name) {
            None => watched.missing.push(part.name.clone()),
            Some((_, firing)) if usize::try_from(*firing).is_ok_and(|firing| firing < triggers.len()) => {
                watched.lame.push(part.name.clone());
            }
            Some(_) => {}
        }
    }
    let is_stray = |name: &&String| !parts.iter().any(|part| part.name == **name);
    watched.strays = there.iter().map(|(name, _)| name).filter(is_stray).cloned().collect();
    Ok(watched)
}

/// Makes it so that an aggregate is kept as it is defined; returns what was done. What is from before is built afterwards,
/// by a worker or by [`build`](crate::aggregates::build).
///
/// # Errors
/// As [`plan`], or the source was in use for too long.
pub async fn install(
    connection: &mut PgConnection,
    name: &str,
    aggregate: &Aggregate,
    forgets_frozen: bool,
) -> Result<Plan, InstallError> {
    let mut transaction = connection.begin_with(BEGIN).await.map_err(InstallError::of)?;
    execute_all(&mut transaction, &preamble(LOCK_TIMEOUT)).await.map_err(InstallError::of)?;
    let plan = plan(&mut transaction, name, aggregate, forgets_frozen).await?;
    if let PlanState::Missing | PlanState::Changed = plan.state {
        let spec = serde_json::to_string(&plan.shape).map_err(Fault::from)?;
        let definition = aggregate.definition.version();
        let added = add(&mut transaction, name, plan.shape.version, &definition, &spec).await;
        added.map_err(InstallError::of)?;
    }
    execute_all(&mut transaction, &plan.statements).await.map_err(InstallError::of)?;
    transaction.commit().await.map_err(InstallError::of)?;
    Ok(plan)
}

/// Shows a version that has been built, in the place of the one before.
///
/// # Errors
/// See [`Fault`]; `Broken` where somebody's view depends on ours and the columns are others now.
pub async fn switch(
    connection: &mut PgConnection,
    version: &Version,
    publish: Option<&Publish>,
) -> Result<(), Fault> {
    let shape = shape_of(version)?;
    let mut transaction = connection.begin_with(BEGIN).await?;
    // Readers wait behind us meanwhile: not for longer than they would notice.
    execute_all(&mut transaction, &preamble(GLANCE)).await?;
    let held = held(&mut transaction, version).await?;
    let known = versions(&mut transaction, Some(&version.name)).await?;
    let is_newest = known.iter().all(|known| known.version <= held.version || known.state == State::Building);
    if held.state != State::Building || held.built_from != BEGINNING || !is_newest {
        return Err(Fault::Gone);
    }
    let grants = db::grants_on(&mut transaction, &shape.view()).await?;
    execute_all(&mut transaction, &sql::create_view(&shape)).await?;
    execute_all(&mut transaction, &grants).await?;
    live(&mut transaction, &version.name, version.version).await?;
    if let Some(publish) = publish {
        mark_all(&mut transaction, version, publish).await?;
    }
    Ok(transaction.commit().await?)
}

/// Takes a version away that is shown no more.
///
/// # Errors
/// See [`Fault`]; `Busy` where the source is in use.
pub async fn remove_old(connection: &mut PgConnection, version: &Version) -> Result<(), Fault> {
    let shape = shape_of(version)?;
    let mut transaction = connection.begin_with(BEGIN).await?;
    lock_parts(&mut transaction, &shape, false).await?;
    execute_all(&mut transaction, &sql::drop_tables(&shape)).await?;
    forget(&mut transaction, &version.name, version.version).await?;
    Ok(transaction.commit().await?)
}

/// Takes an aggregate away with all its versions; returns what was run.
///
/// # Errors
/// The source is in use, or something of somebody else depends on the view.
pub async fn remove(
    connection: &mut PgConnection,
    name: &str,
    is_dry: bool,
) -> Result<Vec<String>, InstallError> {
    let mut transaction = connection.begin_with(BEGIN).await.map_err(InstallError::of)?;
    let known = versions(&mut transaction, Some(name)).await.map_err(InstallError::of)?;
    let mut statements = Vec::new();
    for version in known.iter().rev() {
        let shape = shape_of(version).map_err(Fault::from)?;
        if statements.is_empty() {
            statements.push(sql::drop_view(&shape));
        }
        statements.extend(sql::drop_tables(&shape));
    }
    if is_dry || known.is_empty() {
        return Ok(statements);
    }
    for version in &known {
        let shape = shape_of(version).map_err(Fault::from)?;
        lock_parts(&mut transaction, &shape, true).await.map_err(InstallError::of)?;
    }
    execute_all(&mut transaction, &statements).await.map_err(InstallError::of)?;
    for version in &known {
        forget(&mut transaction, name, version.version).await.map_err(InstallError::of)?;
    }
    transaction.commit().await.map_err(InstallError::of)?;
    Ok(statements)
}

/// Takes the source and then its parts, in one order and without waiting for any of them but the first: whoever has a part
/// and wants another one never waits for us while we wait for him.
async fn lock_parts(
    transaction: &mut PgConnection,
    shape: &Shape,
    is_asked: bool,
) -> Result<(), sqlx::Error> {
    execute_all(transaction, &preamble(if is_asked { LOCK_TIMEOUT } else { GLANCE })).await?;
    if shape.definition.xid.is_some() {
        // It has no triggers there.
        return Ok(());
    }
    let parts = db::parts_of(transaction, &shape.source).await?;
    execute_all(transaction, &locks(&parts, "access exclusive")).await
}

fn lock_for_triggers(parts: &[Part]) -> Vec<String> {
    locks(parts, "share row exclusive")
}

fn locks(parts: &[Part], mode: &str) -> Vec<String> {
    let lock = |(place, part): (usize, &Part)| {
        let nowait = if place == 0 { "" } else { " nowait" };
        format!("lock table only {} in {mode} mode{nowait}", part.name)
    };
    parts.iter().enumerate().map(lock).collect()
}

fn preamble(lock_timeout: Duration) -> [String; 1] {
    [format!("set local lock_timeout = '{}ms'", lock_timeout.as_millis())]
}
