//! Recommendations: what reviews of the database found, the worst first, with what mends it.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_jobs::database::review::store::{Kept, list, obstacle};
use brasa_jobs::database::review::{Does, Severity};
use brasa_shared::config::Role;
use maud::{Markup, html};
use serde_json::json;
use sqlx::PgPool;

use super::act::{Actor, Reason};
use super::jobs::page_of;
use crate::acts::{Start, recommendations as acts};
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Form;
use crate::routes::{ADMIN, OPERATOR, Route, VIEWER};
use crate::view::layout::Again;
use crate::view::part::{Missing, Part, looking, ready, within};
use crate::view::{format, layout};

/// How many that are done with are shown.
const DONE_SHOWN: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/recommendations", VIEWER, get(show)),
        Route::post("/recommendations/review", OPERATOR, post(review)),
        Route::post("/recommendations/{fingerprint}/dismiss", ADMIN, post(dismiss)),
        Route::post("/recommendations/{fingerprint}/reopen", ADMIN, post(take_back)),
    ]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let Some(pool) = &desk.pool else {
        return Ok(layout::page(
            "Recommendations",
            "/recommendations",
            &who,
            Again::Never,
            &layout::no_postgres(),
        ));
    };
    ready(pool, 1).await;
    let body = match within("brasa db recommendations", known(pool)).await {
        Err(missing) => html! { (missing) },
        Ok(all) => html! { (shown(&all, &who)) },
    };
    Ok(layout::page("Recommendations", "/recommendations", &who, Again::Never, &body))
}

async fn known(pool: &PgPool) -> Part<Vec<Kept>> {
    let mut transaction = looking(pool).await?;
    if let Some((why, help)) = obstacle(&mut transaction).await? {
        return Err(Missing::new(why, help));
    }
    Ok(list(&mut transaction, true).await?)
}

fn shown(all: &[Kept], who: &Identity) -> Markup {
    let (done, known): (Vec<&Kept>, Vec<&Kept>) = all.iter().partition(|kept| kept.cleared_at.is_some());
    let (dismissed, open): (Vec<&Kept>, Vec<&Kept>) =
        known.into_iter().partition(|kept| kept.dismissed.is_some());
    let of = |severity: Severity| open.iter().filter(move |kept| kept.recommendation.severity == severity);
    html! {
        @if open.is_empty() {
            (layout::nothing("Nothing is recommended.", "A schedule of the job db.review looks again and again; what its evidence no longer supports goes by itself."))
        } @else {
            div.figures {
                @for severity in Severity::ALL { (layout::figure(title(severity), &of(severity).count().to_string(), "open")) }
            }
        }
        @if who.may(Role::Operator) {
            div.acts.above { (layout::button("/recommendations/review", "Look at the database now", None, true)) }
        }
        @for severity in Severity::ALL {
            @if of(severity).next().is_some() { h2 { (title(severity)) } }
            @for kept in of(severity) { (card(kept, who)) }
        }
        @if !dismissed.is_empty() {
            details #dismissed { summary { (dismissed.len()) " dismissed" } @for kept in &dismissed { (card(kept, who)) } }
        }
        @if !done.is_empty() {
            details #done {
                summary { (done.len()) " done with" }
                ul.plain { @for kept in done.iter().take(DONE_SHOWN) { li { (kept.recommendation.title) " · since " (kept.cleared_at.as_deref().unwrap_or_default()) " UTC" } } }
            }
        }
    }
}

fn title(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical",
        Severity::Warning => "Warnings",
        Severity::Info => "Could be better",
    }
}

fn card(kept: &Kept, who: &Identity) -> Markup {
    let told = &kept.recommendation;
    let class = match told.severity {
        Severity::Critical => "bad",
        Severity::Warning => "warn",
        Severity::Info => "dim",
    };
    html! {
        section.card #(format!("is-{}", kept.fingerprint)) {
            h2 { (told.title) }
            p.dim { span class=(class) { (told.severity.word()) } " · " (told.rule) " · " code { (told.object) } " · confidence " (told.confidence.word()) " · since " (kept.first_seen) ", seen last " (kept.last_seen) " UTC" }
            @if let Some(dismissed) = &kept.dismissed { p { "Dismissed by " (dismissed.by) ", " (dismissed.at) " UTC: " (dismissed.why) } }
            @if !told.evidence.is_empty() { dl.facts { @for (name, value) in &told.evidence { dt { (name) } dd { (layout::marked(value)) } } } }
            @if let Some(statement) = &told.statement { p.dim { (does(told.does)) } pre { (statement) } }
            @if let Some(undo) = &told.undo { p.dim { "What brings back what was there:" } pre { (undo) } }
            @if !told.clears.is_empty() { p.dim { "Goes away when: " (layout::marked(&told.clears)) } }
            (buttons(kept, who))
        }
    }
}

fn does(does: Does) -> &'static str {
    match does {
        Does::Apply => "The statement, which Brasa may run where [maintenance] lets it:",
        Does::Propose => "The statement, for a person to run:",
        Does::Advise => "How it may be done:",
    }
}

fn buttons(kept: &Kept, who: &Identity) -> Markup {
    let to = |verb: &str| format!("/recommendations/{}/{verb}", format::segment(&kept.fingerprint));
    html! {
        @if who.may(Role::Admin) {
            div.acts {
                @if kept.dismissed.is_some() { (layout::button(&to("reopen"), "Reopen", None, true)) }
                @else {
                    form.act method="post" action=(to("dismiss")) {
                        input name="reason" required aria-label="Why nobody wants to hear of it" placeholder="why" maxlength="200";
                        button.quiet type="submit" title="It is not shown again, until somebody reopens it." { "Dismiss" }
                    }
                }
            }
        }
    }
}

async fn dismiss(
    State(desk): State<Desk>,
    Path(fingerprint): Path<String>,
    actor: Actor,
    Form(why): Form<Reason>,
) -> Result<Redirect, Refused> {
    acts::dismiss(&desk, &fingerprint, &why.text(), &actor).await?;
    Ok(actor.back("/recommendations"))
}

async fn take_back(
    State(desk): State<Desk>,
    Path(fingerprint): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    acts::reopen(&desk, &fingerprint, &actor).await?;
    Ok(actor.back("/recommendations"))
}

async fn review(State(desk): State<Desk>, actor: Actor) -> Result<Redirect, Refused> {
    let start = Start { action: "db.review", target: "database", kind: "db.review", args: json!({}) };
    Ok(page_of(&start.by(&actor, &desk).await?))
}
