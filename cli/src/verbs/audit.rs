//! `brasa audit`: who did what through the dashboard and the API, and whether somebody changed the record.

use brasa_web::audit::{broken, list};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List acts, the latest first
    List(List),
    /// Make sure that no row was changed or taken out since it was written
    Verify,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

impl Audit {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = app.pool_needed()?;
        match self {
            Self::List(List { limit }) => {
                let records = list(&pool, None, limit).await?;
                let rows = records.iter().map(|record| {
                    [
                        record.at.clone(),
                        format!("{} ({})", record.actor, record.role),
                        record.action.clone(),
                        record.target.clone(),
                        record.detail.clone(),
                    ]
                });
                out.table(
                    ["WHEN", "WHO", "WHAT", "TO WHAT", "DETAIL"],
                    rows.collect(),
                    "nobody has done anything",
                )?;
                out.value(&records)
            }
            Self::Verify => {
                let broken = broken(&pool).await?;
                out.value(&json!({ "broken": broken }))?;
                let Some(row) = broken else { return out.line("every row is as it was written") };
                let help = "compare it with a backup, and with the log lines `somebody acts`";
                Err(Failure::environment(format!(
                    "row {row} of brasa.audit was changed, or what stood before it is gone\n  help: {help}"
                )))
            }
        }
    }
}
