//! Batched writes: how many rows wait, how fast they are written, and which could not be.

mod card;
mod dead;

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_jobs::writes::{Standing, standings, streams_of};
use brasa_shared::config::Write;
use brasa_shared::db::writes::{dead_counts, pause as pause_stream, progress, resume as resume_stream};
use maud::{Markup, html};
use serde_json::json;
use sqlx::PgPool;

use super::act::{Actor, Reason};
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Form;
use crate::routes::{ADMIN, OPERATOR, Route, VIEWER};
use crate::view::layout::Again;
use crate::view::part::{ready, within};
use crate::view::{format, layout};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/writes", VIEWER, get(show)),
        Route::post("/writes/{name}/pause", OPERATOR, post(pause)),
        Route::post("/writes/{name}/resume", OPERATOR, post(resume)),
        Route::post("/writes/{name}/replay", OPERATOR, post(dead::replay_all)),
        Route::post("/writes/dead/{id}/replay", OPERATOR, post(dead::replay)),
        Route::post("/writes/dead/{id}/delete", ADMIN, post(dead::delete)),
    ]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let config = &desk.site.config;
    let Some(pool) = &desk.pool else {
        return Ok(layout::page("Writes", "/writes", &who, Again::Never, &layout::no_postgres()));
    };
    ready(pool, 2).await;
    let found =
        within("brasa writes status", async { Ok(standings(config, &desk.site.store, pool, None).await?) });
    let counted = within("brasa writes dead", async { Ok(dead_counts(pool).await?) });
    let (found, counted) = tokio::join!(found, counted);
    let body = html! {
        @match &found {
            _ if config.writes.is_empty() => { (nothing()) }
            Err(missing) => { (missing) }
            Ok(all) => {
                div.cards {
                    @for (name, streams) in by_name(all) {
                        (card::card(&desk, name, &streams, counted.as_ref().ok().map(|counts| counts.get(name).copied().unwrap_or_default()), &who))
                    }
                }
            }
        }
        @match &counted {
            Err(missing) => { h2 { "Rows that could not be written" } (missing) }
            Ok(counts) => { (dead::list(pool, counts, &who).await) }
        }
    };
    Ok(layout::page("Writes", "/writes", &who, Again::Live, &body))
}

fn nothing() -> Markup {
    layout::nothing(
        "No rows are handed over.",
        "Write it into the configuration: [writes.NAME] with a table; applications add rows, and workers write them in batches.",
    )
}

fn by_name(all: &[Standing]) -> BTreeMap<&str, Vec<&Standing>> {
    let mut names: BTreeMap<&str, Vec<&Standing>> = BTreeMap::new();
    for standing in all {
        names.entry(&standing.stream.name).or_default().push(standing);
    }
    names
}

async fn pause(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
    Form(why): Form<Reason>,
) -> Result<Redirect, Refused> {
    let (pool, write) = known(&desk, &name)?;
    let was_paused = progress(pool, Some(&name)).await?.iter().any(|stream| stream.paused.is_some());
    let reason =
        Some(why.text()).filter(|text| !text.is_empty()).unwrap_or_else(|| "paused by hand".to_owned());
    actor.note(&desk, "writes.pause", &name, json!({ "reason": reason, "was_paused": was_paused })).await?;
    let mut connection = pool.acquire().await?;
    for stream in streams_of(&name, write) {
        pause_stream(&mut connection, &stream, &reason, Some(&actor.who.name)).await?;
    }
    Ok(actor.back("/writes"))
}

async fn resume(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let (pool, write) = known(&desk, &name)?;
    let paused = progress(pool, Some(&name)).await?.into_iter().find_map(|stream| stream.paused);
    let before = paused.map(|(why, by)| json!({ "why": why, "by": by }));
    actor.note(&desk, "writes.resume", &name, json!({ "paused": before })).await?;
    let mut connection = pool.acquire().await?;
    for stream in streams_of(&name, write) {
        resume_stream(&mut connection, &stream).await?;
    }
    Ok(actor.back("/writes"))
}

/// A name of the configuration, and the database.
fn known<'d>(desk: &'d Desk, name: &str) -> Result<(&'d PgPool, &'d Write), Refused> {
    let Some(write) = desk.site.config.writes.get(name) else {
        let names: Vec<&str> = desk.site.config.writes.keys().map(String::as_str).collect();
        let help = format!("there are: {}", names.join(", "));
        return Err(Refused::absent(format!("there is no [writes.{}]", format::short(name, 80)), help));
    };
    Ok((database(desk)?, write))
}

fn database(desk: &Desk) -> Result<&PgPool, Refused> {
    desk.pool.as_ref().ok_or_else(|| Refused::away("no address of Postgres was given", "set DATABASE_URL"))
}
