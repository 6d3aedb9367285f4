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

use crate::aggregates::fault::Fault;
use crate::aggregates::look::{Look, Misfit};
use crate::aggregates::publish::mark_all;
use crate::aggregates::shape::Shape;
use crate::aggregates::{shape_of, sql};

/// How long writers of the source may be made to wait for a trigger.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

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

/// What has to be done so that an aggregate is kept as it is defined. Changes nothing.
///
/// # Errors
/// It does not fit the database, or nobody knows.
pub async fn plan(
    connection: &mut PgConnection,
    name: &str,
    aggregate: &Aggregate,
) -> Result<Plan, InstallError> {
    let Look { mut shape, parts } = Look::at(connection, name, aggregate).await?;
    let known = versions(connection, Some(name)).await.map_err(InstallError::of)?;
    let newest = known.iter().rfind(|version| version.state != State::Old);
    let last = known.last().map_or(0, |version| version.version);
    if let Some(newest) = newest {
        shape.version = newest.version;
        if shape_of(newest).is_ok_and(|known| known == shape) {
            let missing = unwatched(connection, &shape, &parts).await?;
            let watch = |part: &String| {
                let mut statements = sql::create_triggers(&shape, part);
                // What came into it before is noted as unknown.
                statements.push(sql::mark_part(&shape, part));
                statements
            };
            let statements: Vec<String> = missing.iter().flat_map(watch).collect();
            let state = if missing.is_empty() { PlanState::Installed } else { PlanState::Unwatched };
            return Ok(Plan { state, shape, statements });
        }
    }
    shape.version = last + 1;
    let mut statements = sql::create_tables(&shape);
    statements.extend(sql::create_functions(&shape));
    statements.extend(parts.iter().flat_map(|part| sql::create_triggers(&shape, &part.name)));
    if newest.is_none() {
        statements.extend(sql::create_view(&shape));
    }
    let state = if newest.is_some() { PlanState::Changed } else { PlanState::Missing };
    Ok(Plan { state, shape, statements })
}

/// The parts of a source that do not note what changes in them.
///
/// # Errors
/// What Postgres says.
pub async fn unwatched(
    connection: &mut PgConnection,
    shape: &Shape,
    parts: &[Part],
) -> Result<Vec<String>, InstallError> {
    let triggers: Vec<String> =
        sql::EVENTS.iter().map(|event| shape.trigger(event).trim_matches('"').to_owned()).collect();
    let there = db::triggers_on(connection, &triggers).await.map_err(InstallError::of)?;
    let is_watched =
        |part: &&Part| there.iter().filter(|(name, _)| *name == part.name).count() == triggers.len();
    Ok(parts.iter().filter(|part| !is_watched(part)).map(|part| part.name.clone()).collect())
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
) -> Result<Plan, InstallError> {
    let mut transaction = connection.begin().await.map_err(InstallError::of)?;
    execute_all(&mut transaction, &preamble(LOCK_TIMEOUT)).await.map_err(InstallError::of)?;
    let plan = plan(&mut transaction, name, aggregate).await?;
    if let PlanState::Missing | PlanState::Changed = plan.state {
        let spec = serde_json::to_string(&plan.shape).map_err(Fault::from)?;
        let definition = aggregate.definition.version();
        let added = add(&mut transaction, name, plan.shape.version, &definition, &spec).await;
        added.map_err(InstallError::of)?;
    }
    if plan.state == PlanState::Unwatched {
        // Those that are there may be of another time, or switched off.
        let drop = |part: &String| {
            let drop =
                |event: &&str| format!("drop trigger if exists {} on {part}", plan.shape.trigger(event));
            sql::EVENTS.iter().map(drop).collect::<Vec<_>>()
        };
        let Look { parts, .. } = Look::at(&mut transaction, name, aggregate).await?;
        let missing = unwatched(&mut transaction, &plan.shape, &parts).await?;
        let drops: Vec<String> = missing.iter().flat_map(drop).collect();
        execute_all(&mut transaction, &drops).await.map_err(InstallError::of)?;
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
    let mut transaction = connection.begin().await?;
    execute_all(&mut transaction, &preamble(LOCK_TIMEOUT)).await?;
    execute_all(&mut transaction, &sql::create_view(&shape)).await?;
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
    let mut transaction = connection.begin().await?;
    execute_all(&mut transaction, &preamble(LOCK_TIMEOUT)).await?;
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
    let mut transaction = connection.begin().await.map_err(InstallError::of)?;
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
    execute_all(&mut transaction, &preamble(LOCK_TIMEOUT)).await.map_err(InstallError::of)?;
    execute_all(&mut transaction, &statements).await.map_err(InstallError::of)?;
    for version in &known {
        forget(&mut transaction, name, version.version).await.map_err(InstallError::of)?;
    }
    transaction.commit().await.map_err(InstallError::of)?;
    Ok(statements)
}

fn preamble(lock_timeout: Duration) -> [String; 1] {
    [format!("set local lock_timeout = '{}ms'", lock_timeout.as_millis())]
}
