//! Aggregates: how far behind their sources they are, and whether they are what the sources say.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_jobs::aggregates::{Standing, shape_of, standings};
use brasa_shared::config::Role;
use brasa_shared::db::aggregates::State as Stage;
use maud::{Markup, html};
use serde_json::json;

use super::act::Actor;
use super::jobs::page_of;
use crate::acts::Start;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{OPERATOR, Route, VIEWER};
use crate::view::layout::Again;
use crate::view::part::{looking, ready, within};
use crate::view::{format, layout};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/aggregates", VIEWER, get(show)),
        Route::post("/aggregates/{name}/refresh", OPERATOR, post(refresh)),
        Route::post("/aggregates/{name}/check", OPERATOR, post(check)),
    ]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let configured = &desk.site.config.aggregates;
    let Some(pool) = &desk.pool else {
        return Ok(layout::page("Aggregates", "/aggregates", &who, Again::Never, &layout::no_postgres()));
    };
    ready(pool, 1).await;
    let found = within("brasa aggregates status", async {
        let mut transaction = looking(pool).await?;
        Ok(standings(&mut transaction, configured, None).await?)
    });
    let body = match found.await {
        // Without one in the configuration it does not matter that there are no tables for them.
        Err(_) if configured.is_empty() => nothing(),
        Err(missing) => html! { (missing) },
        Ok(all) if all.is_empty() => nothing(),
        Ok(all) => html! {
            div.cards { @for (name, versions) in &all { (card(&desk, name, versions, &who)) } }
        },
    };
    Ok(layout::page("Aggregates", "/aggregates", &who, Again::Live, &body))
}

fn nothing() -> Markup {
    layout::nothing(
        "No figures are kept.",
        "Write them into the configuration: [aggregates.NAME] with a source, a column of time and what is computed; \
         then run `brasa aggregates install`.",
    )
}

fn card(desk: &Desk, name: &str, versions: &[Standing], who: &Identity) -> Markup {
    let section = desk.site.config.aggregates.get(name);
    let is_live = versions.iter().any(|standing| standing.version.state == Stage::Live);
    let to = |verb: &str| format!("/aggregates/{}/{verb}", format::segment(name));
    html! {
        section.card #(format!("aggregate-{name}")) {
            h2 { (name) }
            @if let Some(section) = section {
                p.dim { "from " code { (section.definition.source) } ", looked at every " (format::lasting(section.every)) }
            } @else { p.state.warn { "Not in the configuration of this process." } }
            @if versions.is_empty() {
                p.state.warn { "Not installed." }
                p.help { "Install it: " code { "brasa aggregates install " (name) } }
            }
            @for standing in versions { (version(standing, versions.len() > 1)) }
            @if section.is_some() && who.may(Role::Operator) && !versions.is_empty() {
                div.acts {
                    (layout::button(&to("refresh"), "Refresh", None, true))
                    (layout::button(&to("check"), "Compare with its source", None, is_live))
                }
            }
        }
    }
}

/// A version of an aggregate. Where there are several, each says which it is.
fn version(standing: &Standing, is_one_of_many: bool) -> Markup {
    let Standing { version, waiting, lag, .. } = standing;
    let done = version.done;
    let ago = |span: Duration| format!("{} ago", format::lasting(span));
    html! {
        @if is_one_of_many { p { b { "Version " (version.version) } } }
        (state(standing))
        dl.counts {
            div { dt { "Rows waiting" } dd { (format::count(waiting.unsigned_abs())) } }
            div { dt { "Behind" } dd { @if *waiting == 0 { "-" } @else { (format::lasting(*lag)) } } }
            div { dt { "Last fold" } dd { (done.folded.map_or("never".into(), ago)) } }
            div { dt { "Rows folded" } dd { (format::count(done.rows.unsigned_abs())) } }
            div { dt { "Came too late" } dd { (format::count(done.late.unsigned_abs())) } }
        }
        dl.facts {
            dt { "Last comparison" }
            dd {
                @match done.checked {
                    None => { "never" }
                    Some(span) => {
                        span class=(if done.wrong > 0 { "bad" } else { "state-done" }) {
                            @if done.wrong > 0 { (format::count(done.wrong.unsigned_abs())) " of " (format::count(done.compared.unsigned_abs())) " groups are not what the source says" }
                            @else { "all " (format::count(done.compared.unsigned_abs())) " groups are what the source says" }
                        }
                        ", " (ago(span))
                    }
                }
            }
            @if version.state == Stage::Live && let Ok(shape) = shape_of(version) { dt { "Read it as" } dd { code { (shape.view()) } } }
        }
    }
}

fn state(standing: &Standing) -> Markup {
    let version = &standing.version;
    html! {
        @if let Some(why) = &version.paused { p.state.bad { "Waits for a person: " (format::short(why, 400)) } }
        @match version.state {
            Stage::Building if version.built_from == "infinity" => { p.state.warn { "Nothing from before it was installed has been built yet." } }
            Stage::Building => { p.state.warn { "Being built: everything since " (version.built_from) " is there." } }
            Stage::Live if standing.is_current => { p.state.state-done { "Live" } }
            Stage::Live => { p.state.warn { "Live, and the configuration says otherwise: install it." } }
            Stage::Old => { p.dim { "Another version took its place; it goes." } }
        }
    }
}

async fn refresh(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let args = json!({ "name": name });
    let start = Start { action: "aggregate.refresh", target: &name, kind: "aggregate.refresh", args };
    Ok(page_of(&start.by(&actor, &desk).await?))
}

async fn check(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let args = json!({ "name": name });
    let start = Start { action: "aggregate.check", target: &name, kind: "aggregate.check", args };
    Ok(page_of(&start.by(&actor, &desk).await?))
}
