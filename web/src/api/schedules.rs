//! Schedules: when they fire next, and running one now.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use brasa_shared::config;
use brasa_shared::queue::TickVerdict;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::At;
use crate::acts::Actor;
use crate::acts::schedules as acts;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{OPERATOR, Route, VIEWER};

/// How many ticks ahead are told.
const AHEAD: usize = 3;
/// How many verdicts of a queue are looked through.
const LOG_MAX: usize = 1_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/schedules", VIEWER, get(list)),
        Route::post("/api/v1/schedules/{name}/run", OPERATOR, post(run)),
    ]
}

/// What became of a tick.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tick {
    /// For when it was, ms since 1970.
    at_ms: i64,
    /// `fired`, `overlap`, `late`, ...
    verdict: String,
    /// The job; empty where there is none.
    job: String,
}

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Schedule {
    /// Its name.
    name: String,
    /// The kind of its jobs.
    kind: String,
    /// When it fires: a crontab, or `every` and a time span.
    when: String,
    /// The zone in which that is meant.
    zone: String,
    /// Whether the configuration says that it does not fire.
    paused: bool,
    /// When it fires next, ms since 1970.
    next_ms: Vec<i64>,
    /// What became of its last tick.
    last: Option<Tick>,
}

/// All schedules.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Schedules {
    /// Those of the configuration.
    schedules: Vec<Schedule>,
}

/// A job that was made now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fired {
    /// Its id.
    id: String,
}

/// List schedules.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules",
    responses((status = 200, description = "The schedules", body = Schedules)))]
pub(super) async fn list(State(desk): State<Desk>) -> Result<Json<Schedules>, Refused> {
    let mut last: BTreeMap<String, TickVerdict> = BTreeMap::new();
    for queue in desk.site.queues().into_values() {
        for verdict in queue.tick_log(LOG_MAX).await? {
            let known = last.entry(verdict.schedule.clone()).or_insert_with(|| verdict.clone());
            if verdict.instant > known.instant {
                *known = verdict;
            }
        }
    }
    let now = desk.site.clock.now();
    let all = desk.site.config.schedules.iter();
    let schedules = all.map(|(name, schedule)| told(name, schedule, last.remove(name), now)).collect();
    Ok(Json(Schedules { schedules }))
}

fn told(name: &str, schedule: &config::Schedule, last: Option<TickVerdict>, now: Timestamp) -> Schedule {
    let ahead = acts::ticks(schedule, now, AHEAD);
    Schedule {
        name: name.to_owned(),
        kind: schedule.job.clone(),
        when: acts::spell(&schedule.when),
        zone: schedule.zone.iana_name().unwrap_or("UTC").to_owned(),
        paused: schedule.paused,
        next_ms: ahead.iter().map(|at| at.as_millisecond()).collect(),
        last: last.map(|tick| Tick {
            at_ms: tick.instant.as_millisecond(),
            verdict: tick.verdict,
            job: tick.job,
        }),
    }
}

/// Enqueue the job of a schedule now, beside its ticks.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/run", tag = "schedules",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 201, description = "The job", body = Fired)))]
pub(super) async fn run(
    State(desk): State<Desk>,
    At(name): At<String>,
    actor: Actor,
) -> Result<(axum::http::StatusCode, Json<Fired>), Refused> {
    let id = acts::run(&desk, &name, &actor).await?;
    Ok((axum::http::StatusCode::CREATED, Json(Fired { id })))
}
