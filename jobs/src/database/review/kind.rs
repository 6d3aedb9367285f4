//! `db.review`: looks at the database, keeps what is recommended, and says how much that is.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::facts::{Limits, Subject};
use super::gather::{gather, limit};
use super::past::Past;
use super::recommendation::Severity;
use super::report::Report;
use super::{rules, store};
use crate::context::{JobContext, Reach};
use crate::database::rebuild::note_ratios;
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

/// Reviews the database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewDatabase {}

/// What came of a review.
#[derive(Debug, Clone)]
pub struct Reviewed {
    /// What was found, to be shown.
    pub report: Report,
    /// How many recommendations were done with since the last time.
    pub cleared: u64,
}

impl Reviewed {
    /// What is kept of it as a summary.
    pub fn summary(&self) -> Value {
        let count = |severity| self.report.count(severity);
        json!({
            "review": self.report.review,
            "critical": count(Severity::Critical),
            "warning": count(Severity::Warning),
            "info": count(Severity::Info),
            "dismissed": self.report.dismissed(),
            "cleared": self.cleared,
            "gaps": self.report.gaps.len(),
        })
    }
}

impl Job for ReviewDatabase {
    const KIND: &'static str = "db.review";
    const ABOUT: &'static str =
        "Looks at the database, and recommends what to change, with evidence and statements";
    const POLICY: Policy = Policy::new()
        .attempts(3)
        .timeout(Duration::from_mins(10))
        .backoff(Duration::from_secs(30), Duration::from_mins(10));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let mut connection = ctx.connection().await?;
        let obstacle = store::obstacle(&mut connection).await;
        if let Some((why, help)) = obstacle.map_err(|error| judge(error, "look for schema brasa"))? {
            return Err(JobError::bury(format!("{why}: {help}")));
        }
        // Its time limits are not those of other jobs, so it is never given back, and closed at the end.
        limit(&mut connection).await.map_err(|error| judge(error, "set time limits"))?;
        let past = Past::of(&mut connection, &ctx.reach).await;
        let past = past.map_err(|error| judge(error, "read what was noted"))?;
        let limits = Limits::of(&ctx.reach.config.maintenance.indexes);
        let reviewed = review(&mut connection, &ctx.reach, past, limits).await;
        let reviewed = reviewed.map_err(|error| judge(error, "review the database"))?;
        Ok(reviewed.summary())
    }
}

/// Looks at the database and keeps what is recommended.
///
/// # Errors
/// The database is out of reach, or does not take what is to be kept.
pub async fn review(
    connection: &mut PgConnection,
    reach: &Reach,
    past: Past,
    limits: Limits,
) -> Result<Reviewed, sqlx::Error> {
    let facts = gather(connection, reach, past, limits).await?;
    if facts.knows(Subject::Ledger) {
        note_ratios(connection, &facts.indexes).await?;
    }
    let recommendations = rules::judge(&facts);
    let conclusive = rules::conclusive(&facts);
    let mut report = Report::of(&facts, recommendations);
    let saved = store::save(connection, &mut report, &conclusive).await?;
    Ok(Reviewed { report, cleared: saved })
}
