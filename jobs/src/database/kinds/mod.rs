//! What is done to the database, as jobs.

mod analyze;
mod prune;
mod reindex;
mod vacuum;

pub use analyze::Analyze;
pub use prune::{Batches, PruneRows, Pruned, describe, expired, parts};
pub use reindex::Reindex;
pub use vacuum::Vacuum;

use std::time::Duration;

use brasa_shared::config::CareMode;
use tokio::time::Instant;

use crate::context::{JobContext, no_connection};
use crate::database::session::{Session, SessionError, Until};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult, Verdict};

/// How long a job waits for a window at most before it looks again: the configuration may have changed.
const WAIT_MAX: Duration = Duration::from_hours(6);

/// What a job may do.
#[derive(Debug)]
enum Permit {
    /// Say what it would do.
    Plan,
    /// Do it, until then.
    Apply(Until),
}

/// Whether anything may be changed now, and until when: the window, or the budget, whichever ends first. A job that comes
/// outside of all windows waits for the next one.
fn may_change(ctx: &JobContext) -> JobResult<Permit> {
    let care = &ctx.reach.config.maintenance;
    match care.mode {
        CareMode::Observe => {
            return Err(JobError::bury("nothing is changed or planned: [maintenance] mode is \"observe\""));
        }
        CareMode::Plan => return Ok(Permit::Plan),
        CareMode::Apply => {}
    }
    let now = ctx.reach.clock.now();
    let Some(until) = care.windows.open_until(now) else {
        let wait = care.windows.next(now).and_then(|next| next.duration_since(now).try_into().ok());
        let wait = wait.unwrap_or(WAIT_MAX).min(WAIT_MAX);
        return Err(JobError::new(Verdict::Snooze(wait), "it waits for the next of [maintenance] windows"));
    };
    let left = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::MAX);
    Ok(Permit::Apply(Until {
        deadline: Some(Instant::now() + left.min(care.budget.0)),
        stop: ctx.stop.clone(),
    }))
}

/// A session for a job.
async fn session(ctx: &JobContext) -> JobResult<Session> {
    let opened = Session::open(&ctx.reach.config, ctx.reach.db.as_ref()).await;
    opened.map_err(|error| match error {
        SessionError::Connect(error) => no_connection(error),
        SessionError::Database(error) => judge(error, "open a session for maintenance"),
        // A replica may be made the primary in a minute; the others are for a person.
        error @ SessionError::Recovering => JobError::retry(anyhow::Error::new(error)),
        error => JobError::bury(error.to_string()),
    })
}

/// What it means for a job that a session is lost.
fn lost(error: SessionError) -> JobError {
    match error {
        SessionError::Database(error) => judge(error, "go on with maintenance"),
        error => JobError::retry(error.to_string()),
    }
}

fn is_over(until: &Until) -> bool {
    until.deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
