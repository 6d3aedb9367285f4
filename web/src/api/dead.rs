//! The dead letter: what jobs died of, by groups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use brasa_shared::queue::{Grave, QueueError};
use brasa_shared::telemetry::logs::chain;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::At;
use crate::acts::Actor;
use crate::acts::dead as acts;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{ADMIN, OPERATOR, Route, VIEWER};
use crate::view::graves::{Graves, graves};
use crate::view::looks::Look;

/// For how long a first count is waited for.
const COUNT_MAX: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/dead", VIEWER, get(list)),
        Route::post("/api/v1/dead/{group}/retry", OPERATOR, post(retry)),
        Route::post("/api/v1/dead/{group}/delete", ADMIN, post(delete)),
    ]
}

/// Dead jobs that died of the same.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadGroup {
    /// Names the group, today and tomorrow.
    group: String,
    /// The queue.
    queue: String,
    /// The kind; empty where the jobs cannot be read.
    kind: String,
    /// What was being done when they failed; may be empty.
    class: String,
    /// Why, without what differs from job to job.
    message: String,
    /// How many jobs.
    count: u64,
    /// When the first of them died, ms since 1970.
    first_ms: i64,
    /// When the last of them died, ms since 1970.
    last_ms: i64,
    /// The ids of some of them, the latest first.
    jobs: Vec<String>,
}

/// The groups of the dead letter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Groups {
    /// When they were counted, ms since 1970.
    counted_ms: i64,
    /// The groups, the largest first.
    groups: Vec<DeadGroup>,
}

/// What was done to a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupDone {
    /// The group.
    group: String,
    /// How many of its jobs it was done to.
    jobs: usize,
}

impl From<Grave> for DeadGroup {
    fn from(grave: Grave) -> Self {
        Self {
            group: grave.signature,
            queue: grave.queue,
            kind: grave.kind,
            class: grave.class,
            message: grave.message,
            count: grave.count,
            first_ms: grave.first_ms,
            last_ms: grave.last_ms,
            jobs: grave.jobs,
        }
    }
}

/// List what jobs died of.
#[utoipa::path(get, path = "/api/v1/dead", tag = "dead",
    responses((status = 200, description = "The groups", body = Groups)))]
pub(super) async fn list(State(desk): State<Desk>) -> Result<Json<Groups>, Refused> {
    let look = counted(&desk).await?;
    let uncounted = |error: &QueueError| {
        Refused::away(format!("the dead cannot be counted: {}", chain(error)), "see `brasa doctor`")
    };
    let graves = look.seen.as_ref().map_err(uncounted)?;
    Ok(Json(Groups { counted_ms: look.at_ms, groups: graves.iter().cloned().map(DeadGroup::from).collect() }))
}

/// Start the jobs of a group again, ten milliseconds apart.
#[utoipa::path(post, path = "/api/v1/dead/{group}/retry", tag = "dead",
    params(("group" = String, Path, description = "The group")),
    responses((status = 200, description = "How many were started", body = GroupDone)))]
pub(super) async fn retry(
    State(desk): State<Desk>,
    At(group): At<String>,
    actor: Actor,
) -> Result<Json<GroupDone>, Refused> {
    let jobs = acts::retry(&desk, &group, &actor).await?;
    Ok(Json(GroupDone { group, jobs }))
}

/// Delete the jobs of a group for good.
#[utoipa::path(post, path = "/api/v1/dead/{group}/delete", tag = "dead",
    params(("group" = String, Path, description = "The group")),
    responses((status = 200, description = "How many were deleted", body = GroupDone)))]
pub(super) async fn delete(
    State(desk): State<Desk>,
    At(group): At<String>,
    actor: Actor,
) -> Result<Json<GroupDone>, Refused> {
    let jobs = acts::delete(&desk, &group, &actor).await?;
    Ok(Json(GroupDone { group, jobs }))
}

/// The last count.
async fn counted(desk: &Desk) -> Result<Arc<Look<Graves>>, Refused> {
    let begun = Instant::now();
    while begun.elapsed() < COUNT_MAX {
        // Each look waits a moment for the count that it began.
        if let Some(counted) = graves(desk).await {
            return Ok(counted);
        }
    }
    Err(Refused::away("the dead are being counted", "ask again in a moment"))
}
