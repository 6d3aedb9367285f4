//! The cache: making values invalid, and loading them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use brasa_jobs::cache::Invalidation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::acts::cache as acts;
use crate::acts::{Actor, Started};
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Strict;
use crate::routes::{OPERATOR, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/cache/invalidate", OPERATOR, post(invalidate)),
        Route::post("/api/v1/cache/warm", OPERATOR, post(warm)),
    ]
}

/// What is to be made invalid; at least one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invalidate {
    /// The value at this key.
    #[schema(min_length = 1)]
    key: Option<String>,
    /// All values with this tag.
    #[schema(min_length = 1)]
    tag: Option<String>,
    /// All values of this warmer.
    #[schema(min_length = 1)]
    warmer: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Gone {
    /// How many of the values that were named by key were there. Those of a tag or a warmer are not counted.
    gone: u64,
}

/// Make values invalid: they go, and what was read before cannot come back.
#[utoipa::path(post, path = "/api/v1/cache/invalidate", tag = "cache", request_body = Invalidate,
    responses((status = 200, description = "They are invalid", body = Gone)))]
pub(super) async fn invalidate(
    State(desk): State<Desk>,
    actor: Actor,
    Strict(Invalidate { key, tag, warmer }): Strict<Invalidate>,
) -> Result<Json<Gone>, Refused> {
    let named = [&key, &tag, &warmer].into_iter().flatten();
    if named.clone().count() == 0 || named.into_iter().any(String::is_empty) {
        return Err(Refused::bad("nothing is named", "name a `key`, a `tag` or a `warmer`"));
    }
    let one = |name: Option<String>| name.into_iter().collect();
    let what = Invalidation { keys: one(key), tags: one(tag), warmers: one(warmer) };
    let done = acts::invalidate(&desk, &what, &actor).await?;
    Ok(Json(Gone { gone: done.gone }))
}

/// What is to be loaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WarmUp {
    /// The warmer.
    #[schema(min_length = 1)]
    warmer: String,
    /// Only values with these texts as parameters.
    #[serde(default)]
    only: BTreeMap<String, String>,
}

/// The job that loads them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Warming {
    /// Its id.
    id: String,
    /// Its queue.
    queue: String,
}

/// Enqueue a job that loads the values of a warmer.
#[utoipa::path(post, path = "/api/v1/cache/warm", tag = "cache", request_body = WarmUp,
    responses((status = 201, description = "The job", body = Warming),
        (status = 404, description = "There is no such warmer", body = super::parts::Problem)))]
pub(super) async fn warm(
    State(desk): State<Desk>,
    actor: Actor,
    Strict(WarmUp { warmer, only }): Strict<WarmUp>,
) -> Result<(StatusCode, Json<Warming>), Refused> {
    let Started { queue, id } = acts::warm(&desk, &warmer, &only, &actor).await?;
    Ok((StatusCode::CREATED, Json(Warming { id, queue })))
}
