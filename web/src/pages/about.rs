//! What runs here, and with what it is connected.

use axum::Extension;
use axum::extract::State;
use axum::routing::get;
use brasa_shared::db;
use maud::{Markup, html};

use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{Route, VIEWER};
use crate::view::layout;
use crate::view::layout::Again;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/about", VIEWER, get(show))]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let site = &desk.site;
    let info: String = site.store.run("be asked what it is", redis::cmd("INFO").arg("default")).await?;
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("?");
    let body = html! {
        dl.facts {
            dt { "Brasa" } dd { (env!("CARGO_PKG_VERSION")) }
            dt { "Redis" } dd { (field("redis_version")) " at " (site.store.address()) ", " (field("used_memory_human")) " used, prefix " code { (site.config.redis.prefix) } }
            dt { "Postgres" } dd { @match &desk.pool { Some(pool) => (db::address(pool)), None => "no address was given" } }
            dt { "You" } dd { (who.name) ", " (who.role.word()) }
            dt { "API" } dd { a href="/api/v1/openapi.json" { "/api/v1/openapi.json" } }
        }
        p.help { "What is wrong with the servers, why it matters and what to do: " code { "brasa doctor" } }
        h2 { "Kinds of job" }
        div.wide { table {
            thead { tr { th { "Kind" } th { "Queue" } th { "What it does" } } }
            tbody { @for kind in site.catalog.kinds() { tr { td { code { (kind.name) } } td { (kind.policy.queue) } td.text { (kind.about) } } } }
        } }
    };
    Ok(layout::page("About", "/about", &who, Again::Never, &body))
}
