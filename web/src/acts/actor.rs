//! Who acts, and how that is written down before it takes effect.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::Redirect;
use brasa_shared::telemetry::logs::chain;
use serde_json::Value;

use crate::audit::Act;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::RequestId;

/// Who acts, and from which page.
pub(crate) struct Actor {
    pub(crate) who: Identity,
    request: String,
    from: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        // The door lets nobody through whom it does not know, but for what is for everybody.
        let who = parts.extensions.get::<Identity>().cloned();
        let who = who.ok_or_else(|| Refused::new(StatusCode::UNAUTHORIZED, "who is asking?", "log in"))?;
        let request = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let from =
            parts.headers.get(header::REFERER).and_then(|from| from.to_str().ok()?.parse::<Uri>().ok());
        let from = from.and_then(|from| Some(from.path_and_query()?.as_str().to_owned()));
        Ok(Self { who, request, from })
    }
}

impl Actor {
    /// Writes down what is about to be done; nothing may be done where that fails.
    pub(crate) async fn note(
        &self,
        desk: &Desk,
        action: &'static str,
        target: &str,
        detail: Value,
    ) -> Result<(), Refused> {
        let act = Act { who: &self.who, action, target, detail, request: &self.request };
        act.write(desk.pool.as_ref()).await.map_err(|error| {
            tracing::error!(error = %chain(&error), "an act could not be written down, and is not done");
            let help =
                "acts are kept in Postgres: see `brasa doctor`, and run `brasa migrate` after an upgrade";
            Refused::away("this could not be written down, so it was not done", help)
        })
    }

    /// Back to the page from which it was done, or to another.
    pub(crate) fn back(&self, otherwise: &str) -> Redirect {
        let from = self.from.as_deref().filter(|from| from.starts_with('/') && !from.starts_with("//"));
        Redirect::to(from.unwrap_or(otherwise))
    }
}

/// A reason that people may give.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Reason {
    #[serde(default)]
    pub(crate) reason: String,
}

impl Reason {
    /// The reason, of a bearable length.
    pub(crate) fn text(&self) -> String {
        self.reason.trim().chars().take(200).collect()
    }
}
