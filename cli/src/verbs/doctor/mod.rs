//! `brasa doctor`: are the servers as they should be? Looks, and changes nothing.
//!
//! Every subject is looked at in two steps: `Facts` are gathered from a server, and plain functions judge
//! them. A check is such a function and a line in the `CHECKS` of its subject ([`redis`], [`postgres`]). A
//! server that is away is a finding too, and the other one is still looked at.

use brasa_shared::finding::{Finding, Level, Section};
use clap::Args;
use serde_json::json;
use sqlx::PgPool;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain};

mod fleet;
mod postgres;
mod redis;
mod timing;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Exit with 1 for warnings too
    #[arg(long)]
    strict: bool,
}

impl Doctor {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let sections = Servers::of(app)?.examine().await;
        let count = |level| {
            let all = sections.iter().flat_map(|section| &section.findings);
            all.filter(|finding| finding.level == level).count()
        };
        let [fine, notes, warnings, problems] =
            [Level::Ok, Level::Note, Level::Warning, Level::Problem].map(count);
        sections.iter().try_for_each(|section| print(section, out))?;
        out.line(format!("{problems} problem(s), {warnings} warning(s), {notes} note(s), {fine} fine"))?;
        out.value(&json!({
            "problems": problems, "warnings": warnings, "notes": notes, "ok": fine, "servers": sections,
        }))?;
        let is_ill = problems > 0 || (self.strict && warnings > 0);
        if is_ill { Err(Failure::silent(1)) } else { Ok(()) }
    }
}

/// The servers, which can be examined again and again.
pub(crate) struct Servers {
    app: App,
    primary: Option<PgPool>,
    replica: Option<PgPool>,
    has_jobs: bool,
}

impl Servers {
    /// Those of an installation. Addresses that cannot be understood are mistakes of the configuration, and told as such.
    pub(crate) fn of(app: &App) -> Result<Self, Failure> {
        let (primary, replica) = (app.pool_of(1)?, postgres::replica_pool(app)?);
        Ok(Self { app: app.clone(), primary, replica, has_jobs: true })
    }

    /// The same, as they are seen by somebody who runs no jobs, and needs no right to.
    pub(crate) fn seen_by_a_dashboard(app: &App) -> Result<Self, Failure> {
        Ok(Self { has_jobs: false, ..Self::of(app)? })
    }

    /// Looks at all of them at once.
    pub(crate) async fn examine(&self) -> Vec<Section> {
        let (redis, primary, replica) = tokio::join!(
            Box::pin(redis::examine(&self.app)),
            Box::pin(postgres::examine(&self.app, self.primary.as_ref(), self.has_jobs)),
            Box::pin(postgres::examine_replica(self.replica.as_ref()))
        );
        let mut sections = redis;
        sections.extend(primary);
        sections.extend(replica);
        sections
    }
}

fn print(section: &Section, out: &mut Output) -> Result<(), Failure> {
    out.line(format!("{} at {}", section.name(), plain(&section.address)))?;
    for Finding { check, level, found, why, help } in &section.findings {
        out.line(format!("  {:<8} {check}: {}", level.word(), plain(found)))?;
        for (word, text) in [("why", why), ("help", help)] {
            if !text.is_empty() {
                out.line(format!("  {:<8}   {word}: {}", "", plain(text)))?;
            }
        }
    }
    out.line("")
}
