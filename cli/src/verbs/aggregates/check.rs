//! `brasa aggregates check`: whether figures are what the source says.

use brasa_jobs::aggregates::{Fault, check};
use brasa_shared::db::aggregates::checked as note;
use clap::Args;
use serde_json::json;

use super::{aggregate, failed, live, open};
use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

/// Compare an aggregate with its source
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The name of `[aggregates.NAME]`
    name: String,
    /// Have groups that are wrong computed again
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let name = &self.name;
        aggregate(app, name)?;
        let mut connection = open(app).await?.acquire().await?;
        let shown = live(&mut connection, name).await?;
        let checked = check(&mut connection, &shown, self.repair, |from, done| {
            out.progress(|| format!("{name}: {} groups compared, back to {from}", done.compared)).is_ok()
        });
        let checked = checked.await.map_err(|fault: Fault| failed(&fault))?;
        if checked.is_repaired {
            // Whoever repairs by hand knows of it: what is told to others is what is left.
            let noted = note(&mut connection, name, shown.version, checked.compared, 0).await;
            noted.map_err(|error| failed(&error.into()))?;
        }
        for example in &checked.examples {
            out.line(format!("wrong: {example}"))?;
        }
        out.line(match (checked.wrong, checked.is_repaired) {
            (0, _) => format!("{name}: {} groups are what the source says", checked.compared),
            (wrong, true) => format!("{name}: {wrong} of {} groups were wrong, and are computed again", checked.compared),
            (wrong, false) => format!(
                "{name}: {wrong} of {} groups are not what the source says\n  help: rows changed behind the triggers' backs; --repair computes them again",
                checked.compared
            ),
        })?;
        out.value(&json!({
            "name": name,
            "compared": checked.compared,
            "wrong": checked.wrong,
            "examples": checked.examples,
            "is_repaired": checked.is_repaired,
        }))?;
        if checked.wrong > 0 && !checked.is_repaired { Err(Failure::silent(1)) } else { Ok(()) }
    }
}
