//! `db.analyze`: fresh statistics for the planner, one statement per table.

use std::time::Duration;

use brasa_shared::telemetry::metrics;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Permit, is_over, lost, may_change, session};
use crate::context::JobContext;
use crate::database::ledger::{Note, forget, note};
use crate::database::session::{Session, Until};
use crate::database::tables::{Analyzed, Analyzing, Table, analyze, look, to_analyze};
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

/// Analyzes the tables named, or those that need it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analyze {
    /// `table` or `schema.table`; where it is left out, those that need it.
    #[serde(default)]
    tables: Vec<String>,
    /// Those that do not need it as well.
    #[serde(default)]
    all: bool,
}

/// What came of all of them.
#[derive(Default)]
struct Outcome {
    analyzed: Vec<String>,
    skipped: Vec<Value>,
    /// Skipped for a reason that may be gone the next time.
    busy: usize,
    left: Vec<String>,
}

impl Job for Analyze {
    const KIND: &'static str = "db.analyze";
    const ABOUT: &'static str = "Runs ANALYZE on tables that need it, one by one, and proves that it worked";
    const POLICY: Policy = Policy::new()
        .attempts(3)
        .timeout(Duration::from_hours(24))
        .backoff(Duration::from_mins(1), Duration::from_mins(15));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let permit = may_change(ctx)?;
        let mut session = session(ctx).await?;
        let mut outcome = Outcome::default();
        let wanted = self.find(&mut session, &mut outcome).await?;
        let Permit::Apply(until) = permit else {
            let would = wanted.iter().map(|(table, why)| json!({ "table": table.name, "why": why.words() }));
            return Ok(json!({ "would_analyze": would.collect::<Vec<_>>(), "skipped": outcome.skipped }));
        };
        let count = wanted.len();
        for (done, (table, why)) in wanted.into_iter().enumerate() {
            ctx.go_on()?;
            if is_over(&until) {
                outcome.left.push(table.name);
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            ctx.progress(done as f64 / count as f64, &table.name).await;
            outcome.take(ctx, &mut session, &table, &why, &until).await?;
        }
        session.close().await;
        forget(ctx.db()?).await;
        outcome.end(ctx)
    }
}

impl Analyze {
    /// The tables that are to be analyzed, in order.
    async fn find(&self, session: &mut Session, outcome: &mut Outcome) -> JobResult<Vec<(Table, Analyzing)>> {
        if !self.tables.is_empty() {
            let mut found = Vec::new();
            for name in &self.tables {
                let tables = look(session.work(), Some(name)).await;
                let table = tables.map_err(|error| judge(error, "find a table"))?.0.into_iter().next();
                let missing = || JobError::bury(format!("there is no table `{name}` that this role can see"));
                found.push((table.ok_or_else(missing)?, Analyzing::Asked));
            }
            return Ok(found);
        }
        let tables = look(session.work(), None).await.map_err(|error| judge(error, "look at the tables"))?;
        let due = to_analyze(tables, self.all);
        let other = |name| json!({ "table": name, "why": "it belongs to another role" });
        outcome.skipped.extend(due.others.into_iter().map(other));
        Ok(due.tables)
    }
}

impl Outcome {
    async fn take(
        &mut self,
        ctx: &JobContext,
        session: &mut Session,
        table: &Table,
        why: &Analyzing,
        until: &Until,
    ) -> JobResult {
        let analyzed = analyze(session, table, until).await.map_err(lost)?;
        let mut skip = |name: &str, why: &str| self.skipped.push(json!({ "table": name, "why": why }));
        let error = match &analyzed {
            Analyzed::Done(_) => {
                self.analyzed.push(table.name.clone());
                None
            }
            Analyzed::Skipped(reason) => {
                skip(&table.name, reason);
                self.busy += 1;
                Some(reason.clone())
            }
            // Somebody else's part is a fact to report.
            Analyzed::Partly(parts) => {
                for (name, why) in parts {
                    skip(name, why);
                }
                self.analyzed.push(table.name.clone());
                Some(format!("{} parts were skipped", parts.len()))
            }
        };
        note(
            ctx.db()?,
            &Note { kind: "analyze", table: &table.name, why: &why.words(), actor: &ctx.job.id, error },
        )
        .await;
        Ok(())
    }

    fn end(self, ctx: &JobContext) -> JobResult<Value> {
        metrics::tables_analyzed_total("analyzed").increment(self.analyzed.len() as u64);
        metrics::tables_analyzed_total("skipped").increment(self.skipped.len() as u64);
        let result = json!({ "analyzed": self.analyzed, "skipped": self.skipped, "left": self.left });
        ctx.go_on()?;
        // Somebody else's table is a fact to report; one that was locked may be free the next time.
        if self.busy > 0 {
            Err(JobError::retry(format!("{} tables were not analyzed: {result}", self.busy)))
        } else {
            Ok(result)
        }
    }
}
