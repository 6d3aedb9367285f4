//! Jobs: looking at them, waiting for their ends, stopping them and starting them again.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Extension, Json};
use brasa_jobs::history;
use brasa_shared::config::Role;
use brasa_shared::queue::{Cancelled, JobView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::KNOWN;
use super::enqueue::may_enqueue;
use super::job::{Job, State as Standing};
use super::parts::{At, Maybe, Span, When, Why};
use crate::acts::Actor;
use crate::acts::jobs as acts;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{OPERATOR, Route, VIEWER};
use crate::search::{Wanted, find};

/// For how long an end is waited for: unless it is said otherwise, and at most.
const WAIT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(1));

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/jobs", VIEWER, get(list)),
        Route::get("/api/v1/jobs/{queue}/{id}", KNOWN, get(show)),
        Route::get("/api/v1/jobs/{queue}/{id}/wait", KNOWN, get(wait)),
        Route::post("/api/v1/jobs/{queue}/{id}/cancel", OPERATOR, post(cancel)),
        Route::post("/api/v1/jobs/{queue}/{id}/retry", OPERATOR, post(retry)),
    ]
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// Those of this queue.
    queue: Option<String>,
    /// Those of this kind.
    kind: Option<String>,
    /// Those in this state; those that have not ended where nothing is said.
    state: Option<Standing>,
    /// Those that ended, died, are due, run or wait since then: so long ago (`2h`), or an instant.
    #[param(value_type = Option<String>, example = "2h")]
    since: Option<When>,
    /// Those that did so until then.
    #[param(value_type = Option<String>, example = "5m")]
    until: Option<When>,
    /// Those of which this is said, in large letters or small ones: in their id, kind, worker, reason or earlier
    /// attempts, and for those who may see them in their arguments. Ended jobs are looked at as well then.
    #[param(max_length = 200)]
    text: Option<String>,
    /// Where to go on: `next` of an earlier answer.
    after: Option<String>,
    /// How many at most; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed {
    /// The jobs, queue by queue.
    jobs: Vec<Job>,
    /// How many were looked at; there may be some to be found behind them.
    looked_at: usize,
    /// Where to go on, if that was not all.
    next: Option<String>,
    /// Whether there are jobs to which no `next` leads: ask for a kind, a time or a text.
    are_left_out: bool,
}

/// List jobs.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(Search),
    responses((status = 200, description = "The jobs", body = Listed)))]
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    uri: Uri,
) -> Result<Json<Listed>, Refused> {
    let search: Search = query(&uri)?;
    let given = Option::as_deref;
    let wanted = Wanted {
        queue: given(&search.queue).unwrap_or_default(),
        kind: given(&search.kind).unwrap_or_default(),
        state: search.state.map(Into::into),
        since: search.since.map(|When(since)| since),
        until: search.until.map(|When(until)| until),
        text: given(&search.text).unwrap_or_default(),
        after: search.after.as_deref().map(str::parse).transpose()?,
        limit: search.limit,
    };
    let found = find(&desk, &wanted, &who).await?;
    let next = found.next.map(|next| next.to_string());
    let jobs = found.jobs.into_iter().map(|view| Job::of(view, who.sees_payloads())).collect();
    Ok(Json(Listed { jobs, looked_at: found.looked_at, next, are_left_out: found.are_left_out }))
}

/// Look at a job. A token for enqueuing sees the jobs that it may enqueue, and no others. One that its queue forgot is
/// answered as the history has it.
#[utoipa::path(get, path = "/api/v1/jobs/{queue}/{id}", tag = "jobs",
    params(("queue" = String, Path, description = "Its queue"), ("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The job", body = Job)))]
pub(super) async fn show(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    At((queue, id)): At<(String, String)>,
) -> Result<Json<Job>, Refused> {
    match acts::find(&desk, &queue, &id).await {
        Err(absent) if absent.status == StatusCode::NOT_FOUND => {
            past(&desk, &who, &queue, &id).await.ok_or(absent).map(Json)
        }
        found => shown(&desk, &who, found?).map(Json),
    }
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Patience {
    /// A time span such as `10s`, a minute at most; 30 s where nothing is said.
    #[param(value_type = Option<String>, example = "10s")]
    timeout: Option<Span>,
}

/// Wait for the end of a job. The job is answered as it ended, or as it is when the time is over.
#[utoipa::path(get, path = "/api/v1/jobs/{queue}/{id}/wait", tag = "jobs",
    params(("queue" = String, Path, description = "Its queue"), ("id" = String, Path, description = "Its id"), Patience),
    responses((status = 200, description = "The job", body = Job)))]
pub(super) async fn wait(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    At((queue, id)): At<(String, String)>,
    uri: Uri,
) -> Result<Json<Job>, Refused> {
    let Patience { timeout } = query(&uri)?;
    let limit = timeout.map_or(WAIT.0, |Span(limit)| limit);
    if limit > WAIT.1 {
        return Err(Refused::bad("`timeout` is too long", "wait for 60s at most, and ask again"));
    }
    let view = match acts::find(&desk, &queue, &id).await {
        Err(absent) if absent.status == StatusCode::NOT_FOUND => {
            return past(&desk, &who, &queue, &id).await.ok_or(absent).map(Json);
        }
        found => found?,
    };
    let seen = shown(&desk, &who, view)?;
    if limit.is_zero() {
        return Ok(Json(seen));
    }
    let place = desk.hall.place()?;
    let view = desk.site.queue(&queue).wait_for_end(&id, limit).await?;
    drop(place);
    shown(&desk, &who, view.ok_or_else(|| acts::unknown(&id))?).map(Json)
}

/// A job as somebody may see it; for whoever may not, it is as if there were none.
fn shown(desk: &Desk, who: &Identity, view: JobView) -> Result<Job, Refused> {
    let may = may_enqueue(desk, who, &view.kind, &view.queue).is_none();
    let is_viewer = who.may(Role::Viewer);
    if is_viewer || may {
        Ok(Job::of(view, who.sees_payloads() || may))
    } else {
        Err(acts::unknown(&view.id))
    }
}

/// The same of one that its queue forgot; nothing where the history does not know it either, or cannot be asked.
async fn past(desk: &Desk, who: &Identity, queue: &str, id: &str) -> Option<Job> {
    let ends = history::find(desk.pool.as_ref()?, id).await.unwrap_or_default();
    let last = ends.into_iter().find(|past| past.queue == queue)?;
    let may = may_enqueue(desk, who, &last.kind, &last.queue).is_none();
    (who.may(Role::Viewer) || may).then(|| Job::of_past(last, who.sees_payloads() || may))
}

/// What a cancel found.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stopped {
    /// The job had not started, and will not.
    Cancelled,
    /// It runs, and has been asked to stop.
    Asked,
}

/// A job that was stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stopping {
    /// Its id.
    id: String,
    /// Its queue.
    queue: String,
    /// What was found.
    outcome: Stopped,
}

/// Stop a job for good: one that waits will not start, one that runs is asked to stop.
#[utoipa::path(post, path = "/api/v1/jobs/{queue}/{id}/cancel", tag = "jobs", request_body = Option<Why>,
    params(("queue" = String, Path, description = "Its queue"), ("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "It is stopped, or will be", body = Stopping),
        (status = 409, description = "It has ended already", body = super::parts::Problem)))]
pub(super) async fn cancel(
    State(desk): State<Desk>,
    At((queue, id)): At<(String, String)>,
    actor: Actor,
    Maybe(why): Maybe<Why>,
) -> Result<Json<Stopping>, Refused> {
    let outcome = match acts::cancel(&desk, &queue, &id, &why.text(), &actor).await? {
        Cancelled::Cancelled => Stopped::Cancelled,
        Cancelled::Asked => Stopped::Asked,
        Cancelled::Done | Cancelled::Dead => {
            return Err(Refused::new(StatusCode::CONFLICT, "it has ended already", ""));
        }
        Cancelled::Unknown => return Err(acts::unknown(&id)),
    };
    Ok(Json(Stopping { id, queue, outcome }))
}

/// Start a job now that is dead or delayed.
#[utoipa::path(post, path = "/api/v1/jobs/{queue}/{id}/retry", tag = "jobs",
    params(("queue" = String, Path, description = "Its queue"), ("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The job, which waits for a worker", body = Job),
        (status = 409, description = "It is neither dead nor delayed, or another has its unique key",
            body = super::parts::Problem)))]
pub(super) async fn retry(
    State(desk): State<Desk>,
    At((queue, id)): At<(String, String)>,
    actor: Actor,
) -> Result<Json<Job>, Refused> {
    acts::retry(&desk, &queue, &id, &actor).await?;
    let view = acts::find(&desk, &queue, &id).await?;
    Ok(Json(Job::of(view, actor.who.sees_payloads())))
}
