//! The dead letter: what jobs died of, the largest group first; one of a group as a canary for the others.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_shared::config::Role;
use brasa_shared::queue::{Ending, Grave, Queue};
use maud::{Markup, html};
use serde_json::json;

use super::act::Actor;
use super::jobs::path_of;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{ADMIN, OPERATOR, Route, VIEWER};
use crate::view::{format, graves, layout};

/// How many groups a page shows.
const SHOWN: usize = 100;
/// How many jobs are started or deleted in one step.
const STEP: usize = 1_000;
/// How far apart jobs of a group start again, so that what they died of is not met by all of them at once.
const APART: Duration = Duration::from_millis(10);
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
    let counted = graves::graves(&desk).await;
    let now = desk.site.clock.now();
    let body = html! {
        @match &counted {
            None => { p { "The dead are being counted; this page is drawn again in a moment." } }
            Some(counted) if counted.graves.is_empty() => {
                (layout::nothing("No job is dead.", "A job dies when its attempts are used up, or when its handler says that it never will."))
            }
            Some(counted) => {
                p.dim { (counted.graves.len()) " groups, counted " (format::ago(counted.at_ms, now)) }
                @for grave in counted.graves.iter().take(SHOWN) { (group(&desk, grave, &who)) }
                @if counted.graves.len() > SHOWN { p.dim { "and " (counted.graves.len() - SHOWN) " smaller groups: " code { "brasa dead groups" } } }
            }
        }
    };
    Ok(layout::page("Dead letter", "/dead", &who, true, &body))
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

/// The queues that have this group, and its jobs there.
async fn members(desk: &Desk, signature: &str) -> Result<Vec<(Queue, Vec<String>)>, Refused> {
    let mut found = Vec::new();
    for queue in desk.site.all_queues().await?.into_values() {
        let ids = queue.buried_in(signature).await?;
        if !ids.is_empty() {
            found.push((queue, ids));
        }
    }
    if found.is_empty() {
        return Err(Refused::absent(
            "no dead jobs are in this group",
            "they may have been started again meanwhile",
        ));
    }
    Ok(found)
}

fn number(members: &[(Queue, Vec<String>)]) -> usize {
    members.iter().map(|(_, ids)| ids.len()).sum()
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
    graves::forget(&desk);
    // It says for itself what became of it, and the others are left as they are.
    if !is_done {
        return Ok(Redirect::to(&path_of(queue.name(), &id)));
    }
    revive(&members).await?;
    Ok(Redirect::to("/dead"))
}

async fn retry(
    State(desk): State<Desk>,
    Path(signature): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let members = members(&desk, &signature).await?;
    actor.note(&desk, "dead.retry", &signature, json!({ "jobs": number(&members) })).await?;
    revive(&members).await?;
    graves::forget(&desk);
    Ok(Redirect::to("/dead"))
}

async fn revive(members: &[(Queue, Vec<String>)]) -> Result<(), Refused> {
    for (queue, ids) in members {
        for ids in ids.chunks(STEP) {
            queue.revive_every(ids, APART).await?;
        }
    }
    Ok(())
}

async fn delete(
    State(desk): State<Desk>,
    Path(signature): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let members = members(&desk, &signature).await?;
    actor.note(&desk, "dead.delete", &signature, json!({ "jobs": number(&members) })).await?;
    for (queue, ids) in &members {
        for ids in ids.chunks(STEP) {
            queue.forget(ids).await?;
        }
    }
    graves::forget(&desk);
    Ok(Redirect::to("/dead"))
}
