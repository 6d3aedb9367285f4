//! What reviews of the database recommend.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::{get, post};
use brasa_jobs::database::review::store::Kept;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parts::{At, Maybe, Why};
use crate::acts::Actor;
use crate::acts::recommendations as acts;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{ADMIN, Route, VIEWER};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/recommendations", VIEWER, get(list)),
        Route::post("/api/v1/recommendations/{fingerprint}/dismiss", ADMIN, post(dismiss)),
        Route::post("/api/v1/recommendations/{fingerprint}/reopen", ADMIN, post(reopen)),
    ]
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those too that are done with or dismissed.
    all: Option<bool>,
}

/// A figure, with its name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Evidence {
    /// What it is.
    name: String,
    /// How much it is.
    value: String,
}

/// Who does not want to hear of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Dismissed {
    /// When they said so, in UTC.
    at: String,
    /// The role in the database.
    by: String,
    /// Why, and who.
    why: String,
}

/// What is recommended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recommendation {
    /// What tells it from others.
    fingerprint: String,
    /// The rule that it comes from.
    rule: String,
    /// What it is about.
    object: String,
    /// How bad it is: `critical`, `warning` or `info`.
    severity: String,
    /// How sure it is: `high`, `medium` or `low`.
    confidence: String,
    /// What is so.
    title: String,
    /// The figures that say so.
    evidence: Vec<Evidence>,
    /// What to run, where a statement mends it.
    statement: Option<String>,
    /// What brings back what was there before.
    undo: Option<String>,
    /// What makes it go away.
    clears: String,
    /// When it was first found, in UTC.
    first_seen: String,
    /// When it was found last, in UTC.
    last_seen: String,
    /// When it was no longer found, in UTC.
    cleared_at: Option<String>,
    /// Who does not want to hear of it.
    dismissed: Option<Dismissed>,
}

/// What is recommended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recommendations {
    /// The worst first.
    recommendations: Vec<Recommendation>,
}

/// What was said about a recommendation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Decided {
    /// Which.
    fingerprint: String,
    /// Whether nobody wants to hear of it.
    dismissed: bool,
}

impl From<Kept> for Recommendation {
    fn from(kept: Kept) -> Self {
        let told = kept.recommendation;
        let evidence = told.evidence.into_iter().map(|(name, value)| Evidence { name, value });
        Self {
            fingerprint: kept.fingerprint,
            rule: told.rule,
            object: told.object,
            severity: told.severity.word().to_owned(),
            confidence: told.confidence.word().to_owned(),
            title: told.title,
            evidence: evidence.collect(),
            statement: told.statement,
            undo: told.undo,
            clears: told.clears,
            first_seen: kept.first_seen,
            last_seen: kept.last_seen,
            cleared_at: kept.cleared_at,
            dismissed: kept.dismissed.map(|said| Dismissed { at: said.at, by: said.by, why: said.why }),
        }
    }
}

/// List what reviews of the database recommend, the worst first.
#[utoipa::path(get, path = "/api/v1/recommendations", tag = "recommendations", params(Which),
    responses((status = 200, description = "What is recommended", body = Recommendations)))]
pub(super) async fn list(State(desk): State<Desk>, uri: Uri) -> Result<Json<Recommendations>, Refused> {
    let Which { all } = query(&uri)?;
    let kept = acts::list(&desk, all.unwrap_or(false)).await?;
    Ok(Json(Recommendations { recommendations: kept.into_iter().map(Recommendation::from).collect() }))
}

/// Say that nobody wants to hear of a recommendation, and why: a reason is needed.
#[utoipa::path(post, path = "/api/v1/recommendations/{fingerprint}/dismiss", tag = "recommendations",
    params(("fingerprint" = String, Path, description = "Which")), request_body = Why,
    responses((status = 200, description = "It is not heard of again", body = Decided)))]
pub(super) async fn dismiss(
    State(desk): State<Desk>,
    At(fingerprint): At<String>,
    actor: Actor,
    Maybe(why): Maybe<Why>,
) -> Result<Json<Decided>, Refused> {
    acts::dismiss(&desk, &fingerprint, &why.text(), &actor).await?;
    Ok(Json(Decided { fingerprint, dismissed: true }))
}

/// Take that back.
#[utoipa::path(post, path = "/api/v1/recommendations/{fingerprint}/reopen", tag = "recommendations",
    params(("fingerprint" = String, Path, description = "Which")),
    responses((status = 200, description = "It is heard of again", body = Decided)))]
pub(super) async fn reopen(
    State(desk): State<Desk>,
    At(fingerprint): At<String>,
    actor: Actor,
) -> Result<Json<Decided>, Refused> {
    acts::reopen(&desk, &fingerprint, &actor).await?;
    Ok(Json(Decided { fingerprint, dismissed: false }))
}
