//! Schedules: when they fire next, in their own zone, what became of the last ticks, and who has paused them.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use brasa_shared::config::{Role, Schedule};
use brasa_shared::queue::{SchedulePause, TickVerdict};
use brasa_shared::units::parse_duration;
use maud::{Markup, html};

use super::act::{Actor, Reason};
use crate::acts::schedules;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::guard::Form;
use crate::routes::{OPERATOR, Route, VIEWER};
use crate::view::layout::Again;
use crate::view::{format, layout};

/// How many ticks ahead are shown, and how many of the past.
const SHOWN: (usize, usize) = (3, 10);
/// How many verdicts of a queue are looked through.
const LOG_MAX: usize = 1_000;
/// How long a pause may last, as it is written and as it is shown. The first is chosen where nobody chooses.
const LASTING: [(&str, &str); 7] = [
    ("", "until resumed"),
    ("15m", "for 15 minutes"),
    ("1h", "for an hour"),
    ("4h", "for 4 hours"),
    ("12h", "for 12 hours"),
    ("1d", "for a day"),
    ("1w", "for a week"),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/schedules", VIEWER, get(show)),
        Route::post("/schedules/{name}/run", OPERATOR, post(run)),
        Route::post("/schedules/{name}/pause", OPERATOR, post(pause)),
        Route::post("/schedules/{name}/resume", OPERATOR, post(resume)),
    ]
}

async fn show(State(desk): State<Desk>, Extension(who): Extension<Identity>) -> Result<Markup, Refused> {
    let mut past: BTreeMap<String, Vec<TickVerdict>> = BTreeMap::new();
    for queue in desk.site.queues().into_values() {
        for verdict in queue.tick_log(LOG_MAX).await? {
            past.entry(verdict.schedule.clone()).or_default().push(verdict);
        }
    }
    let mut pauses = desk.site.fleet().paused_schedules().await?;
    let schedules = &desk.site.config.schedules;
    let cards: Vec<Markup> = schedules
        .iter()
        .map(|(name, schedule)| {
            let past = past.remove(name).unwrap_or_default();
            card(&desk, name, schedule, pauses.remove(name).as_ref(), past, &who)
        })
        .collect();
    let body = html! {
        @if schedules.is_empty() { (layout::nothing("There are no schedules.", "Write one: [schedules.NAME] with a job and a crontab.")) }
        @for card in &cards { (card) }
        @for (name, pause) in &pauses { (forgotten(&desk, name, pause, &who)) }
    };
    Ok(layout::page("Schedules", "/schedules", &who, Again::Live, &body))
}

fn card(
    desk: &Desk,
    name: &str,
    schedule: &Schedule,
    pause: Option<&SchedulePause>,
    mut past: Vec<TickVerdict>,
    who: &Identity,
) -> Markup {
    let now = desk.site.clock.now();
    past.sort_by_key(|verdict| std::cmp::Reverse(verdict.instant));
    past.truncate(SHOWN.1);
    let zone = schedule.zone.iana_name().unwrap_or("UTC");
    let ahead = schedules::ticks(schedule, pause, now, SHOWN.0);
    html! {
        section.card #(format!("schedule-{name}")) {
            h2 { (name) @if schedule.paused { " " span.warn { "paused in the configuration" } } }
            p { code { (schedule.job) } " · " (schedules::spell(&schedule.when)) " · " (zone) }
            @if let Some(pause) = pause {
                (paused(desk, pause))
                @if who.may(Role::Operator) { p.dim { "Run it now enqueues its job all the same; its ticks stay out." } }
            }
            dl.facts {
                dt { "Next" }
                dd {
                    @if ahead.is_empty() { @if pause.is_some() { "once it is resumed" } @else { "never" } }
                    @for tick in ahead {
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
                                @if !verdict.why.is_empty() { " · " (format::short(&verdict.why, 100)) }
                                @else if !verdict.job.is_empty() { " · " a href=(format!("/jobs?q={}", format::segment(&verdict.job))) { (format::short(&verdict.job, 60)) } }
                            }
                        }
                    }
                }
            }
            @if who.may(Role::Operator) { (buttons(name, pause)) }
        }
    }
}

/// Who paused it, since when, until when, and why.
fn paused(desk: &Desk, pause: &SchedulePause) -> Markup {
    let now = desk.site.clock.now();
    html! {
        p.state.warn {
            "Paused by " (pause.by) ", " (format::ago(pause.at, now)) ", "
            @match pause.until {
                Some(until) => { "ends " (format::ago(until, now)) " (" (format::instant(until)) ")" }
                None => "until somebody resumes it"
            }
            @if !pause.reason.is_empty() { ": " (pause.reason) }
        }
    }
}

fn buttons(name: &str, pause: Option<&SchedulePause>) -> Markup {
    let to = |verb: &str| format!("/schedules/{}/{verb}", format::segment(name));
    html! {
        div.acts {
            (layout::button(&to("run"), "Run it now", None, true))
            @if pause.is_some() { (layout::button(&to("resume"), "Resume", None, true)) }
            @else {
                form.act method="post" action=(to("pause")) {
                    input name="reason" aria-label="Why: Pause" placeholder="why" maxlength="200";
                    select name="for" aria-label="For how long" {
                        @for (span, words) in LASTING { option value=(span) { (words) } }
                    }
                    button type="submit" title="Its ticks stay out and are not made up for; jobs that are enqueued already run." { "Pause" }
                }
            }
        }
    }
}

/// A name that is paused and that the configuration does not have: a schedule that was renamed or taken out.
fn forgotten(desk: &Desk, name: &str, pause: &SchedulePause, who: &Identity) -> Markup {
    let to = format!("/schedules/{}/resume", format::segment(name));
    html! {
        section.card #(format!("schedule-{name}")) {
            h2 { (name) " " span.warn { "in no configuration of this process" } }
            (paused(desk, pause))
            p.dim { "A schedule of this name that comes again is paused." }
            div.acts { (layout::button(&to, "Forget it", None, who.may(Role::Operator))) }
        }
    }
}

/// What is said with a pause.
#[derive(Debug, serde::Deserialize)]
struct ToPause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    r#for: String,
}

async fn run(State(desk): State<Desk>, Path(name): Path<String>, actor: Actor) -> Result<Redirect, Refused> {
    let id = schedules::run(&desk, &name, &actor).await?;
    Ok(Redirect::to(&format!("/jobs?q={}", format::segment(&id))))
}

async fn pause(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
    Form(asked): Form<ToPause>,
) -> Result<Redirect, Refused> {
    let lasting = match asked.r#for.as_str() {
        "" => None,
        text => Some(parse_duration(text).map_err(|error| Refused::bad(error.to_string(), error.help()))?),
    };
    let pausing = schedules::Pausing { reason: Reason { reason: asked.reason }.text(), lasting, until: None };
    schedules::pause(&desk, &name, pausing, &actor).await?;
    Ok(actor.back("/schedules"))
}

async fn resume(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    actor: Actor,
) -> Result<Redirect, Refused> {
    schedules::resume(&desk, &name, &actor).await?;
    Ok(actor.back("/schedules"))
}
