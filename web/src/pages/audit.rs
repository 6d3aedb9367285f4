//! The audit log: who did what, the latest first.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

use crate::audit::list;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{Route, VIEWER};
use crate::view::layout;
use crate::view::layout::Again;

/// How many rows a page shows.
const SHOWN: u32 = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/audit", VIEWER, get(show))]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    before: Option<i64>,
}

async fn show(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    uri: Uri,
) -> Result<Markup, Refused> {
    let Place { before } = query(&uri)?;
    let Some(pool) = &desk.pool else {
        let body = layout::nothing(
            "Acts are kept in Postgres, and no address of one was given.",
            "They are logged: look for `somebody acts`.",
        );
        return Ok(layout::page("Audit log", "/audit", &who, Again::Never, &body));
    };
    let rows = list(pool, before, SHOWN).await?;
    let body = html! {
        @if rows.is_empty() { (layout::nothing("Nobody has done anything yet.", "What is done on these pages and through the API is written here first.")) }
        @else {
            div.wide { table {
                thead { tr { th.n { "No." } th { "When" } th { "Who" } th { "What" } th { "To what" } th { "Before, and why" } th { "Request" } } }
                tbody {
                    @for row in &rows {
                        tr {
                            td.n { (row.seq) } td { (row.at) } td { (row.actor) " · " (row.role) } td { (row.action) }
                            td.text { (row.target) } td.text { code { (row.detail) } } td { code { (row.request) } }
                        }
                    }
                }
            } }
            @if let Some(last) = rows.last().filter(|_| rows.len() == SHOWN as usize) {
                p { a href=(format!("/audit?before={}", last.seq)) { "Earlier" } }
            }
        }
    };
    Ok(layout::page("Audit log", "/audit", &who, Again::Never, &body))
}
