//! The overview: is all well, and if not, where to look.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use brasa_jobs::database::review::Severity;
use brasa_jobs::database::review::store::{Kept, list as recommendations};
use brasa_shared::minutes::Span;
use maud::{Markup, html};
use serde::Deserialize;

use super::database::sessions::oldest;
use super::lately::{machines, work};
use super::queues::until_empty;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::query;
use crate::routes::{Route, VIEWER};
use crate::view::database::look_ahead;
use crate::view::layout::Again;
use crate::view::series::{Sample, look};
use crate::view::{chart, format, lately, layout};

/// For how long the database may take to answer before it is said to be away.
const ANSWER_MAX: Duration = Duration::from_millis(500);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/", VIEWER, get(show))]
}

/// What stands behind the `?`.
#[derive(Debug, Deserialize)]
struct Asked {
    /// `day`, or an hour where it is anything else.
    #[serde(default)]
    span: String,
}

async fn show(
    State(desk): State<Desk>,
    Extension(who): Extension<Identity>,
    uri: Uri,
) -> Result<Markup, Refused> {
    let asked: Asked = query(&uri)?;
    let span = if asked.span == "day" { Span::Day } else { Span::Hour };
    let now = look(&desk).await?;
    let (lately, database) = tokio::join!(lately::look(&desk, span), database(&desk));
    if let Some(pool) = &desk.pool {
        look_ahead(&desk, pool);
    }
    let lately = lately?;
    let body = html! {
        div.figures { (figures(&desk, &now)) }
        (spans(span))
        div.cards.twos { (work(&desk, &lately, span)) }
        div.cards.below {
            (cache(&desk))
            (database)
        }
        (machines(&lately))
        (queues(&desk, &now))
    };
    Ok(layout::page("Overview", "/", &who, Again::Live, &body))
}

fn figures(desk: &Desk, sample: &Sample) -> Markup {
    let sum = |of: fn(&brasa_shared::queue::Counts) -> u64| sample.queues.values().map(of).sum::<u64>();
    let waiting = sum(|counts| counts.waiting);
    let pace = desk.series.pace(None);
    let now = desk.site.clock.now();
    let oldest = sample.queues.values().filter_map(|counts| counts.oldest_ms).min();
    html! {
        (layout::figure("Waiting", &format::count(waiting), &format!("oldest {}", oldest.map_or("-".into(), |ms| format::ago(ms, now)))))
        (layout::figure("Running", &format::count(sum(|counts| counts.running)), ""))
        (layout::figure("Done", &format::rate(pace.done), &format!("{} come in", format::rate(pace.enqueued))))
        (layout::figure("Failing", &format::rate(pace.failed), "attempts"))
        (layout::figure("Dead", &format::count(sum(|counts| counts.dead)), "in the dead letter"))
        (layout::figure("Empty in", &until_empty(waiting, pace), "at the present pace"))
    }
}

/// Which span of time is shown, and the other one.
fn spans(span: Span) -> Markup {
    html! {
        nav.spans aria-label="How far back" {
            a href="/" aria-current=[(span == Span::Hour).then_some("true")] { "Last hour" }
            a href="/?span=day" aria-current=[(span == Span::Day).then_some("true")] { "Last day" }
        }
    }
}

fn cache(desk: &Desk) -> Markup {
    if desk.site.config.warm.is_empty() {
        return html! {};
    }
    let (rates, all) = desk.series.hit_rates(None);
    html! {
        section.card {
            h2 { a href="/cache" { "Cache" } }
            @match all {
                Some(all) => {
                    p.big { (format::percent(all)) }
                    (chart::area(&rates, "share of reads that found something, over the last hour at most"))
                    p.dim { "of the reads found something, as far as readers count them" }
                },
                None => { p.dim { "No read was counted yet. Plain GETs are counted by nobody." } },
            }
        }
    }
}

async fn database(desk: &Desk) -> Markup {
    let Some(pool) = &desk.pool else { return html! {} };
    let begun = Instant::now();
    let asked = tokio::time::timeout(ANSWER_MAX, async {
        let mut connection = pool.acquire().await?;
        recommendations(&mut connection, false).await
    });
    let answer = asked.await;
    let took = begun.elapsed();
    let is_critical = |kept: &&Kept| kept.recommendation.severity == Severity::Critical;
    let critical = answer.iter().flatten().flatten().filter(is_critical).count();
    html! {
        section.card {
            h2 { a href="/database" { "Database" } }
            @match answer {
                Ok(Ok(open)) => {
                    p.big { (format::micros(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))) }
                    p.dim { "it took to answer" }
                    (suffers(desk))
                    p { a href="/recommendations" { (open.len()) " open recommendation" @if open.len() != 1 { "s" } } @if critical > 0 { span.bad { ", " (critical) " critical" } } }
                }
                Ok(Err(_)) => { p.state.warn { "It answers, but cannot be looked at: run " code { "brasa migrate" } " and " code { "brasa doctor" } "." } }
                Err(_) => { p.state.bad { "It does not answer." } }
            }
        }
    }
}

/// How full it is and who holds others up, as it was seen last; nothing where nobody has looked lately.
fn suffers(desk: &Desk) -> Markup {
    let look = desk.database.last(desk);
    let Some((look, sessions)) =
        look.as_ref().and_then(|look| Some((look, look.seen.sessions.as_ref().ok()?)))
    else {
        return html! {};
    };
    let (oldest, whose) = oldest(sessions);
    html! {
        dl.counts {
            div { dt { "Connections" } dd { (sessions.activity.used) " of " (sessions.activity.max) } }
            div { dt { "Oldest transaction" } dd title=(whose) { (oldest) } }
        }
        p.dim { "seen " (format::ago(look.at_ms, desk.site.clock.now())) }
    }
}

fn queues(desk: &Desk, sample: &Sample) -> Markup {
    let now = desk.site.clock.now();
    html! {
        h2 { "Queues" }
        div.wide { table {
            thead { tr { th { "Queue" } th.n { "Waiting" } th.n { "Running" } th.n { "Delayed" } th.n { "Dead" } th.n { "Done" } th { "Oldest" } th { "State" } } }
            tbody {
                @for (name, counts) in &sample.queues {
                    tr {
                        td { a href=(format!("/queues#queue-{name}")) { (name) } }
                        td.n { (format::count(counts.waiting)) }
                        td.n { (format::count(counts.running)) }
                        td.n { (format::count(counts.delayed)) }
                        td.n { (format::count(counts.dead)) }
                        td.n { (format::rate(desk.series.pace(Some(name)).done)) }
                        td { (counts.oldest_ms.map_or("-".into(), |ms| format::ago(ms, now))) }
                        td { @if counts.paused.is_some() { span.warn { "paused" } } @else if counts.closed.is_some() { span.warn { "drains" } } @else { "runs" } }
                    }
                }
            }
        } }
    }
}
