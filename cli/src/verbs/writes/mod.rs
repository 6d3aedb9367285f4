//! `brasa writes`: rows that wait to be written, those that could not be, and handing over files of them.

use brasa_jobs::writes::{self, Table, TableProblem};
use brasa_shared::config::Write;
use brasa_shared::db::writes::{StreamOf, exists, pause, resume};
use brasa_shared::streams::Streams;
use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use crate::app::{App, greet_postgres, unknown};
use crate::failure::{Failure, chain};
use crate::output::Output;

mod dead;
mod push;
mod status;

#[derive(Debug, Subcommand)]
pub(crate) enum Writes {
    /// Say how many rows wait, how far they are written, and by whom
    Status(status::Status),
    /// Hand over the rows of a file
    Push(push::Push),
    /// List rows that could not be written, and why
    Dead(dead::List),
    /// Write rows of the dead letter after all, mended or as they are
    Replay(dead::Replay),
    /// Delete rows of the dead letter for good
    Delete(dead::Delete),
    /// Let rows wait
    Pause(Pause),
    /// Write on
    Resume(Resume),
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// The name of `[writes.NAME]`
    name: String,
    /// Why, for those who find it paused
    #[arg(long, default_value = "paused by hand")]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The name of `[writes.NAME]`
    name: String,
}

impl Writes {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if matches!(&self, Self::Delete(delete) if !delete.yes) {
            return Err(Failure::usage("this deletes rows for good\n  help: it cannot be undone; add --yes"));
        }
        match self {
            Self::Status(verb) => verb.obey(app, out).await,
            Self::Push(verb) => verb.obey(app, out).await,
            Self::Dead(verb) => verb.obey(app, out).await,
            Self::Replay(verb) => verb.obey(app, out).await,
            Self::Delete(verb) => verb.obey(app, out).await,
            Self::Pause(Pause { name, reason }) => {
                let pool = open(app).await?;
                let by = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
                for stream in streams_of(app, &name)? {
                    pause(&mut *acquire(&pool).await?, &stream, &reason, Some(&by)).await?;
                }
                out.line(format!(
                    "rows of {name} wait now; `brasa writes resume {name}` lets them be written"
                ))?;
                out.value(&json!({ "name": name, "paused": true, "by": by, "reason": reason }))
            }
            Self::Resume(Resume { name }) => {
                let pool = open(app).await?;
                let mut was_paused = false;
                for stream in streams_of(app, &name)? {
                    was_paused |= resume(&mut *acquire(&pool).await?, &stream).await?;
                }
                out.line(if was_paused {
                    format!("rows of {name} are written again")
                } else {
                    format!("{name} was not paused")
                })?;
                out.value(&json!({ "name": name, "paused": false, "was_paused": was_paused }))
            }
        }
    }
}

/// A name of the configuration.
fn write<'a>(app: &'a App, name: &str) -> Result<&'a Write, Failure> {
    app.config.writes.get(name).ok_or_else(|| unknown("write", name, app.config.writes.keys()))
}

fn streams_of(app: &App, name: &str) -> Result<Vec<StreamOf>, Failure> {
    Ok(writes::streams_of(name, write(app, name)?))
}

fn streams(app: &App) -> Streams {
    Streams::new(app.store.clone(), &app.config.redis.prefix)
}

/// The database, with the tables that batched writes need.
async fn open(app: &App) -> Result<PgPool, Failure> {
    let pool = app.pool_needed()?;
    greet_postgres(&pool).await?;
    if exists(&pool).await? {
        Ok(pool)
    } else {
        Err(Failure::environment(
            "this database has no tables for batched writes\n  help: run `brasa migrate`",
        ))
    }
}

async fn acquire(pool: &PgPool) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Failure> {
    Ok(pool.acquire().await?)
}

async fn table(connection: &mut PgConnection, write: &Write) -> Result<Table, Failure> {
    Table::look(connection, write).await.map_err(|problem| match problem {
        TableProblem::Unfit { message, help, .. } => Failure::usage(format!("{message}\n  help: {help}")),
        problem @ TableProblem::Database(_) => Failure::environment(chain(&problem)),
    })
}
