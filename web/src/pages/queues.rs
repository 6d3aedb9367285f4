//! Queues: how full they are, how fast, and who holds them up.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_shared::config::{Limit, Role};
use brasa_shared::queue::Counts;
use maud::{Markup, html};

use super::act::{Actor, Reason};
use crate::acts::queues as acts;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Form;
use crate::routes::{OPERATOR, Route, VIEWER};
use crate::view::layout::Again;
use crate::view::series::{Pace, look};
use crate::view::{chart, format, layout};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/queues", VIEWER, get(show)),
        Route::post("/queues/{queue}/pause", OPERATOR, post(pause)),
        Route::post("/queues/{queue}/resume", OPERATOR, post(resume)),
        Route::post("/queues/{queue}/close", OPERATOR, post(close)),
        Route::post("/queues/{queue}/open", OPERATOR, post(open)),
    ]
}

/// In how many seconds nothing waits at this pace; none if that is never.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) fn to_empty(waiting: u64, pace: Pace) -> Option<f64> {
    let net = pace.done - pace.enqueued;
    if waiting == 0 { Some(0.0) } else { (net > 0.0).then(|| waiting as f64 / net) }
}

/// The same in words.
pub(super) fn until_empty(waiting: u64, pace: Pace) -> String {
    match to_empty(waiting, pace) {
        Some(0.0) => "0 s".to_owned(),
        Some(seconds) => {
            Duration::try_from_secs_f64(seconds).map_or_else(|_| "never".into(), format::lasting)
        }
        None => "not at this pace".to_owned(),
    }
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let now = look(&desk).await?;
    let body = html! {
        @if now.queues.is_empty() {
            (layout::nothing("There are no queues yet.", "They are in the configuration, or come with the first job."))
        }
        div.cards {
            @for (name, counts) in &now.queues { (card(&desk, name, counts, &who)) }
        }
    };
    Ok(layout::page("Queues", "/queues", &who, Again::Live, &body))
}

fn card(desk: &Desk, name: &str, counts: &Counts, who: &Identity) -> Markup {
    let now = desk.site.clock.now();
    let pace = desk.series.pace(Some(name));
    let done: Vec<f64> = desk.series.paces(Some(name)).iter().map(|pace| pace.done).collect();
    let jobs = |state: &str| format!("/jobs?queue={}&state={state}", format::segment(name));
    html! {
        section.card #(format!("queue-{name}")) {
            h2 { (name) }
            @if let Some(paused) = &counts.paused {
                p.state.warn { "Paused by " (paused.by) ", " (format::ago(paused.at, now)) @if !paused.reason.is_empty() { ": " (paused.reason) } }
            }
            @if let Some(closed) = &counts.closed {
                p.state.warn { "Takes no new jobs, says " (closed.by) ", " (format::ago(closed.at, now)) @if !closed.reason.is_empty() { ": " (closed.reason) } }
            }
            dl.counts {
                div { dt { "Waiting" } dd { a href=(jobs("waiting")) { (format::count(counts.waiting)) } } }
                div { dt { "Running" } dd { a href=(jobs("running")) { (format::count(counts.running)) } } }
                div { dt { "Delayed" } dd { a href=(jobs("delayed")) { (format::count(counts.delayed)) } } }
                div { dt { "Blocked" } dd { a href=(jobs("blocked")) { (format::count(counts.blocked)) } } }
                div class=[(counts.dead > 0).then_some("bad")] { dt { "Dead" } dd { a href=(jobs("dead")) { (format::count(counts.dead)) } } }
            }
            (chart::area(&done, &format!("jobs done per second in {name}, over the last hour at most")))
            p.dim {
                (format::rate(pace.enqueued)) " in, " (format::rate(pace.done)) " done, " (format::rate(pace.failed)) " failed · "
                @match counts.oldest_ms {
                    Some(ms) => { "oldest " (format::ago(ms, now)) " · empty in " (until_empty(counts.waiting, pace)) },
                    None => "nothing waits",
                }
                " · " (format::bytes(counts.bytes))
                @if counts.parked > 0 { " · " (format::count(counts.parked)) " held back by limits" }
            }
            (limits(desk, name))
            (buttons(name, counts, who))
        }
    }
}

/// What the configuration allows.
fn limits(desk: &Desk, name: &str) -> Markup {
    let Some(queue) = desk.site.config.queues.get(name) else {
        return html! { p.dim { "Not in the configuration of this process." } };
    };
    let bounds = [
        (queue.max_length > 0).then(|| format!("{} jobs at most", format::count(queue.max_length))),
        (queue.max_bytes > 0).then(|| format!("{} at most", format::bytes(queue.max_bytes))),
    ];
    let mut said: Vec<String> = bounds.into_iter().flatten().chain(limit(queue.limits.queue)).collect();
    for (kind, of_kind) in &queue.limits.kinds {
        said.extend(limit(*of_kind).map(|limit| format!("{kind} {limit}")));
    }
    said.extend(limit(queue.limits.per_share).map(|limit| format!("each share key {limit}")));
    html! { @if !said.is_empty() { p.dim { "Limits: " (said.join(", ")) } } }
}

/// What runs at once and what starts in a time, where that is limited.
fn limit(limit: Limit) -> impl Iterator<Item = String> {
    let at_once = (limit.concurrency > 0).then(|| format!("{} at once", limit.concurrency));
    let rate = limit.rate.map(|(starts, per)| format!("{starts} starts per {}", format::lasting(per)));
    at_once.into_iter().chain(rate)
}

fn buttons(name: &str, counts: &Counts, who: &Identity) -> Markup {
    let to = |verb: &str| format!("/queues/{}/{verb}", format::segment(name));
    html! {
        @if who.may(Role::Operator) {
            div.acts {
                @if counts.paused.is_some() { (layout::button(&to("resume"), "Resume", None, true)) }
                @else { (reasoned(&to("pause"), "Pause", "Workers stop taking jobs of it; those that run go on.")) }
                @if counts.closed.is_some() { (layout::button(&to("open"), "Open", None, true)) }
                @else { (reasoned(&to("close"), "Drain", "It takes no new jobs; what is in it still runs.")) }
            }
        }
    }
}

/// A form of a button and a reason.
fn reasoned(action: &str, label: &str, what: &str) -> Markup {
    html! {
        form.act method="post" action=(action) {
            input name="reason" aria-label=(format!("Why: {label}")) placeholder="why" maxlength="200";
            button type="submit" title=(what) { (label) }
        }
    }
}

async fn pause(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
    Form(why): Form<Reason>,
) -> Result<Redirect, Refused> {
    acts::pause(&desk, &name, &why.text(), &actor).await?;
    Ok(actor.back("/queues"))
}

async fn resume(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    acts::resume(&desk, &name, &actor).await?;
    Ok(actor.back("/queues"))
}

async fn close(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
    Form(why): Form<Reason>,
) -> Result<Redirect, Refused> {
    acts::close(&desk, &name, &why.text(), &actor).await?;
    Ok(actor.back("/queues"))
}

async fn open(State(desk): State<Desk>, Path(name): Path<String>, actor: Actor) -> Result<Redirect, Refused> {
    acts::open(&desk, &name, &actor).await?;
    Ok(actor.back("/queues"))
}
