//! `brasa doctor`: are the servers as they should be? Looks, and changes nothing.
//!
//! Every subject is looked at in two steps: `Facts` are gathered from a server, and plain functions judge
//! them. A check is such a function and a line in the `CHECKS` of its subject ([`redis`], [`postgres`]). A
//! server that is away is a finding too, and the other one is still looked at.

use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain};

mod finding;
mod fleet;
mod postgres;
mod redis;
mod timing;

use finding::{Finding, Level, Section};

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Exit with 1 for warnings too
    #[arg(long)]
    strict: bool,
}

impl Doctor {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let sections = examine(app).await?;
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

async fn examine(app: &App) -> Result<Vec<Section>, Failure> {
    // Addresses that cannot be understood are mistakes of the configuration, and told as such.
    let primary = app.pool()?;
    let replica = postgres::replica_pool(app)?;
    let (redis, primary, replica) = tokio::join!(
        Box::pin(redis::examine(app)),
        Box::pin(postgres::examine(app, primary.as_ref())),
        Box::pin(postgres::examine_replica(replica.as_ref()))
    );
    let mut sections = redis;
    sections.extend(primary);
    sections.extend(replica);
    Ok(sections)
}

fn print(section: &Section, out: &mut Output) -> Result<(), Failure> {
    let name = match section.server {
        "redis" => "Redis",
        "fleet" => "Fleet",
        "postgres" => "Postgres",
        "replica" => "Replica of Postgres",
        other => other,
    };
    out.line(format!("{name} at {}", plain(&section.address)))?;
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
