//! What happened lately: what was done and how long it took, and how machines were.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use brasa_shared::minutes::Span;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{Route, VIEWER};
use crate::view::lately::{Lately, look};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/overview", VIEWER, get(show))]
}

/// How far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Back {
    /// An hour, minute by minute.
    #[default]
    Hour,
    /// A day, by quarters of an hour.
    Day,
}

/// What of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// How far back `work` goes: `hour`, minute by minute, or `day`, by quarters of an hour; an hour where nothing is
    /// said.
    #[serde(default)]
    #[param(inline)]
    span: Back,
}

/// What happened lately. Times are off by a tenth at most.
#[utoipa::path(get, path = "/api/v1/overview", tag = "overview", params(Asked),
    responses((status = 200, description = "What happened", body = Lately)))]
pub(super) async fn show(State(desk): State<Desk>, uri: Uri) -> Result<Json<Lately>, Refused> {
    let asked: Asked = query(&uri)?;
    let span = match asked.span {
        Back::Hour => Span::Hour,
        Back::Day => Span::Day,
    };
    look(&desk, span).await.map(Json)
}
