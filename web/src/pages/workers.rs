//! Workers: what runs where, since when, with which build, and what it takes of the machine.

use axum::Extension;
use axum::extract::State;
use axum::routing::get;
use brasa_shared::minutes::Vitals;
use brasa_shared::queue::{JobView, State as JobState, WorkerInfo};
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
    let mut runs = 0;
    for queue in desk.site.all_queues().await?.values() {
        running.extend(queue.list(JobState::Running, RUNNING_MAX).await?);
        runs += queue.counts().await?.running;
    }
    // Of more than are looked at nobody knows here who has the others.
    let at_least = if u64::try_from(running.len()).is_ok_and(|seen| seen < runs) { "at least " } else { "" };
    let vitals = desk.site.fleet().minutes().vitals_now().await?;
    let now = desk.site.clock.now();
    let slots: usize = workers.iter().map(|worker| worker.concurrency).sum();
    let body = html! {
        @if workers.is_empty() {
            (layout::nothing("No worker was seen within the last 20 seconds.", "Jobs wait until one is there: brasa worker, or brasa run."))
        } @else {
            p.dim { (workers.len()) " workers for " (slots) " jobs at a time, " (format::count(runs)) " run" }
        }
        @for worker in &workers {
            @let held: Vec<&JobView> = running.iter().filter(|view| view.worker == worker.worker).collect();
            section.card #(format!("worker-{}", worker.worker)) {
                h2 { (worker.worker) }
                p.dim { (worker.host) " · process " (worker.pid) " · build " (worker.version) " · since " (format::ago(worker.since, now)) }
                @if let Some(told) = told(&vitals, worker) { p { (told) } }
                p { (at_least) (held.len()) " of " (worker.concurrency) " places taken · queues: " (worker.queues.join(", ")) }
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

/// How a worker's process is; nothing where it has not said so, as it does every few seconds.
fn told(all: &[Vitals], worker: &WorkerInfo) -> Option<String> {
    let told = all.iter().find(|told| told.is_of(&worker.host, worker.pid))?;
    let memory = told.own_memory.map(|bytes| format!("holds {} of memory", format::bytes(bytes)));
    let cpu =
        told.own_cpu.map(|share| format!("uses {} of the machine's processors", format::percent(share)));
    let words: Vec<String> = memory.into_iter().chain(cpu).collect();
    (!words.is_empty()).then(|| words.join(", "))
}
