//! `brasa db prune`: rows that have expired.

use brasa_jobs::database::{Batches, expired, parts};
use clap::Args;
use serde_json::json;

use crate::app::{App, greet_postgres, unknown};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Names of `[maintenance.prune.NAME]`; all where none is given
    names: Vec<String>,
    /// Delete them: they are gone for good
    #[arg(long)]
    yes: bool,
}

impl Prune {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let known = &app.config.maintenance.prune;
        let names = if self.names.is_empty() { known.keys().cloned().collect() } else { self.names };
        let find = |name: &String| known.get(name).ok_or_else(|| unknown("pruning", name, known.keys()));
        let wanted = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let pool = app.pool_needed()?;
        greet_postgres(&pool).await?;
        let mut connection = pool.acquire().await?;
        let mut values = Vec::new();
        for (name, prune) in names.iter().zip(wanted) {
            if !self.yes {
                let rows = expired(&mut connection, prune).await?;
                out.line(format!(
                    "{name}: {rows} row(s) of {} have expired; --yes deletes them",
                    prune.table
                ))?;
                values.push(json!({ "name": name, "expired": rows }));
                continue;
            }
            let mut batches = Batches::new(prune);
            for part in parts(&mut connection, prune).await? {
                while let Some(pause) = batches.step(&mut connection, &part).await? {
                    out.progress(|| format!("{name}: {} rows are gone", batches.done.rows))?;
                    tokio::time::sleep(pause).await;
                }
            }
            let done = &batches.done;
            let (p95, longest) = (done.percentile(95), done.percentile(100));
            out.line(format!(
                "{name}: {} row(s) are gone, in {} batches of {} ms and less, but for one in twenty",
                done.rows,
                done.took.len(),
                p95.as_millis()
            ))?;
            values.push(json!({
                "name": name,
                "rows": done.rows,
                "batches": done.took.len(),
                "p95_ms": p95.as_millis(),
                "longest_ms": longest.as_millis(),
            }));
        }
        if names.is_empty() {
            out.line("nothing expires: write [maintenance.prune.NAME] into the configuration")?;
        }
        out.value(&json!({ "prune": values, "dry_run": !self.yes }))
    }
}
