//! What every answer wears: a number, headers that browsers obey, and the form that was asked for.

use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use brasa_shared::telemetry::metrics;
use serde_json::json;

use crate::error::Refused;
use crate::view;

/// The number of a request, as answers, logs and the record of acts name it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// What browsers obey: nothing is loaded from elsewhere, no script stands in a page, nobody frames it.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Numbers a request, and dresses its answer.
pub(crate) async fn dress(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = format!("{:016x}", rand::random::<u64>());
    let is_api = request.uri().path().starts_with("/api/");
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Some(refused) = response.extensions_mut().remove::<Refused>() {
        response = spell(&refused, is_api, &id, response);
    } else if response.status().is_client_error() && response.headers().get(header::CONTENT_TYPE).is_none() {
        // What the router itself refuses: a path or a method that there is not.
        response = spell(&bare(response.status()), is_api, &id, response);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    let class = if is_api { "api" } else { "page" };
    metrics::web_requests_total(class, response.status().as_str()).increment(1);
    metrics::web_request_seconds(class).record(begun.elapsed());
    response
}

fn bare(status: StatusCode) -> Refused {
    match status {
        StatusCode::NOT_FOUND => Refused::absent(
            "there is nothing under this address",
            "the API says what there is at /api/v1/openapi.json",
        ),
        StatusCode::METHOD_NOT_ALLOWED => Refused::new(status, "this cannot be done there", ""),
        _ => Refused::new(status, status.canonical_reason().unwrap_or("that was refused"), ""),
    }
}

/// A refusal as a program or a person reads it.
fn spell(refused: &Refused, is_api: bool, id: &str, from: Response) -> Response {
    let Refused { status, message, help, retry_after } = refused;
    let mut response = if is_api {
        let value = json!({ "error": { "message": message, "help": help, "request": id } });
        (*status, Json(value)).into_response()
    } else {
        (*status, view::layout::refusal(*status, message, help, id)).into_response()
    };
    // Headers that came with it, such as who may call it otherwise, stay.
    let (parts, _) = from.into_parts();
    for (name, value) in &parts.headers {
        if !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    response.map(Body::new)
}
