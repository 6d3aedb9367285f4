//! The dead letter: what jobs died of, the largest group first; one of a group as a canary for the others.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_shared::config::Role;
use brasa_shared::queue::{Ending, Grave};
use brasa_shared::telemetry::logs::chain;
use maud::{Markup, html};
use serde_json::json;

use super::act::Actor;
use super::jobs::path_of;
use crate::acts::dead as acts;
use crate::acts::dead::{members, number, revive};
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{ADMIN, OPERATOR, Route, VIEWER};
use crate::view::graves::graves;
use crate::view::layout::Again;
use crate::view::{format, layout};

/// How many groups a page shows.
const SHOWN: usize = 100;
/// For how long the end of a canary is waited for.
const CANARY_MAX: Duration = Duration::from_secs(20);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/dead", VIEWER, get(show)),
        Route::post("/dead/{group}/canary", OPERATOR, post(canary)),
        Route::post("/dead/{group}/retry", OPERATOR, post(retry)),
        Route::post("/dead/{group}/delete", ADMIN, post(delete)),
    ]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let look = graves(&desk).await;
    let now = desk.site.clock.now();
    let body = html! {
        @match look.as_ref().map(|look| (&look.seen, look.at_ms)) {
            None => { p { "The dead are being counted; this page is drawn again in a moment." } }
            Some((Err(error), _)) => { p.state.warn { "The dead could not be counted: " (chain(error)) } }
            Some((Ok(graves), _)) if graves.is_empty() => {
                (layout::nothing("No job is dead.", "A job dies when its attempts are used up, or when its handler says that it never will."))
            }
            Some((Ok(graves), at_ms)) => {
                p.dim { (graves.len()) (if graves.len() == 1 { " group" } else { " groups" }) ", counted " (format::ago(at_ms, now)) }
                @for grave in graves.iter().take(SHOWN) { (group(&desk, grave, &who)) }
                @if graves.len() > SHOWN { p.dim { "and " (graves.len() - SHOWN) " smaller groups: " code { "brasa dead groups" } } }
            }
        }
    };
    let again = if look.is_some() { Again::Live } else { Again::Soon };
    Ok(layout::page("Dead letter", "/dead", &who, again, &body))
}

fn group(desk: &Desk, grave: &Grave, who: &Identity) -> Markup {
    let now = desk.site.clock.now();
    let to = |verb: &str| format!("/dead/{}/{verb}", format::segment(&grave.signature));
    html! {
        section.card #(format!("group-{}", grave.signature)) {
            h2 { (format::count(grave.count)) " × " (if grave.kind.is_empty() { "a job that cannot be read" } else { &grave.kind }) }
            p.message { (grave.message) }
            p.dim { "queue " (grave.queue) " · first " (format::ago(grave.first_ms, now)) " · last " (format::ago(grave.last_ms, now)) " · group " code { (grave.signature) } }
            p { "Such as " @for id in &grave.jobs { a href=(path_of(&grave.queue, id)) { code { (format::short(id, 30)) } } " " } }
            @if who.may(Role::Operator) {
                div.acts {
                    (layout::button(&to("canary"), "Try one, then the others", None, true))
                    (layout::button(&to("retry"), "Start all again", Some(&format!("Start {} jobs again?", grave.count)), true))
                    (layout::button(&to("delete"), "Delete all", Some(&format!("Delete {} jobs for good?", grave.count)), who.may(Role::Admin)))
                }
            }
        }
    }
}

async fn canary(
    State(desk): State<Desk>,
    Path(signature): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let mut members = members(&desk, &signature).await?;
    actor.note(&desk, "dead.canary", &signature, json!({ "jobs": number(&members) })).await?;
    let Some((queue, id)) = members.iter_mut().find_map(|(queue, ids)| Some((queue.clone(), ids.pop()?)))
    else {
        return Ok(Redirect::to("/dead"));
    };
    let lost = "it cannot be read, or another job has its unique key";
    if queue.revive(std::slice::from_ref(&id)).await? != [true] {
        return Err(Refused::new(
            axum::http::StatusCode::CONFLICT,
            format!("{id} could not be started again"),
            lost,
        ));
    }
    let view = queue.wait_for_end(&id, CANARY_MAX).await?;
    let is_done = view.and_then(|view| view.outcome).is_some_and(|outcome| outcome.ending == Ending::Done);
    desk.graves.forget();
    // It says for itself what became of it, and the others are left as they are.
    if !is_done {
        return Ok(Redirect::to(&path_of(queue.name(), &id)));
    }
    let begun = revive(&members).await;
    // Whoever has looked meanwhile has seen those that were still dead.
    desk.graves.forget();
    begun?;
    Ok(Redirect::to("/dead"))
}

async fn retry(
    State(desk): State<Desk>,
    Path(signature): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    acts::retry(&desk, &signature, &actor).await?;
    Ok(Redirect::to("/dead"))
}

async fn delete(
    State(desk): State<Desk>,
    Path(signature): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    acts::delete(&desk, &signature, &actor).await?;
    Ok(Redirect::to("/dead"))
}
