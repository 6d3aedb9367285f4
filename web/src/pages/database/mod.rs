//! The database: what care would do now, what it did, and what a database suffers from.

mod indexes;
mod plan;
pub(super) mod sessions;
mod statements;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_jobs::database::capability::Standing;
use maud::{Markup, html};
use serde_json::json;

use super::act::Actor;
use super::jobs::page_of;
use crate::acts::Start;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{ADMIN, Route, VIEWER};
use crate::view::database::{Seen, seen};
use crate::view::layout::Again;
use crate::view::{format, layout};

/// What can be run now: its name in addresses, the act, and the kind of job.
const RUNS: [(&str, &str); 3] =
    [("analyze", "db.analyze"), ("vacuum", "db.vacuum"), ("reindex", "db.reindex")];

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/database", VIEWER, get(show)), Route::post("/database/run/{what}", ADMIN, post(run))]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let Some(pool) = &desk.pool else {
        return Ok(layout::page("Database", "/database", &who, Again::Never, &layout::no_postgres()));
    };
    let Some(look) = seen(&desk, pool).await else {
        let body = html! { p { "The database is being looked at; this page is drawn again in a moment." } };
        return Ok(layout::page("Database", "/database", &who, Again::Soon, &body));
    };
    let (seen, ago) = (&look.seen, format::ago(look.at_ms, desk.site.clock.now()));
    let body = html! {
        @if look.is_old(&desk) {
            p.state.warn { "This is what was seen " (ago) ". It is being looked at again; this page is drawn again in a moment." }
        }
        div.figures { (figures(&desk, seen)) }
        (plan::card(&desk, seen, &who))
        (indexes::wasted(&desk, seen))
        (indexes::unused(seen))
        (statements::list(&desk, seen))
        (sessions::list(&desk, pool, seen))
        (sessions::tables(seen))
        (plan::history(&desk, seen))
        (lacking(seen))
        p.dim { "Looked at " (ago) "; each part for 1.5 s at most. Open the page again to look again." }
    };
    Ok(layout::page("Database", "/database", &who, look.again(&desk), &body))
}

fn figures(desk: &Desk, seen: &Seen) -> Markup {
    let unknown = || ("?".to_owned(), "see below".to_owned());
    let connections = seen.sessions.as_ref().map_or_else(
        |_| unknown(),
        |found| {
            let activity = &found.activity;
            (format!("{} of {}", activity.used, activity.max), "of all applications".to_owned())
        },
    );
    let oldest = seen.sessions.as_ref().map_or_else(|_| unknown(), sessions::oldest);
    let dead = seen.tables.as_ref().map_or_else(
        |_| unknown(),
        |tables| {
            let sum: i64 = tables.iter().map(|table| table.dead).sum();
            (format::count(sum.unsigned_abs()), "gone, and taking up room".to_owned())
        },
    );
    let waste = seen.indexes.as_ref().map_or_else(|_| unknown(), |all| indexes::waste(desk, all));
    html! {
        @for (name, (value, note)) in
            [("Connections", connections), ("Oldest transaction", oldest), ("Dead rows", dead), ("Indexes", waste)]
        {
            (layout::figure(name, &value, &note))
        }
    }
}

/// What care cannot do here, and what would change that.
fn lacking(seen: &Seen) -> Markup {
    html! {
        @match &seen.missing {
            Err(missing) => { h2 { "What Brasa may not do here" } (missing) }
            Ok(all) if all.is_empty() => {}
            Ok(all) => {
                h2 { "What Brasa may not do here" }
                dl.facts.card {
                    @for one in all {
                        dt { (one.what) }
                        dd {
                            @match &one.standing {
                                Standing::Missing(what) => { span.warn { "no: " } code { (what) } }
                                Standing::Partly(what) => { "in part: " (what) }
                                Standing::Unsafe(why) => { span.bad { "not done here: " } (why) }
                                Standing::Well => { "yes" }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn run(State(desk): State<Desk>, Path(what): Path<String>, actor: Actor) -> Result<Redirect, Refused> {
    let Some((_, kind)) = RUNS.into_iter().find(|(known, _)| *known == what) else {
        return Err(Refused::absent(
            format!("`{}` is nothing that can be run", format::short(&what, 80)),
            "",
        ));
    };
    let start = Start { action: kind, target: "database", kind, args: json!({}) };
    Ok(page_of(&start.by(&actor, &desk).await?))
}
