//! Enqueuing: one job, or many at once.

mod bulk;
mod may;
mod new_job;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json};
use brasa_shared::queue::Enqueued as Answer;
use serde::Serialize;
use utoipa::ToSchema;

use super::KNOWN;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Strict;
use crate::routes::Route;
use crate::view::format::segment;

pub(super) use bulk::*;
pub(super) use may::may_enqueue;
use new_job::{NewJob, id_of, trace_of};

use may::Clerk;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/api/v1/jobs", KNOWN, post(one)), Route::post("/api/v1/jobs/bulk", KNOWN, post(many))]
}

/// What became of a job that was to be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    /// It is new.
    New,
    /// Its id is known already; nothing was changed.
    Known,
    /// Another open job has its unique key; nothing was enqueued.
    Held,
    /// Another job that had not started has its unique key, and was replaced or put off.
    Merged,
}

/// A job that was enqueued, or that stands for it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Enqueued {
    /// The id of the job, or of the one that stands for it.
    id: String,
    /// Its queue.
    queue: String,
    /// What became of it.
    state: Fate,
    /// Whether its id was known already.
    known: bool,
}

impl Enqueued {
    fn of(id: &str, queue: &str, answer: Answer) -> Self {
        let (state, id) = match answer {
            Answer::New => (Fate::New, id.to_owned()),
            Answer::Known => (Fate::Known, id.to_owned()),
            Answer::Held { by } => (Fate::Held, by),
            Answer::Merged { into } => (Fate::Merged, into),
        };
        Self { id, queue: queue.to_owned(), state, known: state == Fate::Known }
    }
}

/// Enqueue a job. With an id, or an `Idempotency-Key`, it may be sent again without harm.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs", request_body = NewJob,
    params(("Idempotency-Key" = Option<String>, Header, description = "The id of the job, where the body gives none"),
        ("traceparent" = Option<String>, Header,
            description = "Where in a trace it is enqueued, where the body says nothing")),
    responses((status = 201, description = "It is new", body = Enqueued,
            headers(("Location" = String, description = "Where to look at it"))),
        (status = 200, description = "There is such a job already, or one with its unique key", body = Enqueued)))]
pub(super) async fn one(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    headers: HeaderMap,
    Strict(job): Strict<NewJob>,
) -> Result<Response, Refused> {
    let job = job.named(id_of(&headers)?)?.at(trace_of(&headers));
    let (queue, job) = Clerk::new(&desk, &who).look(job).await?;
    desk.site.name_queue(queue.name()).await?;
    let answer = queue.enqueue(&job).await?;
    let told = Enqueued::of(&job.id, queue.name(), answer);
    if told.state != Fate::New {
        return Ok(Json(told).into_response());
    }
    let place = format!("/api/v1/jobs/{}/{}", segment(&told.queue), segment(&told.id));
    let mut response = (StatusCode::CREATED, Json(told)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}
