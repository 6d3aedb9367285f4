//! One job: what it is, what became of it so far, why it does not run, and what can be done about it.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_shared::config::Role;
use brasa_shared::queue::{JobView, State as JobState, Why};
use maud::{Markup, html};

use super::act::{Actor, Reason};
use super::jobs::{path_of, standing};
use super::past;
use crate::acts::jobs as acts;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Form;
use crate::routes::{OPERATOR, Route, VIEWER};
use crate::view::{chart, format, layout};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/jobs/{queue}/{id}", VIEWER, get(show)),
        Route::post("/jobs/{queue}/{id}/retry", OPERATOR, post(retry)),
        Route::post("/jobs/{queue}/{id}/cancel", OPERATOR, post(cancel)),
    ]
}

async fn show(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    Path((queue, id)): Path<(String, String)>,
) -> Result<Markup, Refused> {
    let view = match acts::find(&desk, &queue, &id).await {
        Ok(view) => view,
        Err(absent) if absent.status == StatusCode::NOT_FOUND => {
            return past::job(&desk, &queue, &id, &who).await?.ok_or(absent);
        }
        Err(refused) => return Err(refused),
    };
    let workers = desk.site.fleet().live_workers().await?;
    let why = match view.state {
        JobState::Done | JobState::Dead => None,
        _ => desk.site.queue(&queue).why(&id, &workers).await?,
    };
    let body = html! {
        p.id { code { (view.id) } }
        (buttons(&view, &who))
        (facts(&desk, &view, why.as_ref()))
        (timeline(&desk, &view))
        (payload(&view, &who))
    };
    let is_open = !matches!(view.state, JobState::Done | JobState::Dead);
    let title = if view.kind.is_empty() { "A job that cannot be read" } else { &view.kind };
    Ok(layout::page(title, "/jobs", &who, is_open, &body))
}

fn buttons(view: &JobView, who: &Identity) -> Markup {
    let to = |verb: &str| format!("{}/{verb}", path_of(&view.queue, &view.id));
    let is_open = !matches!(view.state, JobState::Done | JobState::Dead);
    html! {
        @if who.may(Role::Operator) {
            div.acts {
                @if matches!(view.state, JobState::Dead | JobState::Delayed) { (layout::button(&to("retry"), "Start it now", None, true)) }
                @if is_open {
                    form.act method="post" action=(to("cancel")) data-ask="Stop this job for good?" {
                        input name="reason" aria-label="Why: Cancel" placeholder="why" maxlength="200";
                        button.danger type="submit" { "Cancel" }
                    }
                }
            }
        }
    }
}

fn facts(desk: &Desk, view: &JobView, why: Option<&Why>) -> Markup {
    let now = desk.site.clock.now();
    let at = |ms: i64| html! { time title=(format::instant(ms)) { (format::ago(ms, now)) } };
    html! {
        dl.facts {
            dt { "State" } dd { span class=(format!("state-{}", standing(view))) { (standing(view)) } }
            @if let Some(why) = why {
                dt { "Why" } dd { (why.text) @if !why.help.is_empty() { br; span.help { (why.help) } } }
            }
            dt { "Queue" } dd { a href=(format!("/queues#queue-{}", view.queue)) { (view.queue) } }
            dt { "Enqueued" } dd { (at(view.enqueued_ms)) }
            @match view.state {
                JobState::Delayed => { dt { "Due" } dd { (at(view.state_ms)) } },
                JobState::Running => { dt { "Runs since" } dd { (at(view.started_ms)) ", leased until " (at(view.state_ms)) } },
                JobState::Blocked => { dt { "Waits for" } dd { (view.waits_for) " jobs to end" } },
                _ => {},
            }
            @if let Some(expires) = view.expires_ms { dt { "Not to start after" } dd { (at(expires)) } }
            @if view.attempt > 0 { dt { "Attempt" } dd { (view.attempt) @if view.lost > 0 { ", " (view.lost) " of its holders were lost" } } }
            @if !matches!(view.worker.as_str(), "" | "-") { dt { "Worker" } dd { (view.worker) } }
            @if let Some(schedule) = &view.schedule { dt { "Schedule" } dd { a href="/schedules" { (schedule) } } }
            @if let Some(trace) = &view.trace { dt { "Trace" } dd { code { (trace) } } }
            @if view.priority > 0 { dt { "Priority" } dd { (view.priority) } }
            @if let Some(share) = &view.share { dt { "Share" } dd { (share) } }
            @if let Some(stop) = &view.stop_asked { dt { "Asked to stop" } dd { (stop) } }
            @if let Some(note) = &view.note {
                dt { "Progress" }
                dd { (chart::bar(note.share, &format!("{:.0} %", note.share * 100.0))) (format!("{:.0} % ", note.share * 100.0)) (note.text) ", " (at(note.at)) }
            }
            @if let Some(outcome) = &view.outcome {
                dt { "Ended" } dd { (at(outcome.at)) ", after " (format::lasting(Duration::from_millis(outcome.took_ms))) }
                @if let Some(reason) = &outcome.reason { dt { "Reason" } dd.message { (reason) } }
            }
        }
    }
}

/// How earlier attempts ended.
fn timeline(desk: &Desk, view: &JobView) -> Markup {
    let now = desk.site.clock.now();
    let steps: Vec<(i64, String)> = view
        .trail
        .iter()
        .map(|step| {
            step.split_once(' ')
                .map_or((0, step.clone()), |(at, told)| (at.parse().unwrap_or(0), told.to_owned()))
        })
        .collect();
    html! {
        @if !steps.is_empty() {
            h2 { "Earlier attempts" }
            ol.timeline {
                @for (at, told) in steps {
                    li { time title=(format::instant(at)) { (format::ago(at, now)) } " attempt " (told) }
                }
            }
        }
    }
}

/// What it was given, what it returned and what it logged, for those who may see that.
fn payload(view: &JobView, who: &Identity) -> Markup {
    if !who.sees_payloads() {
        return html! { p.dim { "Its arguments, its result and its log are shown to operators." } };
    }
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
    html! {
        h2 { "Arguments" }
        @if let Some(key) = &view.sealed { p.dim { "Sealed in Redis with key " code { (key) } "." } }
        pre { (view.unreadable.clone().unwrap_or_else(|| pretty(&view.args))) }
        @if let Some(result) = view.outcome.as_ref().and_then(|outcome| outcome.result.as_ref()) {
            h2 { "Result" }
            pre { (pretty(result)) }
        }
        @if !view.log.is_empty() {
            h2 { "Log" }
            pre { (view.log.join("\n")) }
        }
    }
}

async fn retry(
    State(desk): State<Desk>,
    Path((queue, id)): Path<(String, String)>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    acts::retry(&desk, &queue, &id, &actor).await?;
    Ok(Redirect::to(&path_of(&queue, &id)))
}

async fn cancel(
    State(desk): State<Desk>,
    Path((queue, id)): Path<(String, String)>,
    actor: Actor,
    Form(why): Form<Reason>,
) -> Result<Redirect, Refused> {
    acts::cancel(&desk, &queue, &id, &why.text(), &actor).await?;
    Ok(Redirect::to(&path_of(&queue, &id)))
}
