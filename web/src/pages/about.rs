//! What runs here, and with what it is connected.

use axum::Extension;
use axum::extract::State;
use axum::routing::get;
use brasa_shared::db;
use brasa_shared::finding::{Level, Section};
use maud::{Markup, html};

use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{Route, VIEWER};
use crate::view::examined::{Examined, examined};
use crate::view::layout::Again;
use crate::view::looks::Look;
use crate::view::{format, layout};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/about", VIEWER, get(show))]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let site = &desk.site;
    let info: String = site.store.run("be asked what it is", redis::cmd("INFO").arg("default")).await?;
    let look = examined(&desk).await;
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
        h2 { "How the servers are" }
        @match &look {
            None => { p { "They are being looked at; this page is drawn again in a moment." } }
            Some(look) => (servers(&desk, look))
        }
        h2 { "Kinds of job" }
        div.wide { table {
            thead { tr { th { "Kind" } th { "Queue" } th { "What it does" } } }
            tbody { @for kind in site.catalog.kinds() { tr { td { code { (kind.name) } } td { (kind.policy.queue) } td.text { (layout::marked(kind.about)) } } } }
        } }
    };
    let again = look.as_ref().map_or(Again::Soon, |look| look.again(&desk));
    Ok(layout::page("About", "/about", &who, again, &body))
}

/// What is found at the servers, with what to do about it; what is as it should be stands behind that.
fn servers(desk: &Desk, look: &Look<Examined>) -> Markup {
    let ago = format::ago(look.at_ms, desk.site.clock.now());
    html! {
        @if look.is_old(desk) {
            p.state.warn { "This is what was found " (ago) ". They are being looked at again; this page is drawn again in a moment." }
        }
        div.figures {
            @for (name, level) in [("Problems", Level::Problem), ("Warnings", Level::Warning), ("Notes", Level::Note), ("Fine", Level::Ok)] {
                (layout::figure(name, &look.seen.count(level).to_string(), ""))
            }
        }
        div.cards.twos { @for section in &look.seen.sections { (server(section)) } }
        p.dim { "Looked at " (ago) ". The same in a terminal: " code { "brasa doctor" } }
    }
}

fn server(section: &Section) -> Markup {
    let (fine, rest): (Vec<_>, Vec<_>) =
        section.findings.iter().partition(|finding| finding.level == Level::Ok);
    html! {
        section.card #(format!("server-{}", section.server)) {
            h2 { (section.name()) }
            p.dim { (section.address) }
            @for finding in &rest {
                p.state { span.(class(finding.level)) { (finding.level.word()) } " · " (finding.check) ": " (layout::marked(&finding.found)) }
                @if !finding.why.is_empty() { p.dim { (layout::marked(&finding.why)) } }
                @if !finding.help.is_empty() { p.help { (layout::marked(&finding.help)) } }
            }
            @if !fine.is_empty() {
                details #(format!("fine-{}", section.server)) open[rest.is_empty()] {
                    summary { (fine.len()) " fine" }
                    dl.facts { @for finding in &fine { dt { (finding.check) } dd { (layout::marked(&finding.found)) } } }
                }
            }
        }
    }
}

/// How a finding stands out.
fn class(level: Level) -> &'static str {
    match level {
        Level::Problem => "bad",
        Level::Warning => "warn",
        Level::Note | Level::Ok => "dim",
    }
}
