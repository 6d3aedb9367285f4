//! Workers: what runs where, since when, and with which build.

use axum::Extension;
use axum::extract::State;
use axum::routing::get;
use brasa_shared::queue::{JobView, State as JobState};
use maud::{Markup, html};

use super::jobs::path_of;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{Route, VIEWER};
use crate::view::layout::Again;
use crate::view::{format, layout};

/// How many running jobs of a queue are looked at.
const RUNNING_MAX: usize = 500;
/// How many of a worker are shown.
const SHOWN: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/workers", VIEWER, get(show))]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let workers = desk.site.fleet().live_workers().await?;
    let mut running: Vec<JobView> = Vec::new();
    for queue in desk.site.all_queues().await?.values() {
        running.extend(queue.list(JobState::Running, RUNNING_MAX).await?);
    }
    let now = desk.site.clock.now();
    let slots: usize = workers.iter().map(|worker| worker.concurrency).sum();
    let body = html! {
        @if workers.is_empty() {
            (layout::nothing("No worker was seen within the last 20 seconds.", "Jobs wait until one is there: brasa worker, or brasa run."))
        } @else {
            p.dim { (workers.len()) " workers for " (slots) " jobs at a time, " (running.len()) " run" }
        }
        @for worker in &workers {
            @let held: Vec<&JobView> = running.iter().filter(|view| view.worker == worker.worker).collect();
            section.card #(format!("worker-{}", worker.worker)) {
                h2 { (worker.worker) }
                p.dim { (worker.host) " · process " (worker.pid) " · build " (worker.version) " · since " (format::ago(worker.since, now)) }
                p { (held.len()) " of " (worker.concurrency) " places taken · queues: " (worker.queues.join(", ")) }
                @if !held.is_empty() {
                    ul.plain {
                        @for view in held.iter().take(SHOWN) {
                            li { a href=(path_of(&view.queue, &view.id)) { (view.kind) } " since " (format::ago(view.started_ms, now)) @if let Some(note) = &view.note { " · " (format!("{:.0} % ", note.share * 100.0)) (note.text) } }
                        }
                        @if held.len() > SHOWN { li.dim { "and " (held.len() - SHOWN) " more" } }
                    }
                }
            }
        }
    };
    Ok(layout::page("Workers", "/workers", &who, Again::Live, &body))
}
