//! Schedules: when they fire next, running one now, pausing one and letting it go on.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use brasa_shared::config;
use brasa_shared::queue::{SchedulePause, TickVerdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{At, Maybe, Span};
use crate::acts::schedules as acts;
use crate::acts::{Actor, Reason};
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
        Route::post("/api/v1/schedules/{name}/pause", OPERATOR, post(pause)),
        Route::post("/api/v1/schedules/{name}/resume", OPERATOR, post(resume)),
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
    /// Who kept it from firing, and why; empty where nobody did.
    why: String,
}

/// Who paused a schedule while everything runs, and for how long.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pause {
    /// Who.
    by: String,
    /// Why; may be empty.
    reason: String,
    /// Since when, ms since 1970.
    at_ms: i64,
    /// From when on it fires again by itself, ms since 1970; none where somebody has to resume it.
    until_ms: Option<i64>,
}

impl From<SchedulePause> for Pause {
    fn from(SchedulePause { by, reason, at, until }: SchedulePause) -> Self {
        Self { by, reason, at_ms: at, until_ms: until }
    }
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
    /// Who paused it, if anybody did: its ticks stay out, and are not made up for.
    pause: Option<Pause>,
    /// When it fires next, ms since 1970; nothing while it is paused until somebody resumes it.
    next_ms: Vec<i64>,
    /// What became of its last tick.
    last: Option<Tick>,
}

/// All schedules.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Schedules {
    /// Those of the configuration.
    schedules: Vec<Schedule>,
    /// Names that somebody has paused and that the configuration of this process has not; `resume` forgets them.
    forgotten: Vec<Stand>,
}

/// Whether a schedule is paused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stand {
    /// Its name.
    name: String,
    /// Who paused it, if anybody did.
    pause: Option<Pause>,
}

/// For how long a schedule is paused, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToPause {
    /// In words; of long ones the first 200 characters are kept.
    #[serde(default)]
    reason: String,
    /// Let it fire again by itself after this long.
    r#for: Option<Span>,
    /// Let it fire again by itself from this instant on.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
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
    let mut pauses = desk.site.fleet().paused_schedules().await?;
    let all = desk.site.config.schedules.iter();
    let told = |(name, schedule): (&String, &config::Schedule)| {
        told(name, schedule, pauses.remove(name), last.remove(name), now)
    };
    let schedules = all.map(told).collect();
    let forgotten =
        pauses.into_iter().map(|(name, pause)| Stand { name, pause: Some(pause.into()) }).collect();
    Ok(Json(Schedules { schedules, forgotten }))
}

fn told(
    name: &str,
    schedule: &config::Schedule,
    pause: Option<SchedulePause>,
    last: Option<TickVerdict>,
    now: Timestamp,
) -> Schedule {
    let ahead = acts::ticks(schedule, pause.as_ref(), now, AHEAD);
    Schedule {
        name: name.to_owned(),
        kind: schedule.job.clone(),
        when: acts::spell(&schedule.when),
        zone: schedule.zone.iana_name().unwrap_or("UTC").to_owned(),
        paused: schedule.paused,
        pause: pause.map(Pause::from),
        next_ms: ahead.iter().map(|at| at.as_millisecond()).collect(),
        last: last.map(|tick| Tick {
            at_ms: tick.instant.as_millisecond(),
            verdict: tick.verdict,
            job: tick.job,
            why: tick.why,
        }),
    }
}

/// Enqueue the job of a schedule now, beside its ticks; of one that is paused, too.
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

/// Pause a schedule: it does not fire, and what it leaves out is not made up for.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/pause", tag = "schedules", request_body = Option<ToPause>,
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is paused", body = Stand)))]
pub(super) async fn pause(
    State(desk): State<Desk>,
    At(name): At<String>,
    actor: Actor,
    Maybe(asked): Maybe<ToPause>,
) -> Result<Json<Stand>, Refused> {
    let reason = Reason { reason: asked.reason }.text();
    let pausing = acts::Pausing { reason, lasting: asked.r#for.map(|span| span.0), until: asked.until };
    let pause = acts::pause(&desk, &name, pausing, &actor).await?;
    Ok(Json(Stand { name, pause: Some(pause.into()) }))
}

/// Resume a schedule that is paused, or forget one that the configuration has not any more.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/resume", tag = "schedules",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "It fires again", body = Stand)))]
pub(super) async fn resume(
    State(desk): State<Desk>,
    At(name): At<String>,
    actor: Actor,
) -> Result<Json<Stand>, Refused> {
    acts::resume(&desk, &name, &actor).await?;
    Ok(Json(Stand { name, pause: None }))
}
