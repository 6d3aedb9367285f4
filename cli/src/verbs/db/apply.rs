//! `brasa db apply`: what a plan said is done, if it still is the plan.

use brasa_jobs::database::rebuild::Item;
use brasa_jobs::database::whole::whole;
use clap::Args;
use serde_json::json;

use super::reindex::{Wanted, all_well, rebuilt, value};
use super::tend::{Tended, analyze_all, vacuum_all};
use super::{open, permit};
use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

/// Do what a plan says, if it still is the plan
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The plan, as `brasa db plan` names it
    #[arg(long, value_name = "HASH")]
    plan: String,
    /// Also outside of [maintenance] windows
    #[arg(long)]
    outside_window: bool,
}

impl Apply {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let until = permit(app, self.outside_window)?;
        let (pool, mut session) = open(app).await?;
        let mut notes = pool.acquire().await?;
        let rules = &app.config.maintenance.indexes;
        let whole = whole(session.work(), &mut notes, rules).await?;
        if whole.hash != self.plan {
            return Err(Failure::usage(format!(
                "the plan has changed: it is {} now, and not {}\n  help: look at it again with `brasa db plan`",
                whole.hash, self.plan
            )));
        }
        let mut tended = Tended::default();
        analyze_all((&pool, &mut session), &whole.analyze.tables, &until, out, &mut tended).await?;
        vacuum_all((&pool, &mut session), &whole.vacuum.tables, &until, out, &mut tended).await?;
        let (tables, is_well) = tended.parts();
        // Fresh statistics may say that an index is another one than was thought: then it is left alone. No other is touched.
        let agreed: Vec<_> = whole.reindex.to_build(rules).map(Item::agreement).collect();
        let wanted = Wanted { named: &[], agreed: Some(&agreed), until };
        let report = rebuilt(app, out, &mut session, &mut notes, wanted).await?;
        session.close().await;
        if tables.is_empty() && agreed.is_empty() {
            out.line("the plan has nothing to do")?;
        }
        out.value(&json!({ "plan": whole.hash, "tables": tables, "reindex": value(&report) }))?;
        if is_well && all_well(&report) { Ok(()) } else { Err(Failure::silent(1)) }
    }
}
