//! `db.reindex`: indexes that are mostly waste are built anew beside the application.

use std::time::Duration;

use brasa_shared::config::Indexes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Permit, lost, may_change, session};
use crate::context::JobContext;
use crate::database::ledger::forget;
use crate::database::rebuild::{Built, Plan, Report, Run, RunError, Told, plan, run};
use crate::database::session::Session;
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult, Verdict};

/// How long a job waits for another one that is at it.
const BUSY: Duration = Duration::from_mins(1);

/// Rebuilds the indexes named, or those that are worth it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reindex {
    /// `index` or `schema.index`; where it is left out, those that are worth it.
    #[serde(default)]
    indexes: Vec<String>,
}

impl Job for Reindex {
    const KIND: &'static str = "db.reindex";
    const ABOUT: &'static str = "Rebuilds indexes that are mostly waste, one by one, beside the application";
    const POLICY: Policy = Policy::new()
        .attempts(5)
        .timeout(Duration::from_hours(24))
        .backoff(Duration::from_mins(5), Duration::from_hours(1));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let permit = may_change(ctx)?;
        let mut session = session(ctx).await?;
        let mut notes = ctx.connection().await?;
        let result = match permit {
            Permit::Plan => self.plan(ctx, &mut session, &mut notes).await?,
            Permit::Apply(until) => {
                let actor = format!("job {}", ctx.job.id);
                let rules = &ctx.reach.config.maintenance.indexes;
                let wanted = Run { rules, named: &self.indexes, agreed: None, actor: &actor, until };
                let report = told(ctx, &mut session, &mut notes, &wanted).await.map_err(failed)?;
                outcome(&report)?
            }
        };
        session.close().await;
        forget(ctx.db()?).await;
        notes.give_back();
        ctx.go_on()?;
        Ok(result)
    }
}

impl Reindex {
    async fn plan(
        &self,
        ctx: &JobContext,
        session: &mut Session,
        notes: &mut sqlx::PgConnection,
    ) -> JobResult<Value> {
        let rules = &ctx.reach.config.maintenance.indexes;
        let planned = plan(session.work(), notes, rules, &self.indexes).await;
        let planned =
            planned.map_err(|error| judge(error, "look at the indexes"))?.map_err(JobError::bury)?;
        Ok(described(&planned, rules))
    }
}

/// Runs it, and says meanwhile how far it is.
async fn told(
    ctx: &JobContext,
    session: &mut Session,
    notes: &mut sqlx::PgConnection,
    wanted: &Run<'_>,
) -> Result<Report, RunError> {
    let (tell, mut hear) = tokio::sync::watch::channel((0.0, String::new()));
    let running = run(session, notes, wanted, |told| {
        if let Told::Seen(item, seen) = told {
            let phase = seen.phase.as_deref().unwrap_or("is about to be rebuilt");
            tell.send_replace((seen.share, format!("{}: {phase}", item.index.name)));
        }
    });
    // Beside it, and not in between: while Redis does not answer, somebody may wait for us.
    let telling = async {
        while hear.changed().await.is_ok() {
            let (share, text) = hear.borrow_and_update().clone();
            ctx.progress(share, &text).await;
        }
    };
    tokio::pin!(running);
    tokio::select! {
        report = &mut running => report,
        () = telling => running.await,
    }
}

/// What a plan says, as JSON.
fn described(planned: &Plan, rules: &Indexes) -> Value {
    let chosen = planned.to_build(rules).map(|item| {
        json!({
            "index": item.index.name,
            "bytes": item.index.bytes(),
            "gain": item.choice.gain.map(|(gain, _)| gain),
            "statement": item.statement(),
        })
    });
    json!({ "plan": planned.hash, "would_rebuild": chosen.collect::<Vec<_>>(), "left_over": planned.left_over })
}

fn outcome(report: &Report) -> JobResult<Value> {
    let (mut rebuilt, mut put_off, mut failed, mut leftovers) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (item, built) in &report.built {
        let index = &item.index.name;
        match built {
            Built::Done { before, after } => {
                rebuilt.push(json!({ "index": index, "before": before, "after": after }));
            }
            Built::Others => failed.push(json!({ "index": index, "why": "somebody else has made it anew" })),
            Built::Put(why) => put_off.push(json!({ "index": index, "why": why })),
            Built::Failed(why) => failed.push(json!({ "index": index, "why": why })),
            Built::Left(why) => leftovers.push(format!("{index}: {why}")),
        }
    }
    let mut recovered = Vec::new();
    for found in &report.recovered {
        match &found.built {
            Some(Built::Left(why)) => leftovers.push(format!("{}: {why}", found.index)),
            built => recovered.push(json!({ "index": found.index, "came_to": words(built.as_ref()) })),
        }
    }
    let result = json!({
        "rebuilt": rebuilt,
        "recovered": recovered,
        "put_off": put_off,
        "failed": failed,
        "left": report.left,
        "left_over": report.left_over,
    });
    if leftovers.is_empty() {
        return Ok(result);
    }
    tracing::error!(?leftovers, "something is left of a rebuild; it is tried again to take it away");
    Err(JobError::retry(format!("something is left of a rebuild: {}; {result}", leftovers.join("; "))))
}

fn words(built: Option<&Built>) -> &'static str {
    match built {
        Some(Built::Done { .. }) => "it had been done",
        Some(Built::Failed(_)) => "it had not been done, and nothing is left of it",
        Some(Built::Others) => "it had not been done, and somebody else has made it anew since",
        Some(Built::Put(_) | Built::Left(_)) => "something is left of it",
        None => "it was on another server",
    }
}

fn failed(error: RunError) -> JobError {
    match error {
        RunError::Busy => JobError::new(Verdict::Snooze(BUSY), "another session is rebuilding indexes"),
        RunError::Session(error) => lost(error),
        error @ RunError::Refused(_) => JobError::bury(error.to_string()),
    }
}
