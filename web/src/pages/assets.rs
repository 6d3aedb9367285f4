//! What pages are dressed with: it is in the program, and nothing is loaded from elsewhere.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::routes::{Need, Route};

const STYLE: &str = include_str!("../../assets/brasa.css");
const SCRIPT: &str = include_str!("../../assets/brasa.js");
const MARK: &str = include_str!("../../assets/brasa.svg");

/// A browser asks for them again after an hour, or with the next release.
const CACHE: &str = "public, max-age=3600";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/assets/brasa.css", Need::Nobody, get(async || told("text/css; charset=utf-8", STYLE))),
        Route::get(
            "/assets/brasa.js",
            Need::Nobody,
            get(async || told("text/javascript; charset=utf-8", SCRIPT)),
        ),
        Route::get("/assets/brasa.svg", Need::Nobody, get(async || told("image/svg+xml", MARK))),
        Route::get("/live", Need::Nobody, get(async || told("text/plain; charset=utf-8", "live\n"))),
    ]
}

fn told(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHE)], text).into_response()
}
