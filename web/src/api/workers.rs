//! Workers that live.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;

use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{Route, VIEWER};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/workers", VIEWER, get(list))]
}

/// A worker, as it says of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Worker {
    /// Its name.
    name: String,
    /// The machine.
    host: String,
    /// The process.
    pid: u32,
    /// The build.
    version: String,
    /// When it began, ms since 1970.
    since_ms: i64,
    /// The queues that it serves.
    queues: Vec<String>,
    /// The kinds that it can run, with the version of their arguments from the second on.
    classes: Vec<String>,
    /// How many jobs it runs at once.
    concurrency: usize,
}

/// The workers that live.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Workers {
    /// Those that were seen within the last 20 seconds.
    workers: Vec<Worker>,
}

/// List the workers that live.
#[utoipa::path(get, path = "/api/v1/workers", tag = "workers",
    responses((status = 200, description = "The workers", body = Workers)))]
pub(super) async fn list(State(desk): State<Desk>) -> Result<Json<Workers>, Refused> {
    let seen = desk.site.fleet().live_workers().await?.into_iter();
    let workers = seen.map(|info| Worker {
        name: info.worker,
        host: info.host,
        pid: info.pid,
        version: info.version,
        since_ms: info.since,
        queues: info.queues,
        classes: info.classes,
        concurrency: info.concurrency,
    });
    Ok(Json(Workers { workers: workers.collect() }))
}
