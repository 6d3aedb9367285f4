//! Jobs: found by id, queue, kind, state, or a word of what was said about them.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use brasa_shared::queue::{JobView, State as JobState};
use maud::{Markup, html};
use serde::Deserialize;

use super::past;
use crate::acts::Started;
use crate::acts::jobs::STATES;
pub(super) use crate::acts::jobs::standing;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{Route, VIEWER};
use crate::view::{format, layout};

/// How many jobs a page shows: unless it is said otherwise, and at most.
const SHOWN: (usize, usize) = (50, 200);
/// How many jobs of a queue and a state a search looks at, so that it ends soon in a queue of a million.
const SEARCHED_MAX: usize = 2_000;
/// How long a word to look for may be.
const WORD_MAX: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/jobs", VIEWER, get(show))]
}

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Search {
    q: String,
    queue: String,
    kind: String,
    state: String,
    limit: Option<usize>,
}

async fn show(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    uri: Uri,
) -> Result<Response, Refused> {
    let search: Search = query(&uri)?;
    let (word, limit) = (search.q.trim(), search.limit.unwrap_or(SHOWN.0));
    if limit == 0 || limit > SHOWN.1 || word.len() > WORD_MAX {
        let help = format!("ask for 1 to {} jobs, and for a word of at most {WORD_MAX} bytes", SHOWN.1);
        return Err(Refused::bad("that is too much at once", help));
    }
    let state = match search.state.as_str() {
        "" | past::STATE => None,
        told => Some(state_of(told)?),
    };
    let wants_past = search.state == past::STATE;
    // Whoever writes an id wants that job.
    if !wants_past
        && !word.is_empty()
        && let Some(queue) = holder(&desk, word).await?
    {
        return Ok(Redirect::to(&path_of(&queue, word)).into_response());
    }
    if wants_past {
        let found = past::search(&desk, &search.queue, &search.kind, word, limit).await?;
        let body = html! { (form(&desk, &search).await?) (past::table(&desk, &found, &who)) };
        return Ok(layout::page("Jobs", "/jobs", &who, false, &body).into_response());
    }
    let found = find(&desk, &search, state, word, limit, &who).await?;
    let body = html! {
        (form(&desk, &search).await?)
        @if found.is_empty() { (layout::nothing("No jobs.", "Ended jobs are kept for a while only: keep_done and keep_dead of the queue.")) }
        @else { (table(&desk, &found, &who)) }
    };
    Ok(layout::page("Jobs", "/jobs", &who, word.is_empty(), &body).into_response())
}

/// A state by its word.
pub(super) fn state_of(told: &str) -> Result<JobState, Refused> {
    let known = STATES.iter().find(|(word, _)| *word == told).map(|(_, state)| *state);
    let words: Vec<&str> = STATES.iter().map(|(word, _)| *word).collect();
    let help = format!("states are: {}", words.join(", "));
    known.ok_or_else(|| Refused::bad(format!("there is no state `{}`", format::short(told, 40)), help))
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

async fn find(
    desk: &Desk,
    search: &Search,
    state: Option<JobState>,
    word: &str,
    limit: usize,
    who: &Identity,
) -> Result<Vec<JobView>, Refused> {
    let open = [JobState::Running, JobState::Waiting, JobState::Delayed, JobState::Blocked];
    let states = match (state, word.is_empty()) {
        (Some(state), _) => vec![state],
        (None, true) => open.to_vec(),
        (None, false) => STATES.iter().map(|(_, state)| *state).collect(),
    };
    let is_plain = word.is_empty() && search.kind.is_empty();
    let most = if is_plain { limit } else { SEARCHED_MAX };
    let word = word.to_lowercase();
    let mut found = Vec::new();
    for (name, queue) in desk.site.all_queues().await? {
        if !search.queue.is_empty() && search.queue != name {
            continue;
        }
        for state in &states {
            let views = queue.list(*state, most).await?;
            found.extend(views.into_iter().filter(|view| {
                (search.kind.is_empty() || view.kind == search.kind) && says(view, &word, who)
            }));
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// Whether the word stands in what somebody may see of a job.
fn says(view: &JobView, word: &str, who: &Identity) -> bool {
    if word.is_empty() {
        return true;
    }
    let mut texts = vec![view.id.clone(), view.kind.clone(), view.worker.clone()];
    texts.extend(view.outcome.as_ref().and_then(|outcome| outcome.reason.clone()));
    texts.extend(view.trail.iter().cloned());
    if who.sees_payloads() {
        texts.push(view.args.to_string());
    }
    texts.iter().any(|text| text.to_lowercase().contains(word))
}

async fn form(desk: &Desk, search: &Search) -> Result<Markup, Refused> {
    let queues = desk.site.all_queues().await?;
    Ok(html! {
        form.search method="get" action="/jobs" role="search" {
            input type="search" name="q" value=(search.q) aria-label="Id or words" placeholder="id, or words of an error" maxlength=(WORD_MAX);
            select name="queue" aria-label="Queue" {
                option value="" { "all queues" }
                @for name in queues.keys() { option value=(name) selected[*name == search.queue] { (name) } }
            }
            select name="kind" aria-label="Kind" {
                option value="" { "all kinds" }
                @for kind in desk.site.catalog.kinds() { option value=(kind.name) selected[kind.name == search.kind] { (kind.name) } }
                @if !search.kind.is_empty() && desk.site.catalog.get(&search.kind).is_none() { option value=(search.kind) selected { (search.kind) } }
            }
            select name="state" aria-label="State" {
                option value="" { "not ended" }
                @for (word, _) in STATES { option value=(word) selected[*word == search.state] { (word) } }
                @if desk.pool.is_some() { option value=(past::STATE) selected[search.state == past::STATE] { (past::STATE) } }
            }
            button type="submit" { "Search" }
        }
    })
}

/// Jobs as a table.
pub(super) fn table(desk: &Desk, views: &[JobView], who: &Identity) -> Markup {
    let now = desk.site.clock.now();
    html! {
        div.wide { table {
            thead { tr { th { "Job" } th { "Kind" } th { "Queue" } th { "State" } th.n { "Attempt" } th { "Enqueued" } th { "What is said of it" } } }
            tbody {
                @for view in views {
                    tr {
                        td { a href=(path_of(&view.queue, &view.id)) { code { (format::short(&view.id, 34)) } } }
                        td { (view.kind) }
                        td { (view.queue) }
                        td { span class=(format!("state-{}", standing(view))) { (standing(view)) } }
                        td.n { (view.attempt) }
                        td { (format::ago(view.enqueued_ms, now)) }
                        td.text { (format::short(&told(view, who), 120)) }
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
