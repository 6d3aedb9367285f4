//! `brasa db`: care of the database.

use std::time::Duration;

use brasa_jobs::database::review::store;
use brasa_jobs::database::session::{Session, SessionError, Until};
use brasa_shared::config::CareMode;
use clap::Subcommand;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::{App, greet_postgres};
use crate::failure::{Failure, chain};
use crate::output::Output;

mod apply;
mod history;
mod indexes;
mod plan;
mod prune;
mod recommendations;
mod reindex;
mod review;
mod statements;
mod status;
mod tend;

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Say what database care may do here, what it does now, and what is left of it
    Status(status::Status),
    /// Say what would be analyzed, vacuumed and rebuilt now; nothing is changed
    Plan(plan::Plan),
    /// Do what a plan says, if it still is the plan
    Apply(apply::Apply),
    /// Analyze tables, all of those named or those that need it, and prove that it worked
    Analyze(tend::Tend),
    /// Vacuum tables, all of those named or those that need it, and prove that it worked
    Vacuum(tend::Tend),
    /// Rebuild indexes beside the application; without --yes, only say which
    Reindex(reindex::Reindex),
    /// Delete rows that have expired, a few at a time; without --yes, only count them
    Prune(prune::Prune),
    /// Show how large indexes are, and how large they would be if they were made anew
    Indexes(indexes::Indexes),
    /// Show what statements cost, which became slower, and which are out of proportion
    Statements(statements::Statements),
    /// Say what was done to the database
    History(history::History),
    /// Look at the database, keep what is to be recommended, and show it
    Review(review::Review),
    /// List what reviews recommend; dismiss what nobody wants to hear of
    Recommendations(recommendations::Recommendations),
}

impl Db {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Status(verb) => verb.obey(app, out).await,
            Self::Plan(verb) => verb.obey(app, out).await,
            Self::Apply(verb) => verb.obey(app, out).await,
            Self::Analyze(verb) => verb.analyze(app, out).await,
            Self::Vacuum(verb) => verb.vacuum(app, out).await,
            Self::Reindex(verb) => verb.obey(app, out).await,
            Self::Prune(verb) => verb.obey(app, out).await,
            Self::Indexes(verb) => verb.obey(app, out).await,
            Self::Statements(verb) => verb.obey(app, out).await,
            Self::History(verb) => verb.obey(app, out).await,
            Self::Review(verb) => Box::pin(verb.obey(app, out)).await,
            Self::Recommendations(verb) => verb.obey(app, out).await,
        }
    }
}

/// The pool, and a session in which the database can be changed.
async fn open(app: &App) -> Result<(PgPool, Session), Failure> {
    let pool = app.pool_needed()?;
    greet_postgres(&pool).await?;
    let session = Session::open(&app.config, Some(&pool)).await.map_err(failed)?;
    Ok((pool, session))
}

fn failed(error: SessionError) -> Failure {
    match error {
        SessionError::Pooled
        | SessionError::Recovering
        | SessionError::NoAddress
        | SessionError::Address(_) => Failure::usage(chain(&error)),
        SessionError::Database(error) => Failure::from(error),
        error @ SessionError::Connect(_) => Failure::environment(chain(&error)),
    }
}

/// Until when something may be changed by hand. Ctrl-C ends it, and what was begun is taken back.
fn permit(app: &App, is_outside_allowed: bool) -> Result<Until, Failure> {
    let care = &app.config.maintenance;
    if care.mode != CareMode::Apply {
        return Err(Failure::usage(format!(
            "nothing is changed: [maintenance] mode is \"{}\"\n  help: write mode = \"apply\"",
            care.mode.word()
        )));
    }
    let now = app.clock.now();
    let end = match care.windows.open_until(now) {
        Some(end) => Duration::try_from(end.duration_since(now)).unwrap_or(Duration::MAX),
        None if is_outside_allowed => Duration::MAX,
        None => {
            let next = care.windows.next(now).map_or_else(|| "not soon".to_owned(), |next| next.to_string());
            return Err(Failure::usage(format!(
                "it is outside of [maintenance] windows; the next begins {next}\n  help: wait, or say --outside-window"
            )));
        }
    };
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.cancel();
        }
    });
    Ok(Until { deadline: Some(Instant::now() + end.min(care.budget.0)), stop })
}

/// Who does something by hand, for the record.
fn actor() -> String {
    let name = ["USER", "LOGNAME"].into_iter().find_map(crate::app::env);
    name.map_or_else(|| "by hand".to_owned(), |name| format!("{name}, by hand"))
}
/// The database, with the tables that recommendations are kept in.
async fn with_tables(app: &App) -> Result<PgPool, Failure> {
    let pool = app.pool_needed()?;
    greet_postgres(&pool).await?;
    let mut connection = pool.acquire().await?;
    match store::obstacle(&mut connection).await? {
        None => Ok(pool),
        Some((why, help)) => Err(Failure::environment(format!("{why}\n  help: {help}"))),
    }
}
