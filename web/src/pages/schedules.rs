//! Schedules: when they fire next, in their own zone, and what became of the last ticks.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_shared::config::{Role, Schedule};
use brasa_shared::queue::TickVerdict;
use maud::{Markup, html};

use super::act::Actor;
use crate::acts::schedules;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::routes::{OPERATOR, Route, VIEWER};
use crate::view::{format, layout};

/// How many ticks ahead are shown, and how many of the past.
const SHOWN: (usize, usize) = (3, 10);
/// How many verdicts of a queue are looked through.
const LOG_MAX: usize = 1_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/schedules", VIEWER, get(show)),
        Route::post("/schedules/{name}/run", OPERATOR, post(run)),
    ]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let mut past: BTreeMap<String, Vec<TickVerdict>> = BTreeMap::new();
    for queue in desk.site.queues().into_values() {
        for verdict in queue.tick_log(LOG_MAX).await? {
            past.entry(verdict.schedule.clone()).or_default().push(verdict);
        }
    }
    let schedules = &desk.site.config.schedules;
    let body = html! {
        @if schedules.is_empty() { (layout::nothing("There are no schedules.", "Write one: [schedules.NAME] with a job and a crontab.")) }
        @for (name, schedule) in schedules {
            (card(&desk, name, schedule, past.get_mut(name).map(std::mem::take).unwrap_or_default(), &who))
        }
    };
    Ok(layout::page("Schedules", "/schedules", &who, true, &body))
}

fn card(desk: &Desk, name: &str, schedule: &Schedule, mut past: Vec<TickVerdict>, who: &Identity) -> Markup {
    let now = desk.site.clock.now();
    past.sort_by_key(|verdict| std::cmp::Reverse(verdict.instant));
    past.truncate(SHOWN.1);
    let zone = schedule.zone.iana_name().unwrap_or("UTC");
    html! {
        section.card #(format!("schedule-{name}")) {
            h2 { (name) @if schedule.paused { " " span.warn { "paused in the configuration" } } }
            p { code { (schedule.job) } " · " (schedules::spell(&schedule.when)) " · " (zone) }
            dl.facts {
                dt { "Next" }
                dd {
                    @for tick in schedules::ticks(schedule, now, SHOWN.0) {
                        div { (format::ago(tick.as_millisecond(), now)) " · " (tick.to_zoned(schedule.zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %:z")) }
                    }
                }
                @if !past.is_empty() {
                    dt { "Before" }
                    dd {
                        @for verdict in &past {
                            div {
                                span class=(if verdict.verdict == "fired" { "state-done" } else { "warn" }) { (verdict.verdict) } " "
                                (format::ago(verdict.instant.as_millisecond(), now))
                                @if !verdict.job.is_empty() { " · " a href=(format!("/jobs?q={}", format::segment(&verdict.job))) { (format::short(&verdict.job, 60)) } }
                            }
                        }
                    }
                }
            }
            @if who.may(Role::Operator) {
                div.acts { (layout::button(&format!("/schedules/{}/run", format::segment(name)), "Run it now", None, true)) }
            }
        }
    }
}

async fn run(State(desk): State<Desk>, Path(name): Path<String>, actor: Actor) -> Result<Redirect, Refused> {
    let id = schedules::run(&desk, &name, &actor).await?;
    Ok(Redirect::to(&format!("/jobs?q={}", format::segment(&id))))
}
