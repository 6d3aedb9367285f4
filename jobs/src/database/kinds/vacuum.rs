//! `db.vacuum`: room that is wasted, and rows that are so old that transaction numbers run out.

use std::time::Duration;

use brasa_shared::telemetry::metrics;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Permit, is_over, lost, may_change, session};
use crate::context::JobContext;
use crate::database::ledger::{Note, forget, note};
use crate::database::session::Session;
use crate::database::tables::{Freezing, Table, Vacuumed, Vacuuming, holders, look, to_vacuum, vacuum};
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

/// From when on a holder of old rows is worth a word, in transactions.
const OLD: i64 = 1_000;

/// Vacuums the tables named, or those that need it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vacuum {
    /// `table` or `schema.table`; where it is left out, those that need it.
    #[serde(default)]
    tables: Vec<String>,
}

impl Job for Vacuum {
    const KIND: &'static str = "db.vacuum";
    const ABOUT: &'static str = "Runs VACUUM on tables that need it, one by one, and proves that it worked";
    const POLICY: Policy = Policy::new()
        .attempts(3)
        .timeout(Duration::from_hours(24))
        .backoff(Duration::from_mins(5), Duration::from_hours(1));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let permit = may_change(ctx)?;
        let mut session = session(ctx).await?;
        let (wanted, mut skipped) = self.find(&mut session).await?;
        let Permit::Apply(until) = permit else {
            let would = wanted.iter().map(|(table, why)| json!({ "table": table.name, "why": why.words() }));
            return Ok(json!({ "would_vacuum": would.collect::<Vec<_>>(), "skipped": skipped }));
        };
        let (mut done, mut held, mut left, mut busy) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (table, why) in wanted {
            ctx.go_on()?;
            if is_over(&until) {
                left.push(table.name);
                continue;
            }
            ctx.progress(0.0, &table.name).await;
            let vacuumed = vacuum(&mut session, &table, why, &until).await.map_err(lost)?;
            let error = match &vacuumed {
                Vacuumed::Done(_) => None,
                Vacuumed::Held(why) => {
                    tracing::warn!(table = table.name, why, "vacuumed for nothing");
                    held.push(json!({ "table": table.name, "why": why }));
                    Some(why.clone())
                }
                Vacuumed::Skipped(why) => {
                    busy += 1;
                    skipped.push(json!({ "table": table.name, "why": why }));
                    Some(why.clone())
                }
            };
            if !matches!(vacuumed, Vacuumed::Skipped(_)) {
                done.push(table.name.clone());
            }
            note(
                ctx.db()?,
                &Note { kind: "vacuum", table: &table.name, why: why.words(), actor: &ctx.job.id, error },
            )
            .await;
        }
        let holders =
            holders(session.work(), OLD).await.map_err(|error| judge(error, "look who holds old rows"))?;
        session.close().await;
        forget(ctx.db()?).await;
        ctx.go_on()?;
        metrics::tables_vacuumed_total("vacuumed").increment(done.len() as u64);
        metrics::tables_vacuumed_total("skipped").increment(skipped.len() as u64);
        let holders: Vec<_> =
            holders.into_iter().map(|(who, age)| json!({ "who": who, "age": age })).collect();
        let result =
            json!({ "vacuumed": done, "held": held, "skipped": skipped, "left": left, "holders": holders });
        if busy > 0 {
            Err(JobError::retry(format!("{busy} tables were not vacuumed: {result}")))
        } else {
            Ok(result)
        }
    }
}

impl Vacuum {
    /// The tables that are to be vacuumed, the most pressing first, and those that another role owns.
    async fn find(&self, session: &mut Session) -> JobResult<(Vec<(Table, Vacuuming)>, Vec<Value>)> {
        let mut found = Vec::new();
        for name in &self.tables {
            let tables =
                look(session.work(), Some(name)).await.map_err(|error| judge(error, "find a table"))?;
            let missing = || JobError::bury(format!("there is no table `{name}` that this role can see"));
            let table = tables.0.into_iter().next().ok_or_else(missing)?;
            let freezing = table.freezing().map(Vacuuming::Freeze);
            found.push((table, freezing.unwrap_or(Vacuuming::Asked)));
        }
        if !self.tables.is_empty() {
            return Ok((found, Vec::new()));
        }
        let tables = look(session.work(), None).await.map_err(|error| judge(error, "look at the tables"))?;
        for table in tables.0.iter().filter(|table| table.freezing() >= Some(Freezing::Late)) {
            tracing::error!(table = table.name, age = table.xid_age, "transaction numbers are running out");
        }
        let due = to_vacuum(tables);
        let other = |name| json!({ "table": name, "why": "it belongs to another role" });
        Ok((due.tables, due.others.into_iter().map(other).collect()))
    }
}
