//! Queues: how full they are, stopping them and letting them go on.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use brasa_shared::queue::Counts;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::{At, Maybe, Stop, Why};
use crate::acts::Actor;
use crate::acts::queues as acts;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{OPERATOR, Route, VIEWER};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/queues", VIEWER, get(list)),
        Route::post("/api/v1/queues/{queue}/pause", OPERATOR, post(pause)),
        Route::post("/api/v1/queues/{queue}/resume", OPERATOR, post(resume)),
        Route::post("/api/v1/queues/{queue}/close", OPERATOR, post(close)),
        Route::post("/api/v1/queues/{queue}/open", OPERATOR, post(open)),
    ]
}

/// A queue, and how many of its jobs are where.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    /// Its name.
    name: String,
    /// Jobs that may start now.
    waiting: u64,
    /// The same by kind, with the version of the arguments from the second on.
    waiting_by_class: BTreeMap<String, u64>,
    /// Of the waiting, those that limits hold back.
    parked: u64,
    /// Jobs that are due later.
    delayed: u64,
    /// Jobs that wait for others to end.
    blocked: u64,
    /// Jobs that workers hold.
    running: u64,
    /// Ended jobs that are still kept.
    done: u64,
    /// Jobs in the dead letter.
    dead: u64,
    /// Bytes of all of them.
    bytes: u64,
    /// Since when the oldest waiting job has been ready, ms since 1970.
    oldest_ms: Option<i64>,
    /// Counters since the queue began: `enqueued`, `done`, `retried`, `dead`, ...
    totals: BTreeMap<String, u64>,
    /// Who paused it, if anybody did: workers take no jobs of it.
    paused: Option<Stop>,
    /// Who closed it, if anybody did: it takes no new jobs.
    closed: Option<Stop>,
}

/// All queues.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queues {
    /// Those of the configuration, and those that were used without being in it.
    queues: Vec<Queue>,
}

/// Whether a queue is stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QueueStops {
    /// Its name.
    name: String,
    /// Who paused it, if anybody did: workers take no jobs of it.
    paused: Option<Stop>,
    /// Who closed it, if anybody did: it takes no new jobs.
    closed: Option<Stop>,
}

impl Queue {
    fn of(name: String, counts: Counts) -> Self {
        Self {
            name,
            waiting: counts.waiting,
            waiting_by_class: counts.waiting_by_class,
            parked: counts.parked,
            delayed: counts.delayed,
            blocked: counts.blocked,
            running: counts.running,
            done: counts.done,
            dead: counts.dead,
            bytes: counts.bytes,
            oldest_ms: counts.oldest_ms,
            totals: counts.totals,
            paused: counts.paused.map(Stop::from),
            closed: counts.closed.map(Stop::from),
        }
    }
}

/// List queues.
#[utoipa::path(get, path = "/api/v1/queues", tag = "queues",
    responses((status = 200, description = "The queues", body = Queues)))]
pub(super) async fn list(State(desk): State<Desk>) -> Result<Json<Queues>, Refused> {
    let mut queues = Vec::new();
    for (name, queue) in desk.site.all_queues().await? {
        queues.push(Queue::of(name, queue.counts().await?));
    }
    Ok(Json(Queues { queues }))
}

/// Pause a queue: workers take no jobs of it, and those that run go on.
#[utoipa::path(post, path = "/api/v1/queues/{queue}/pause", tag = "queues", request_body = Option<Why>,
    params(("queue" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is paused", body = QueueStops)))]
pub(super) async fn pause(
    State(desk): State<Desk>,
    At(name): At<String>,
    actor: Actor,
    Maybe(why): Maybe<Why>,
) -> Result<Json<QueueStops>, Refused> {
    acts::pause(&desk, &name, &why.text(), &actor).await?;
    standing(&desk, name).await
}

/// Resume a queue that is paused.
#[utoipa::path(post, path = "/api/v1/queues/{queue}/resume", tag = "queues",
    params(("queue" = String, Path, description = "Its name")),
    responses((status = 200, description = "Workers take jobs of it", body = QueueStops)))]
pub(super) async fn resume(
    State(desk): State<Desk>,
    At(name): At<String>,
    actor: Actor,
) -> Result<Json<QueueStops>, Refused> {
    acts::resume(&desk, &name, &actor).await?;
    standing(&desk, name).await
}

/// Close a queue, to drain it: it takes no new jobs, and what is in it still runs.
#[utoipa::path(post, path = "/api/v1/queues/{queue}/close", tag = "queues", request_body = Option<Why>,
    params(("queue" = String, Path, description = "Its name")),
    responses((status = 200, description = "It takes no new jobs", body = QueueStops)))]
pub(super) async fn close(
    State(desk): State<Desk>,
    At(name): At<String>,
    actor: Actor,
    Maybe(why): Maybe<Why>,
) -> Result<Json<QueueStops>, Refused> {
    acts::close(&desk, &name, &why.text(), &actor).await?;
    standing(&desk, name).await
}

/// Open a queue that is closed.
#[utoipa::path(post, path = "/api/v1/queues/{queue}/open", tag = "queues",
    params(("queue" = String, Path, description = "Its name")),
    responses((status = 200, description = "It takes new jobs", body = QueueStops)))]
pub(super) async fn open(
    State(desk): State<Desk>,
    At(name): At<String>,
    actor: Actor,
) -> Result<Json<QueueStops>, Refused> {
    acts::open(&desk, &name, &actor).await?;
    standing(&desk, name).await
}

async fn standing(desk: &Desk, name: String) -> Result<Json<QueueStops>, Refused> {
    let queue = desk.site.queue(&name);
    let (paused, closed) = (queue.paused().await?.map(Stop::from), queue.door().await?.map(Stop::from));
    Ok(Json(QueueStops { name, paused, closed }))
}
