//! A `[writes.NAME]`.

use std::time::Duration;

use brasa_jobs::writes::Standing;
use brasa_shared::config::{Mode, Role};
use brasa_shared::db::writes::Progress;
use maud::{Markup, html};

use super::dead::REPLAYED_MAX;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::view::{chart, format, layout};

/// How far its rows are.
pub(super) fn card(
    desk: &Desk,
    name: &str,
    streams: &[&Standing],
    dead: Option<u64>,
    who: &Identity,
) -> Markup {
    let has_dead = dead.is_some_and(|dead| dead > 0);
    let now_ms = desk.site.clock.now().as_millisecond();
    let waiting: u64 = streams.iter().map(|standing| standing.extent.entries).sum();
    let oldest = streams.iter().filter_map(|standing| standing.oldest_ms(now_ms)).max();
    let written: i64 = progress(streams).map(|progress| progress.done.rows).sum();
    let bytes = streams.iter().map(|standing| standing.extent.bytes).sum();
    let pace = desk.series.written(name);
    let paused = progress(streams).find_map(|progress| progress.paused.as_ref());
    html! {
        section.card #(format!("writes-{name}")) {
            h2 { (name) }
            @if let Some((why, by)) = paused {
                p.state.warn { "Paused by " (by.as_deref().unwrap_or("Brasa")) @if !why.is_empty() { ": " (format::short(why, 400)) } }
            }
            (goal(desk, name))
            dl.counts {
                div { dt { "Waiting" } dd { (format::count(waiting)) } }
                div { dt { "Oldest" } dd { (oldest.map_or("-".into(), lasting)) } }
                div { dt { "Written" } dd { (format::count(written.unsigned_abs())) } }
                div class=[has_dead.then_some("bad")] {
                    dt { "Dead" }
                    dd { @match dead { None => { "?" } Some(0) => { "0" } Some(dead) => { a href="#dead" { (format::count(dead)) } } } }
                }
            }
            (chart::area(&pace, &format!("rows of {name} written per second, over the last hour at most")))
            p.dim {
                (pace.last().map_or("-".into(), |rate| format::rate(*rate))) " written now, "
                (format::rate(pace.iter().copied().fold(0.0, f64::max))) " at most in the last hour · " (format::bytes(bytes)) " in Redis"
            }
            (streams_of(streams, now_ms))
            (acts(name, paused.is_some(), dead.unwrap_or_default(), who))
        }
    }
}

fn progress<'s>(streams: &'s [&Standing]) -> impl Iterator<Item = &'s Progress> {
    streams.iter().filter_map(|standing| standing.progress.as_ref())
}

fn lasting(ms: i64) -> String {
    format::lasting(Duration::from_millis(ms.unsigned_abs()))
}

/// Where rows go, and how.
fn goal(desk: &Desk, name: &str) -> Markup {
    let Some(write) = desk.site.config.writes.get(name) else { return html! {} };
    let how = match &write.mode {
        Mode::Append => "appended to",
        Mode::Upsert(_) => "merged into",
    };
    html! {
        p.dim {
            (how) " " code { (write.table) } ", " (format::count(write.batch as u64)) " at a time at most, "
            "after " (format::lasting(write.wait)) " at the latest · room for " (format::count(write.rows_max))
        }
    }
}

/// Who writes what, stream by stream.
fn streams_of(streams: &[&Standing], now_ms: i64) -> Markup {
    html! {
        dl.facts {
            @for standing in streams {
                @let done = standing.progress.as_ref().map(|progress| progress.done).unwrap_or_default();
                dt { @if streams.len() > 1 { "Part " (standing.stream.part) } @else { "Writer" } }
                dd {
                    (writer(standing.progress.as_ref()))
                    @if streams.len() > 1 {
                        " · " (format::count(standing.extent.entries)) " wait"
                        @if let Some(ms) = standing.oldest_ms(now_ms) { ", the oldest for " (lasting(ms)) }
                    }
                    @if done.doubled > 0 { " · " (format::count(done.doubled.unsigned_abs())) " came again" }
                    @if let Some(lost) = standing.progress.as_ref().map(|progress| progress.lost).filter(|lost| *lost > 0) {
                        " · " span.bad { (format::count(lost.unsigned_abs())) " never came" }
                    }
                }
            }
        }
    }
}

fn writer(progress: Option<&Progress>) -> Markup {
    html! {
        @match progress {
            None => { span.warn { "no worker has been here" } }
            Some(Progress { owner: Some(owner), .. }) => { (owner) }
            Some(Progress { paused: Some(_), .. }) => { "nobody" }
            Some(_) => { span.warn { "nobody writes it" } }
        }
        @if let Some(idle) = progress.and_then(|progress| progress.idle) { ", wrote last " (format::lasting(idle)) " ago" }
    }
}

fn acts(name: &str, is_paused: bool, dead: u64, who: &Identity) -> Markup {
    let again = match dead {
        ..=REPLAYED_MAX => "Write the dead rows again".to_owned(),
        _ => format!("Write the oldest {REPLAYED_MAX} dead rows again"),
    };
    let to = |verb: &str| format!("/writes/{}/{verb}", format::segment(name));
    html! {
        @if who.may(Role::Operator) {
            div.acts {
                @if is_paused { (layout::button(&to("resume"), "Resume", None, true)) }
                @else {
                    form.act method="post" action=(to("pause")) {
                        input name="reason" aria-label=(format!("Why {name} is paused")) placeholder="why" maxlength="200";
                        button type="submit" title="Rows wait in Redis until it is resumed." { "Pause" }
                    }
                }
                (layout::button(&to("replay"), &again, None, dead > 0))
            }
        }
    }
}
