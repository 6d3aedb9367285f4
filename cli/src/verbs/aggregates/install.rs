//! `brasa aggregates plan`, `install` and `remove`.

use brasa_jobs::aggregates::{self, PlanState, recomputed};
use clap::Args;
use serde_json::json;

use super::{aggregate, not_installed, open};
use crate::app::App;
use crate::failure::{Failure, chain};
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The name of `[aggregates.NAME]`
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// Names of `[aggregates.NAME]`; all where none is given
    names: Vec<String>,
    /// Only show what would be run
    #[arg(long)]
    dry_run: bool,
    /// Begin another definition without the buckets that stay as they are
    #[arg(long)]
    forget_frozen: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The name of an aggregate, which may be gone from the configuration
    name: String,
    /// Only show what would be run
    #[arg(long)]
    dry_run: bool,
    /// Do it: the figures are gone then
    #[arg(long)]
    yes: bool,
}

impl Plan {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let wanted = aggregate(app, &self.name)?;
        let mut connection = open(app).await?.acquire().await?;
        let plan = aggregates::plan(&mut connection, &self.name, wanted, true).await;
        let plan = plan.map_err(|error| not_installed(wanted, error))?;
        let again = recomputed(plan.shape.definition.measures.iter());
        out.line(format!("-- {}: {}, version {}", self.name, word(plan.state), plan.shape.version))?;
        out.line(if plan.shape.is_delta {
            "-- kept by adding and subtracting what changed".to_owned()
        } else {
            let why = if again.is_empty() {
                "as the configuration says".to_owned()
            } else {
                format!("for {}", again.join(", "))
            };
            format!("-- groups that were touched are computed again from the rows of their bucket ({why})")
        })?;
        out.line(if plan.statements.is_empty() {
            "-- nothing is to be done".to_owned()
        } else {
            plan.sql()
        })?;
        out.value(&json!({
            "name": self.name,
            "state": plan.state,
            "version": plan.shape.version,
            "mode": if plan.shape.is_delta { "delta" } else { "recompute" },
            "recomputed": again,
            "view": plan.shape.view(),
            "statements": plan.statements,
        }))
    }
}

impl Install {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let names =
            if self.names.is_empty() { app.config.aggregates.keys().cloned().collect() } else { self.names };
        for name in &names {
            aggregate(app, name)?;
        }
        let mut connection = open(app).await?.acquire().await?;
        let mut values = Vec::new();
        for name in &names {
            let wanted = aggregate(app, name)?;
            let done = if self.dry_run {
                aggregates::plan(&mut connection, name, wanted, self.forget_frozen).await
            } else {
                aggregates::install(&mut connection, name, wanted, self.forget_frozen).await
            };
            let plan = done.map_err(|error| not_installed(wanted, error))?;
            if self.dry_run {
                out.line(format!("-- {name}: {}\n{}", word(plan.state), plan.sql()))?;
            } else {
                out.line(said(name, &plan))?;
            }
            values.push(json!({ "name": name, "was": plan.state, "version": plan.shape.version, "view": plan.shape.view() }));
        }
        if names.is_empty() {
            out.line("there are no aggregates: write [aggregates.NAME] into the configuration")?;
        }
        out.value(&json!({ "aggregates": values, "dry_run": self.dry_run }))
    }
}

impl Remove {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if !self.yes && !self.dry_run {
            return Err(Failure::usage(
                "this deletes the figures of an aggregate\n  help: add --yes, or --dry-run to see what would be run",
            ));
        }
        let mut connection = open(app).await?.acquire().await?;
        let removed = aggregates::remove(&mut connection, &self.name, self.dry_run).await;
        let statements = removed.map_err(|error| Failure::environment(chain(&error)))?;
        if statements.is_empty() {
            return Err(Failure::usage(format!(
                "{} is not installed\n  help: `brasa aggregates status` lists what is",
                self.name
            )));
        }
        if self.dry_run {
            out.line(format!("{};", statements.join(";\n")))?;
        } else {
            out.line(format!(
                "{} is gone, with its tables and triggers; what was published stays in Redis",
                self.name
            ))?;
        }
        out.value(&json!({ "name": self.name, "dry_run": self.dry_run, "statements": statements }))
    }
}

fn word(state: PlanState) -> &'static str {
    match state {
        PlanState::Missing => "not installed",
        PlanState::Changed => "installed by another definition",
        PlanState::Unwatched => "some parts of the source are not watched",
        PlanState::Installed => "installed",
    }
}

fn said(name: &str, plan: &aggregates::Plan) -> String {
    let view = plan.shape.view();
    match plan.state {
        PlanState::Missing => format!(
            "{name}: installed; a worker builds what is from before, or `brasa aggregates backfill {name}` does. Read it as {view}"
        ),
        PlanState::Changed => format!(
            "{name}: version {} is built beside the one that is shown, and takes its place when it is through",
            plan.shape.version
        ),
        PlanState::Unwatched => format!("{name}: all parts of its source are watched again"),
        PlanState::Installed => format!("{name}: is installed; nothing was to be done. Read it as {view}"),
    }
}
