//! `brasa cache triggers`: what writes changes of the application's tables into the change log.

use std::time::Duration;

use brasa_shared::db::changes::triggers::{
    LOCK_TIMEOUT, Removal, TableState, TriggerPlan, install, plan, plan_removal, remove,
};
use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::arguments::duration;

mod status;
mod tables;

pub(crate) use tables::dependents;
pub(super) use tables::means;

use tables::{chosen, parse_all};

#[derive(Debug, Subcommand)]
pub(crate) enum Triggers {
    /// Make the triggers for the tables that warmers depend on, or make them anew where they are outdated
    Install(Install),
    /// Take the triggers away again
    Remove(Remove),
    /// Say how the triggers stand; exit code 1 if a change of a table would go unseen
    Status(status::Status),
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// Only this table of `depends_on`
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
    /// How long others may be made to wait for a table
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lock_timeout: Option<Duration>,
    /// Only print the SQL, to be run by hand or by somebody who may
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    how: Install,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Triggers {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Install(verb) => verb.install(app, out).await,
            Self::Remove(verb) => verb.obey(app, out).await,
            Self::Status(verb) => verb.obey(app, out).await,
        }
    }
}

impl Install {
    async fn install(&self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let dependencies = chosen(app, &self.table)?;
        if dependencies.is_empty() {
            out.line("no warmer depends on a table: there is nothing to install")?;
            return out.value(&json!([]));
        }
        let mut connection = connect(app).await?;
        let limit = self.lock_timeout.unwrap_or(LOCK_TIMEOUT);
        if self.dry_run {
            let plans = plan(&mut connection, &dependencies).await?;
            let sql = |plan: &TriggerPlan| json!({ "table": plan.table, "state": plan.state, "sql": plan.sql(limit) });
            let said: Vec<_> = plans.iter().map(sql).collect();
            for plan in &plans {
                out.line(preview(plan, limit))?;
            }
            return out.value(&said);
        }
        let plans = install(&mut connection, &dependencies, limit).await?;
        for plan in &plans {
            out.line(done(plan))?;
        }
        out.value(&plans)
    }
}

fn preview(plan: &TriggerPlan, limit: Duration) -> String {
    match (plan.statements.is_empty(), &plan.table) {
        (true, table) => format!("-- {table}: nothing to do"),
        (false, table) => format!("-- {table}: {}\n{}", word(&plan.state), plan.sql(limit).trim_end()),
    }
}

fn done(plan: &TriggerPlan) -> String {
    let table = &plan.table;
    if plan.statements.is_empty() {
        return format!("{table}: its triggers are there already");
    }
    let was = match plan.state {
        // The table has them, and parts of it do not.
        TableState::Installed => "parts of it had none".to_owned(),
        ref state => format!("they were {}", word(state)),
    };
    format!("{table}: its triggers are there now ({was}); what was cached of it is loaded again")
}

impl Remove {
    async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let how = &self.how;
        if !self.yes && !how.dry_run {
            let help = "add --yes, or look first with --dry-run";
            let text = "without the triggers no change of these tables reaches the cache";
            return Err(Failure::usage(format!("{text}\n  help: {help}")));
        }
        let only = if how.table.is_empty() { None } else { Some(parse_all(&how.table)?) };
        let mut connection = connect(app).await?;
        let limit = how.lock_timeout.unwrap_or(LOCK_TIMEOUT);
        let removals = if how.dry_run {
            plan_removal(&mut connection, only.as_deref()).await?
        } else {
            remove(&mut connection, only.as_deref(), limit).await?
        };
        for removal in &removals {
            let tables = names(removal);
            out.line(if how.dry_run {
                format!("-- {tables}\n{}", removal.sql(limit).trim_end())
            } else {
                format!("{tables}: the triggers are gone")
            })?;
        }
        if removals.is_empty() {
            out.line("there are no triggers to remove")?;
        }
        let sql = |removal: &Removal| json!({ "tables": removal.tables, "sql": removal.sql(limit) });
        out.value(&removals.iter().map(sql).collect::<Vec<_>>())
    }
}

fn names(removal: &Removal) -> String {
    if removal.tables.is_empty() {
        "functions of tables that are gone".to_owned()
    } else {
        removal.tables.join(", ")
    }
}

/// How a table stands, in a word.
pub(crate) fn word(state: &TableState) -> &'static str {
    match state {
        TableState::Installed => "installed",
        TableState::Missing => "missing",
        TableState::Outdated => "outdated",
        TableState::Disabled => "disabled",
        TableState::Impossible(_) => "impossible",
    }
}

async fn connect(app: &App) -> Result<PoolConnection<Postgres>, Failure> {
    let pool = app.pool_needed()?;
    greet_postgres(&pool).await?;
    Ok(pool.acquire().await?)
}
