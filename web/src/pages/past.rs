//! Jobs that have ended, from the history in Postgres: what Redis no longer knows.

use std::time::Duration;

use brasa_jobs::history::{self, Past, Search};
use maud::{Markup, html};

use super::jobs::path_of;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::search::{Wanted, limit};
use crate::view::layout::Again;
use crate::view::{format, layout};

/// What stands for them where a state is chosen.
pub(super) const STATE: &str = "history";

/// How many jobs of the history may be passed over.
const PASSED_MAX: u32 = 100_000;

/// Where the next page begins.
pub(super) enum Next {
    /// There is none.
    None,
    /// Behind so many.
    At(u32),
    /// Behind more than may be passed over.
    TooFar,
}

/// Jobs of the history, the latest first: of this id, or with the text in their reason, where one is given. With where
/// the next page begins, if there may be one.
pub(super) async fn search(
    desk: &Desk,
    wanted: &Wanted<'_>,
    after: &str,
) -> Result<(Vec<Past>, Next), Refused> {
    let Some(pool) = &desk.pool else {
        return Err(Refused::bad("there is no history", "give the address of Postgres in DATABASE_URL"));
    };
    if !history::exists(pool).await? {
        return Err(Refused::bad("there is no history", "brasa migrate makes the table for it"));
    }
    let skip = match after {
        "" => Some(0),
        passed => passed.parse().ok().filter(|passed| *passed <= PASSED_MAX),
    };
    let Some(skip) = skip else {
        return Err(Refused::bad("`after` is no place in a list", "take it from the page before"));
    };
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    if let Some(id) = given(wanted.text) {
        let ends = history::find(pool, &id).await?;
        if !ends.is_empty() {
            return Ok((ends, Next::None));
        }
    }
    let limit = u32::try_from(limit(wanted.limit)?).unwrap_or(u32::MAX);
    let now = desk.site.clock.now();
    let search = Search {
        queue: given(wanted.queue),
        kind: given(wanted.kind),
        since: wanted.since.map(|since| since.before(now)),
        until: wanted.until.map(|until| until.before(now)),
        text: given(wanted.text),
        // One more, to know whether there are more.
        limit: limit + 1,
        skip,
        ..Search::default()
    };
    let mut found = history::search(pool, &search.within_reason(now)).await?;
    let next = match skip + limit {
        _ if found.len() <= limit as usize => Next::None,
        passed if passed <= PASSED_MAX => Next::At(passed),
        _ => Next::TooFar,
    };
    found.truncate(limit as usize);
    Ok((found, next))
}

/// Such jobs as a table.
pub(super) fn table(desk: &Desk, found: &[Past], who: &Identity) -> Markup {
    let now = desk.site.clock.now();
    html! {
        @if found.is_empty() {
            (layout::nothing("No such jobs in the history.", "Words are looked for in reasons of the last week, unless it is said since when."))
        } @else {
            div.wide { table {
                thead { tr { th { "Job" } th { "Kind" } th { "Queue" } th { "Ending" } th.n { "Attempt" } th { "Ended" } th.n { "Took" } th { "What is said of it" } } }
                tbody {
                    @for past in found {
                        tr {
                            td { a href=(path_of(&past.queue, &past.id)) { code { (format::short(&past.id, 34)) } } }
                            td { (past.kind) }
                            td { (past.queue) }
                            td { span class=(format!("state-{}", past.ending)) { (past.ending) } }
                            td.n { (past.attempt) }
                            td { (format::ago(past.ended_ms, now)) }
                            td.n { (format::lasting(took(past))) }
                            td.text { (format::short(&told(past, who), 120)) }
                        }
                    }
                }
            } }
        }
    }
}

/// A job that its queue no longer knows; none where the history does not know it either.
pub(super) async fn job(
    desk: &Desk,
    queue: &str,
    id: &str,
    who: &Identity,
) -> Result<Option<Markup>, Refused> {
    let Some(pool) = &desk.pool else { return Ok(None) };
    // Whoever cannot be asked knows nothing: the job is absent, as it is without a history.
    let ends = history::find(pool, id).await.unwrap_or_default();
    let ends: Vec<Past> = ends.into_iter().filter(|past| past.queue == queue).collect();
    let Some((last, before)) = ends.split_first() else { return Ok(None) };
    let body = html! {
        p.id { code { (last.id) } }
        p.dim { "Its queue no longer knows this job; this is what the history has." }
        (facts(desk, last))
        (earlier(desk, before))
        (payload(last, who))
    };
    let title = if last.kind.is_empty() { "A job that cannot be read" } else { &last.kind };
    Ok(Some(layout::page(title, "/jobs", who, Again::Never, &body)))
}

fn facts(desk: &Desk, past: &Past) -> Markup {
    let now = desk.site.clock.now();
    let at = |ms: i64| html! { time title=(format::instant(ms)) { (format::ago(ms, now)) } };
    html! {
        dl.facts {
            dt { "State" } dd { span class=(format!("state-{}", past.ending)) { (past.ending) } }
            dt { "Queue" } dd { a href=(format!("/queues#queue-{}", past.queue)) { (past.queue) } }
            @if let Some(enqueued) = past.enqueued_ms { dt { "Enqueued" } dd { (at(enqueued)) } }
            @if let Some(started) = past.started_ms { dt { "Started" } dd { (at(started)) } }
            dt { "Ended" } dd { (at(past.ended_ms)) ", after " (format::lasting(took(past))) }
            @if past.attempt > 0 { dt { "Attempt" } dd { (past.attempt) } }
            @if !past.worker.is_empty() { dt { "Worker" } dd { (past.worker) } }
            @if let Some(schedule) = &past.schedule { dt { "Schedule" } dd { a href="/schedules" { (schedule) } } }
            @if let Some(share) = &past.share { dt { "Share" } dd { (share) } }
            @if let Some(reason) = &past.reason { dt { "Reason" } dd.message { (reason) } }
            @if let Some(trace) = &past.trace { dt { "Trace" } dd { code { (trace) } } }
        }
    }
}

/// How it ended before it was started again.
fn earlier(desk: &Desk, before: &[Past]) -> Markup {
    let now = desk.site.clock.now();
    html! {
        @if !before.is_empty() {
            h2 { "Earlier ends" }
            ol.timeline {
                @for past in before {
                    li { time title=(format::instant(past.ended_ms)) { (format::ago(past.ended_ms, now)) } " " (past.ending) " " (past.reason.as_deref().unwrap_or_default()) }
                }
            }
        }
    }
}

/// What it was given and what it returned, for those who may see that.
fn payload(past: &Past, who: &Identity) -> Markup {
    if !who.sees_payloads() {
        return html! { p.dim { "Its arguments and its result are shown to operators." } };
    }
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
    html! {
        h2 { "Arguments" }
        @match &past.args {
            Some(args) => pre { (pretty(args)) },
            None => p.dim { "They are kept only where [history] args = true." },
        }
        @if let Some(result) = &past.result {
            h2 { "Result" }
            pre { (pretty(result)) }
        }
    }
}

fn told(past: &Past, who: &Identity) -> String {
    let result = past.result.as_ref().filter(|_| who.sees_payloads());
    past.reason.clone().or(result.map(ToString::to_string)).unwrap_or_default()
}

fn took(past: &Past) -> Duration {
    Duration::from_millis(past.took_ms.unsigned_abs())
}
