//! The overview: is all well, and if not, where to look.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::routing::get;
use brasa_jobs::database::review::store::list as recommendations;
use brasa_shared::queue::{Ending, State as JobState};
use maud::{Markup, html};

use super::queues::until_empty;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{Route, VIEWER};
use crate::view::series::{Sample, look};
use crate::view::{chart, format, layout};

/// Of how many ended jobs of each queue the times are taken.
const ENDED: usize = 200;
/// For how long the database may take to answer before it is said to be away.
const ANSWER_MAX: Duration = Duration::from_millis(500);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/", VIEWER, get(show))]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let now = look(&desk).await?;
    let (times, database) = tokio::join!(times(&desk), database(&desk));
    let body = html! {
        div.figures { (figures(&desk, &now)) }
        div.cards {
            (throughput(&desk))
            (latency(&times?))
            (cache(&desk))
            (database)
        }
        (queues(&desk, &now))
    };
    Ok(layout::page("Overview", "/", &who, true, &body))
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

fn throughput(desk: &Desk) -> Markup {
    let paces = desk.series.paces(None);
    let done: Vec<f64> = paces.iter().map(|pace| pace.done).collect();
    let failed: Vec<f64> = paces.iter().map(|pace| pace.failed).collect();
    let top = |values: &[f64]| format::rate(values.iter().copied().fold(0.0, f64::max));
    html! {
        section.card {
            h2 { "Throughput" }
            (chart::area(&done, "jobs done per second, over the last hour at most"))
            p.dim { "done, " (top(&done)) " at most, since this process began or in the last hour" }
            div.failing { (chart::area(&failed, "attempts that failed per second, over the last hour at most")) }
            p.dim { "failed attempts, " (top(&failed)) " at most" }
        }
    }
}

/// How long jobs took of late, and how many of them failed, in ms.
#[derive(Debug, Default)]
struct Times {
    took: Vec<u64>,
    failed: usize,
}

/// The times of the jobs that ended last.
async fn times(desk: &Desk) -> Result<Times, Refused> {
    let mut times = Times::default();
    for queue in desk.site.all_queues().await?.values() {
        for view in queue.list(JobState::Done, ENDED).await? {
            let Some(outcome) = view.outcome else { continue };
            times.failed += usize::from(outcome.ending != Ending::Done);
            times.took.push(outcome.took_ms);
        }
    }
    times.took.sort_unstable();
    Ok(times)
}

fn latency(times: &Times) -> Markup {
    let at = |share: usize| {
        let place = (times.took.len() * share / 100).min(times.took.len().saturating_sub(1));
        times.took.get(place).map_or("-".to_owned(), |ms| format::lasting(Duration::from_millis(*ms)))
    };
    html! {
        section.card {
            h2 { "How long jobs take" }
            dl.counts {
                div { dt { "Half" } dd { (at(50)) } }
                div { dt { "95 %" } dd { (at(95)) } }
                div { dt { "99 %" } dd { (at(99)) } }
            }
            p.dim { "of the last " (times.took.len()) " that ended" @if times.failed > 0 { ", " (times.failed) " of them not done" } }
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
            p.big { (all.map_or("-".into(), format::percent)) }
            (chart::area(&rates, "share of reads that found something, over the last hour at most"))
            p.dim { "of the reads found something, as far as readers count them" }
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
    html! {
        section.card {
            h2 { a href="/database" { "Database" } }
            @match answer {
                Ok(Ok(open)) => {
                    p.big { (format::lasting(took)) }
                    p.dim { "it took to answer" }
                    p { a href="/recommendations" { (open.len()) " open recommendation" @if open.len() != 1 { "s" } } }
                }
                Ok(Err(_)) => { p.state.warn { "It answers, but cannot be looked at: run " code { "brasa migrate" } " and " code { "brasa doctor" } "." } }
                Err(_) => { p.state.bad { "It does not answer." } }
            }
        }
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
