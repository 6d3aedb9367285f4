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
use crate::view::layout::Again;
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
        h2 { "What became of it" }
        (timeline(&desk, &view))
        (payload(&view, &who))
    };
    let is_open = !matches!(view.state, JobState::Done | JobState::Dead);
    let title = if view.kind.is_empty() { "A job that cannot be read" } else { &view.kind };
    Ok(layout::page(title, "/jobs", &who, Again::live(is_open), &body))
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
                dt { "Why" } dd { (why.text) @if !why.help.is_empty() { br; span.help { (layout::marked(&why.help)) } } }
            }
            dt { "Queue" } dd { a href=(format!("/queues#queue-{}", view.queue)) { (view.queue) } }
            dt { "Enqueued" } dd { (at(view.enqueued_ms)) }
            @match view.state {
                JobState::Delayed => { dt { "Due" } dd { (at(view.state_ms)) } },
                JobState::Running => { dt { "Runs since" } dd { (at(view.started_ms)) ", leased for " (format::ago(view.state_ms, now).trim_start_matches("in ")) " more" } },
                JobState::Blocked => { dt { "Waits for" } dd { (view.waits_for) " jobs to end" } },
                _ => {},
            }
            @if let Some(expires) = view.expires_ms { dt { "Not to start after" } dd { (at(expires)) } }
            @if view.attempt > 0 { dt { "Attempt" } dd { (view.attempt) @if view.lost > 0 { ", lost with " (view.lost) @if view.lost == 1 { " worker" } @else { " workers" } } } }
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

/// When it was enqueued, who held it when and how that ended, and how it stands.
fn timeline(desk: &Desk, view: &JobView) -> Markup {
    let now = desk.site.clock.now();
    let by = view.schedule.as_ref().map(|name| format!("enqueued by the schedule {name}"));
    let mut steps = vec![(view.enqueued_ms, by.unwrap_or_else(|| "enqueued".to_owned()))];
    steps.extend(view.trail.iter().map(|step| {
        let (at, told) = step.split_once(' ').unwrap_or(("0", step));
        (at.parse().unwrap_or(0), earlier(told))
    }));
    let attempt = view.attempt;
    steps.extend(match view.state {
        JobState::Waiting | JobState::Blocked => None,
        JobState::Delayed => Some((view.state_ms, "it is due".to_owned())),
        JobState::Running => Some((view.started_ms, format!("attempt {attempt} began on {}", view.worker))),
        JobState::Done | JobState::Dead => Some((view.state_ms, format!("{}{}", standing(view), last(view)))),
    });
    html! {
        ol.timeline {
            @for (at, told) in steps {
                li { time title=(format::instant(at)) { (format::ago(at, now)) } " " (told) }
            }
        }
    }
}

/// How an earlier attempt ended, from a line of the trail: which it was, what became of it, and the rest.
fn earlier(told: &str) -> String {
    let mut words = told.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(attempt), Some("lost"), Some(who)) => format!("attempt {attempt} was lost with {who}"),
        (Some(attempt), Some("crashed"), Some(rest)) => {
            let (who, how) = rest.split_once(' ').unwrap_or((rest, ""));
            format!("attempt {attempt} took {who} down: {how}")
        }
        _ => format!("attempt {told}"),
    }
}

/// Which attempt was the last, and whose.
fn last(view: &JobView) -> String {
    match view.worker.as_str() {
        "" | "-" => String::new(),
        worker => format!(" with attempt {} on {worker}", view.attempt),
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
