//! Many jobs at once, each with an outcome of its own.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use brasa_shared::queue::{Envelope, Queue};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::may::Clerk;
use super::new_job::{NewJob, id_of, trace_of};
use super::{Enqueued, Fate};
use crate::api::parts::Object;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Strict;

/// How many jobs there may be.
const JOBS_MAX: usize = 1_000;

/// Jobs to be enqueued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Bulk {
    /// The jobs, 1,000 at most.
    #[schema(min_items = 1, max_items = 1000, value_type = Vec<NewJob>)]
    jobs: Vec<Object<NewJob>>,
}

/// Why a job was not enqueued.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Trouble {
    /// The status that it would have been answered with by itself.
    status: u16,
    /// What is wrong with it.
    message: String,
    /// What to do next; may be empty.
    help: String,
}

/// A job that was not enqueued.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Left {
    /// Why.
    error: Trouble,
}

/// What became of one of them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::api) enum Outcome {
    /// It was enqueued, or another stands for it.
    Taken(Enqueued),
    /// It was not.
    Left(Left),
}

/// What became of them.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Outcomes {
    /// How many are new.
    new: usize,
    /// How many were not enqueued.
    refused: usize,
    /// What became of each, in the order of the jobs.
    jobs: Vec<Outcome>,
}

/// Enqueue many jobs. Each is taken or refused by itself.
#[utoipa::path(post, path = "/api/v1/jobs/bulk", tag = "jobs", request_body = Bulk,
    params(("traceparent" = Option<String>, Header,
        description = "Where in a trace those are enqueued that say nothing themselves")),
    responses((status = 200, description = "What became of each", body = Outcomes)))]
pub(in crate::api) async fn many(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    headers: HeaderMap,
    Strict(Bulk { jobs }): Strict<Bulk>,
) -> Result<Json<Outcomes>, Refused> {
    if id_of(&headers)?.is_some() {
        let help = "give each job an `id`";
        return Err(Refused::bad("`Idempotency-Key` cannot be the id of many jobs", help));
    }
    if jobs.is_empty() || jobs.len() > JOBS_MAX {
        return Err(Refused::bad(
            format!("{} jobs are too few or too many", jobs.len()),
            format!("send 1 to {JOBS_MAX}"),
        ));
    }
    let (clerk, trace) = (Clerk::new(&desk, &who), trace_of(&headers));
    let mut looked = Vec::with_capacity(jobs.len());
    for Object(job) in jobs {
        looked.push(clerk.look(job.at(trace)).await);
    }
    let queues: BTreeSet<&str> = looked.iter().flatten().map(|(queue, _)| queue.name()).collect();
    for queue in queues {
        desk.site.name_queue(queue).await?;
    }
    // Each for itself, so that each gets an answer; they share round trips all the same.
    let fates = join_all(looked.into_iter().map(enqueue)).await;
    // Where nothing was taken because of what will pass, the whole is to be sent again.
    if fates.iter().all(Result::is_err)
        && let Some(Err(refused)) = fates.iter().find(|fate| fate.as_ref().is_err_and(is_passing))
    {
        return Err(refused.clone());
    }
    let new = fates.iter().flatten().filter(|told| told.state == Fate::New).count();
    let refused = fates.iter().filter(|fate| fate.is_err()).count();
    let jobs = fates.into_iter().map(|fate| fate.map_or_else(left, Outcome::Taken)).collect();
    Ok(Json(Outcomes { new, refused, jobs }))
}

async fn enqueue(looked: Result<(Queue, Envelope), Refused>) -> Result<Enqueued, Refused> {
    let (queue, job) = looked?;
    let answer = queue.enqueue(&job).await?;
    Ok(Enqueued::of(&job.id, queue.name(), answer))
}

fn is_passing(refused: &Refused) -> bool {
    matches!(refused.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

fn left(Refused { status, message, help, .. }: Refused) -> Outcome {
    Outcome::Left(Left { error: Trouble { status: status.as_u16(), message, help } })
}
