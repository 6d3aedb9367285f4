//! Who did what.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::audit::{self, Record};
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{Route, VIEWER};

/// How many rows are given: unless it is said otherwise, and at most.
const ROWS: (u32, u32) = (100, 1_000);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/audit", VIEWER, get(list))]
}

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// Those before this number; the latest where nothing is said.
    before: Option<i64>,
    /// How many at most; 100 where nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Rows of the record of acts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Records {
    /// The rows, the latest first.
    records: Vec<Record>,
}

/// List who did what through the dashboard and the API, the latest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Place),
    responses((status = 200, description = "The rows", body = Records)))]
pub(super) async fn list(State(desk): State<Desk>, uri: Uri) -> Result<Json<Records>, Refused> {
    let Place { before, limit } = query(&uri)?;
    let limit = limit.unwrap_or(ROWS.0);
    if limit == 0 || limit > ROWS.1 {
        return Err(Refused::bad("`limit` is out of range", format!("ask for 1 to {} rows", ROWS.1)));
    }
    let Some(pool) = &desk.pool else {
        let help = "set DATABASE_URL; until then acts are logged, and nothing more";
        return Err(Refused::away("acts are kept in Postgres, and no address of one was given", help));
    };
    Ok(Json(Records { records: audit::list(pool, before, limit).await? }))
}
