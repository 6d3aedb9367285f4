//! Jobs: found by id, queue, kind, state, or a word of what was said about them.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use brasa_shared::queue::JobView;
use brasa_shared::units::{Moment, NoMoment};
use maud::{Markup, html};
use serde::Deserialize;

use super::past::{self, Next};
use crate::acts::Started;
use crate::acts::jobs::STATES;
pub(super) use crate::acts::jobs::standing;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{Route, VIEWER};
use crate::search::{Found, TEXT_MAX, Wanted, check_text, find, limit, state_of};
use crate::view::layout::Again;
use crate::view::{format, layout};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/jobs", VIEWER, get(show))]
}

/// What is looked for, as it stands in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    q: String,
    queue: String,
    kind: String,
    state: String,
    since: String,
    until: String,
    after: String,
    limit: Option<usize>,
}

impl Asked {
    fn wants_past(&self) -> bool {
        self.state == past::STATE
    }

    fn wanted(&self) -> Result<Wanted<'_>, Refused> {
        check_text(self.q.trim())?;
        let is_past = self.wants_past();
        Ok(Wanted {
            queue: &self.queue,
            kind: &self.kind,
            state: Some(self.state.as_str())
                .filter(|told| !told.is_empty() && !is_past)
                .map(state_of)
                .transpose()?,
            since: moment("since", &self.since)?,
            until: moment("until", &self.until)?,
            text: self.q.trim(),
            after: Some(&self.after)
                .filter(|after| !after.is_empty() && !is_past)
                .map(|after| after.parse())
                .transpose()?,
            limit: self.limit,
        })
    }

    /// The address of the page that begins there.
    fn page_at(&self, after: &str) -> String {
        let limit = self.limit.map(|limit| limit.to_string()).unwrap_or_default();
        let told = [
            ("q", self.q.as_str()),
            ("queue", &self.queue),
            ("kind", &self.kind),
            ("state", &self.state),
            ("since", &self.since),
            ("until", &self.until),
            ("limit", &limit),
            ("after", after),
        ];
        let told = told.iter().filter(|(_, value)| !value.is_empty());
        let told: Vec<_> = told.map(|(name, value)| format!("{name}={}", format::segment(value))).collect();
        format!("/jobs?{}", told.join("&"))
    }
}

/// A moment that may be left out.
fn moment(name: &str, text: &str) -> Result<Option<Moment>, Refused> {
    let text = Some(text.trim()).filter(|text| !text.is_empty());
    let wrong = |wrong: NoMoment| Refused::bad(format!("`{name}`: {wrong}"), wrong.help());
    text.map(str::parse).transpose().map_err(wrong)
}

async fn show(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    uri: Uri,
) -> Result<Response, Refused> {
    let asked: Asked = query(&uri)?;
    let wanted = asked.wanted()?;
    let form = form(&desk, &asked).await?;
    if asked.wants_past() {
        let (found, next) = past::search(&desk, &wanted, &asked.after).await?;
        let body = html! {
            (form)
            (past::table(&desk, &found, &who))
            @match next {
                Next::At(passed) => (more(Some(&asked.page_at(&passed.to_string())), "Earlier ones")),
                Next::TooFar => (narrower()),
                Next::None => {},
            }
        };
        return Ok(layout::page("Jobs", "/jobs", &who, Again::Never, &body).into_response());
    }
    // Whoever writes an id wants that job.
    if !wanted.text.is_empty()
        && let Some(queue) = holder(&desk, wanted.text).await?
    {
        return Ok(Redirect::to(&path_of(&queue, wanted.text)).into_response());
    }
    let found = find(&desk, &wanted, &who).await?;
    let body = html! {
        (form)
        @if !found.jobs.is_empty() { (table(&desk, &found.jobs, &who)) }
        (end_of(&found, &asked))
    };
    // Whoever reads a page that was looked for does not want it to move.
    let is_live = wanted.text.is_empty() && wanted.after.is_none();
    Ok(layout::page("Jobs", "/jobs", &who, Again::live(is_live), &body).into_response())
}

/// Whether that was all of them, and else where to go on.
fn end_of(found: &Found, asked: &Asked) -> Markup {
    let looked = format::count(found.looked_at as u64);
    let next = found.next.as_ref().map(|next| asked.page_at(&next.to_string()));
    // Whether the page ends because it is full, or because enough was looked at.
    let is_full = limit(asked.limit).is_ok_and(|limit| found.jobs.len() == limit);
    html! {
        @if found.jobs.is_empty() {
            @if found.next.is_some() || found.are_left_out {
                (layout::nothing(&format!("None among the {looked} jobs that were looked at."), ""))
            } @else {
                (layout::nothing("No jobs.", "Ended jobs are kept for a while only: keep_done and keep_dead of the queue."))
            }
        }
        @if !is_full && !found.jobs.is_empty() && next.is_some() { p.dim { (looked) " jobs were looked at." } }
        (more(next.as_deref(), if is_full { "More" } else { "Look further" }))
        @if found.are_left_out { (narrower()) }
    }
}

/// What to do about those to which no page leads.
fn narrower() -> Markup {
    html! { p.dim { "There are more. Say which: a kind, a time or a word." } }
}

fn more(next: Option<&str>, label: &str) -> Markup {
    html! { @if let Some(next) = next { p.more { a href=(next) rel="next" { (label) } } } }
}

/// The queue that knows a job.
pub(super) async fn holder(desk: &Desk, id: &str) -> Result<Option<String>, Refused> {
    for (name, queue) in desk.site.all_queues().await? {
        if queue.show(id).await?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Where a job is shown.
pub(super) fn path_of(queue: &str, id: &str) -> String {
    format!("/jobs/{}/{}", format::segment(queue), format::segment(id))
}

/// Leads to the page of a job that was started.
pub(super) fn page_of(job: &Started) -> Redirect {
    Redirect::to(&path_of(&job.queue, &job.id))
}

async fn form(desk: &Desk, asked: &Asked) -> Result<Markup, Refused> {
    let queues = desk.site.all_queues().await?;
    Ok(html! {
        form.search method="get" action="/jobs" role="search" {
            input type="search" name="q" value=(asked.q) aria-label="Id or words" placeholder="id, or words of an error" maxlength=(TEXT_MAX);
            select name="queue" aria-label="Queue" {
                option value="" { "all queues" }
                @for name in queues.keys() { option value=(name) selected[*name == asked.queue] { (name) } }
            }
            select name="kind" aria-label="Kind" {
                option value="" { "all kinds" }
                @for kind in desk.site.catalog.kinds() { option value=(kind.name) selected[kind.name == asked.kind] { (kind.name) } }
                @if !asked.kind.is_empty() && desk.site.catalog.get(&asked.kind).is_none() { option value=(asked.kind) selected { (asked.kind) } }
            }
            select name="state" aria-label="State" {
                option value="" { "not ended" }
                @for (word, _) in STATES { option value=(word) selected[*word == asked.state] { (word) } }
                @if desk.pool.is_some() { option value=(past::STATE) selected[asked.state == past::STATE] { (past::STATE) } }
            }
            input.when name="since" value=(asked.since) list="moments" aria-label="Since" placeholder="since, as 2h" maxlength="40";
            input.when name="until" value=(asked.until) list="moments" aria-label="Until" placeholder="until, as 5m" maxlength="40";
            datalist id="moments" { @for moment in ["5m", "15m", "1h", "6h", "1d", "1w"] { option value=(moment) {} } }
            button type="submit" { "Search" }
        }
    })
}

/// Jobs as a table.
pub(super) fn table(desk: &Desk, views: &[JobView], who: &Identity) -> Markup {
    let now = desk.site.clock.now();
    html! {
        div.wide { table {
            thead { tr { th { "Job" } th { "State" } th { "Kind" } th { "When" } th { "What is said of it" } th { "Queue" } th.n { "Attempt" } } }
            tbody {
                @for view in views {
                    tr {
                        td { a href=(path_of(&view.queue, &view.id)) { code { (format::short(&view.id, 34)) } } }
                        td { span class=(format!("state-{}", standing(view))) { (standing(view)) } }
                        td { (view.kind) }
                        td { time title=(format::instant(view.time_ms())) { (format::ago(view.time_ms(), now)) } }
                        td.text { (format::short(&told(view, who), 120)) }
                        td { (view.queue) }
                        td.n { (view.attempt) }
                    }
                }
            }
        } }
    }
}

/// What is said of a job in a table.
fn told(view: &JobView, who: &Identity) -> String {
    if let Some(reason) = view.outcome.as_ref().and_then(|outcome| outcome.reason.clone()) {
        return reason;
    }
    if let Some(note) = &view.note {
        return format!("{:.0} % {}", note.share * 100.0, note.text);
    }
    match view.trail.last() {
        Some(last) => last.split_once(' ').map_or(last.clone(), |(_, told)| told.to_owned()),
        None if who.sees_payloads() => view.args.to_string(),
        None => String::new(),
    }
}
