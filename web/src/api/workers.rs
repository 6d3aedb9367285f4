//! Workers that live.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use brasa_shared::queue::WorkerInfo;
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
    /// How much memory its process holds, in bytes; none where it has not said so.
    memory_bytes: Option<u64>,
    /// Which share of the machine's processors its process uses, from 0 to 1; none where it has not said so.
    cpu: Option<f64>,
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
    let fleet = desk.site.fleet();
    let vitals = fleet.minutes().vitals_now().await?;
    let told = |info: &WorkerInfo| vitals.iter().find(|told| told.is_of(&info.host, info.pid));
    let workers = fleet.live_workers().await?.into_iter().map(|info| Worker {
        memory_bytes: told(&info).and_then(|told| told.own_memory),
        cpu: told(&info).and_then(|told| told.own_cpu),
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
