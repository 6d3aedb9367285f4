//! Rows that could not be written: why, and what to do with them.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use brasa_jobs::writes::replay_each;
use brasa_shared::config::Role;
use brasa_shared::db::writes::{Dead, dead, forget};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgPool;

use super::{database, known};
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Form;
use crate::pages::act::Actor;
use crate::view::part::within;
use crate::view::{format, layout};

/// How many rows a page shows.
const SHOWN: usize = 50;
/// How many are written again in one request, each in a transaction of its own.
pub(super) const REPLAYED_MAX: u64 = 500;
/// How much of a row is shown, in characters.
const ROW_CHARS: usize = 4_000;

/// A row as it should have been; as it came where it is left out.
#[derive(Debug, Deserialize)]
pub(super) struct Mended {
    row: Option<String>,
}

/// Rows of the dead letter, the oldest first.
pub(super) async fn list(pool: &PgPool, counts: &BTreeMap<String, u64>, who: &Identity) -> Markup {
    let all: u64 = counts.values().sum();
    if all == 0 {
        return html! {};
    }
    let shown = i64::try_from(SHOWN).unwrap_or(i64::MAX);
    let found = within("brasa writes dead", async { Ok(dead(pool, None, None, shown).await?) }).await;
    html! {
        h2 #dead { "Rows that could not be written" }
        @if !who.sees_payloads() { p.dim { "Rows, and errors that quote them, are shown to operators." } }
        @match found {
            Err(missing) => { (missing) }
            Ok(rows) => {
                @for row in &rows { (one(row, who)) }
                @if all > SHOWN as u64 { p.dim { "and " (format::count(all - rows.len() as u64)) " more: " code { "brasa writes dead" } } }
            }
        }
    }
}

fn one(dead: &Dead, who: &Identity) -> Markup {
    let buried = &dead.buried;
    let code = buried.sqlstate.as_deref();
    html! {
        section.card #(format!("dead-{}", dead.id)) {
            h2 { (dead.stream.name) " · " (format::count(dead.id.unsigned_abs())) }
            p.dim {
                (format::lasting(dead.age)) " ago · "
                @match code { Some(code) => { "SQLSTATE " code { (code) } " · " (meaning(code)) } None => { "refused before the database saw it" } }
                @if let Some(at) = &buried.at_fault { " · at " code { (at) } }
            }
            @if who.sees_payloads() {
                p.message { (format::short(&buried.message, 1_000)) }
                pre { (row_of(dead)) }
                (acts(dead, who))
            }
        }
    }
}

fn row_of(dead: &Dead) -> String {
    let text = String::from_utf8_lossy(&dead.buried.payload);
    if text.chars().count() <= ROW_CHARS {
        return text.into_owned();
    }
    text.chars().take(ROW_CHARS).chain(" … (cut)".chars()).collect()
}

/// What a code means, for whoever may not see the message, which may quote the row.
fn meaning(code: &str) -> &'static str {
    match code {
        "22001" => "a text is too long",
        "22003" => "a number is out of range",
        "22P02" | "22007" | "22008" => "a value cannot be read",
        "23502" => "a value is missing",
        "23503" => "what it refers to is not there",
        "23505" => "it is there already",
        "23514" => "a check refuses it",
        _ if code.starts_with("22") => "a value does not fit",
        _ if code.starts_with("23") => "a constraint refuses it",
        _ => "the database refused it",
    }
}

fn acts(dead: &Dead, who: &Identity) -> Markup {
    let to = |verb: &str| format!("/writes/dead/{}/{verb}", dead.id);
    // A row that was cut must not come back as it is shown.
    let is_whole = dead.buried.payload.len() <= ROW_CHARS;
    html! {
        div.acts {
            (layout::button(&to("replay"), "Write it again", None, true))
            (layout::button(&to("delete"), "Delete", Some("Delete this row for good?"), who.may(Role::Admin)))
        }
        @if is_whole {
            details #(format!("mend-{}", dead.id)) {
                summary { "Write it as it should have been" }
                form.mend method="post" action=(to("replay")) {
                    textarea name="row" rows="4" spellcheck="false" aria-label="The row as JSON" { (row_of(dead)) }
                    div { button type="submit" { "Write this" } }
                }
            }
        }
    }
}

/// Writes one after all, mended or as it came.
pub(super) async fn replay(
    State(desk): State<Desk>,
    Path(id): Path<i64>,
    actor: Actor,
    Form(mended): Form<Mended>,
) -> Result<Redirect, Refused> {
    let pool = database(&desk)?;
    let found = find(pool, id).await?;
    let name = found.stream.name.clone();
    // What is in the row is for operators, and acts are for everybody to see.
    let detail = json!({ "row": id, "is_mended": mended.row.is_some() });
    actor.note(&desk, "writes.replay", &name, detail).await?;
    let row = mended.row.as_deref().map(str::as_bytes);
    let left = replay_each(&desk.site.config, pool, &[found], row).await?;
    refuse(1, &left)?;
    Ok(actor.back("/writes"))
}

/// Writes all of one name, the oldest first.
pub(super) async fn replay_all(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let (pool, _) = known(&desk, &name)?;
    let found = dead(pool, Some(&name), None, REPLAYED_MAX.cast_signed()).await?;
    actor.note(&desk, "writes.replay", &name, json!({ "rows": found.len() })).await?;
    let left = replay_each(&desk.site.config, pool, &found, None).await?;
    refuse(found.len(), &left)?;
    Ok(actor.back("/writes"))
}

/// Says that some were left where they are.
fn refuse(all: usize, left: &[(i64, String)]) -> Result<(), Refused> {
    let Some((id, why)) = left.first() else { return Ok(()) };
    let message = match all {
        1 => format!("row {id} was left where it is: {why}"),
        all => format!("{} of {all} rows were written; row {id} was left: {why}", all - left.len()),
    };
    let help = "mend the row on the page, or the table, and try it again";
    Err(Refused::new(StatusCode::CONFLICT, message, help))
}

/// Deletes one for good.
pub(super) async fn delete(
    State(desk): State<Desk>,
    Path(id): Path<i64>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    let pool = database(&desk)?;
    let found = find(pool, id).await?;
    let detail = json!({ "row": id, "sqlstate": found.buried.sqlstate });
    actor.note(&desk, "writes.delete", &found.stream.name, detail).await?;
    let mut connection = pool.acquire().await?;
    forget(&mut connection, &[id]).await?;
    Ok(actor.back("/writes"))
}

async fn find(pool: &PgPool, id: i64) -> Result<Dead, Refused> {
    let found = dead(pool, None, Some(&[id]), 1).await?.pop();
    found.ok_or_else(|| {
        Refused::absent(
            format!("there is no row {id} in the dead letter"),
            "it may have been written meanwhile",
        )
    })
}
