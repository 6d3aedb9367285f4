//! `brasa aggregates`: figures that are kept as rows change.

use brasa_jobs::aggregates::{Fault, InstallError, Misfit};
use brasa_shared::config::Aggregate;
use brasa_shared::db::aggregates::{State, Version, exists, versions};
use clap::Subcommand;
use sqlx::{PgConnection, PgPool};

use crate::app::{App, greet_postgres, unknown};
use crate::failure::{Failure, chain};
use crate::output::Output;

mod backfill;
mod check;
mod install;
mod show;
mod status;

#[derive(Debug, Subcommand)]
pub(crate) enum Aggregates {
    /// Say how far each aggregate is, and how far behind
    Status(status::Status),
    /// Show what installing an aggregate would run, and what is kept of it
    Plan(install::Plan),
    /// Make an aggregate's tables, and the triggers of its source
    Install(install::Install),
    /// Compute what is from before it was installed, and wait for it
    Backfill(backfill::Backfill),
    /// Compare an aggregate with its source
    Check(check::Check),
    /// Show the newest groups of an aggregate, exact as of now
    Show(show::Show),
    /// Take an aggregate away, with its tables and triggers
    Remove(install::Remove),
}

impl Aggregates {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Status(verb) => verb.obey(app, out).await,
            Self::Plan(verb) => verb.obey(app, out).await,
            Self::Install(verb) => verb.obey(app, out).await,
            Self::Backfill(verb) => verb.obey(app, out).await,
            Self::Check(verb) => verb.obey(app, out).await,
            Self::Show(verb) => verb.obey(app, out).await,
            Self::Remove(verb) => verb.obey(app, out).await,
        }
    }
}

/// A name of the configuration.
fn aggregate<'a>(app: &'a App, name: &str) -> Result<&'a Aggregate, Failure> {
    app.config.aggregates.get(name).ok_or_else(|| unknown("aggregate", name, app.config.aggregates.keys()))
}

/// The database, with the tables that aggregates need.
async fn open(app: &App) -> Result<PgPool, Failure> {
    let pool = app.pool_needed()?;
    greet_postgres(&pool).await?;
    if exists(&pool).await? {
        Ok(pool)
    } else {
        Err(Failure::environment("this database has no tables for aggregates\n  help: run `brasa migrate`"))
    }
}

/// The version of an aggregate that is in this state, if one is.
async fn version(
    connection: &mut PgConnection,
    name: &str,
    state: State,
) -> Result<Option<Version>, Failure> {
    let found = versions(connection, Some(name)).await?;
    Ok(found.into_iter().rfind(|version| version.state == state))
}

/// The version that is shown.
async fn live(connection: &mut PgConnection, name: &str) -> Result<Version, Failure> {
    if let Some(version) = version(connection, name, State::Live).await? {
        return Ok(version);
    }
    let is_building = version(connection, name, State::Building).await?.is_some();
    Err(Failure::environment(if is_building {
        format!("{name} is still being built\n  help: `brasa aggregates backfill {name}` waits for it")
    } else {
        format!("{name} is not installed\n  help: run `brasa aggregates install {name}`")
    }))
}

fn misfit(aggregate: &Aggregate, problem: Misfit) -> Failure {
    match problem {
        Misfit::Unfit { at, message, help } => {
            Failure::usage(aggregate.origin.problem(at, message, help).to_string())
        }
        problem @ Misfit::Database(_) => Failure::environment(chain(&problem)),
    }
}

fn not_installed(aggregate: &Aggregate, error: InstallError) -> Failure {
    match error {
        InstallError::Misfit(problem) => misfit(aggregate, problem),
        InstallError::Frozen(_) => Failure::usage(format!(
            "{}\n  help: give it another name and keep both, or add --forget-frozen",
            chain(&error)
        )),
        error => Failure::environment(chain(&error)),
    }
}

fn failed(fault: &Fault) -> Failure {
    Failure::environment(chain(fault))
}
