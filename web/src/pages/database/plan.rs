//! What care would do now, and what it did.

use std::time::Duration;

use brasa_jobs::database::ledger::Action;
use brasa_jobs::database::rebuild::Item;
use brasa_jobs::database::whole::Whole;
use brasa_shared::config::{CareMode, Role};
use maud::{Markup, html};

use crate::auth::Identity;
use crate::desk::Desk;
use crate::view::database::Seen;
use crate::view::{format, layout};

/// How many lines of a plan are shown.
const SHOWN: usize = 30;

/// A statement, why, and what it gives.
type Line = (String, String, String);

/// What would be done, and what runs it.
pub(super) fn card(desk: &Desk, seen: &Seen, who: &Identity) -> Markup {
    html! {
        section.card #plan {
            h2 { "What is to be done" }
            (mode(desk))
            @match &seen.plan {
                Err(missing) => { (missing) }
                Ok(whole) => { (lines(whole)) }
            }
            (acts(seen, who))
        }
    }
}

fn mode(desk: &Desk) -> Markup {
    let care = &desk.site.config.maintenance;
    let now = desk.site.clock.now();
    let is_open = care.windows.open_until(now).is_some();
    let next = care.windows.next(now).map(|next| format::ago(next.as_millisecond(), now));
    html! {
        @match care.mode {
            CareMode::Apply if is_open => { p.dim { "Jobs of care change the database now." } }
            CareMode::Apply => { p.state.warn { "It is outside of [maintenance] windows: jobs wait for the next, " (next.unwrap_or_else(|| "which is not soon".into())) "." } }
            mode => { p.state.warn { "Nothing is changed: [maintenance] mode is \"" (mode.word()) "\"." } }
        }
    }
}

fn lines(whole: &Whole) -> Markup {
    let analyze = whole
        .analyze
        .tables
        .iter()
        .map(|(table, why)| (format!("analyze {}", table.name), why.words(), String::new()));
    let vacuum = whole
        .vacuum
        .tables
        .iter()
        .map(|(table, why)| (format!("vacuum {}", table.name), why.words().to_owned(), String::new()));
    let all: Vec<Line> = analyze.chain(vacuum).chain(whole.reindex.chosen().map(rebuilt)).collect();
    let others: Vec<&str> =
        whole.analyze.others.iter().chain(&whole.vacuum.others).map(String::as_str).collect();
    html! {
        @if all.is_empty() { p { "There is nothing to do." } }
        @else {
            div.wide { table {
                thead { tr { th { "Statement" } th { "Why" } th.n { "Gives back" } } }
                tbody {
                    @for (statement, why, gain) in all.iter().take(SHOWN) {
                        tr { td { code { (statement) } } td.text { (why) } td.n { (gain) } }
                    }
                }
            } }
            @if all.len() > SHOWN { p.dim { "and " (all.len() - SHOWN) " more: " code { "brasa db plan" } } }
        }
        @if whole.reindex.left_over > 0 { p.dim { (whole.reindex.left_over) " more indexes are worth a rebuild than a run does." } }
        @if !others.is_empty() { p.dim { "Left alone, as other roles own them: " (format::short(&others.join(", "), 300)) } }
        p.dim { "Plan " code { (whole.hash) } "; " code { "brasa db apply --plan " (whole.hash) } " does this and nothing else." }
    }
}

fn rebuilt(item: &Item) -> Line {
    let gain = item.choice.gain.map_or_else(String::new, |(gain, share)| {
        format!("{}, {}", format::bytes(gain), format::percent(share))
    });
    (item.statement(), item.choice.reason.words().to_owned(), gain)
}

/// What runs parts of it as jobs. Where the plan is not known, each may be worth it.
fn acts(seen: &Seen, who: &Identity) -> Markup {
    let count = |of: fn(&Whole) -> usize| seen.plan.as_ref().ok().map(of);
    let acts = [
        (
            "analyze",
            "Analyze now",
            "Analyze the tables that need it",
            count(|whole| whole.analyze.tables.len()),
        ),
        ("vacuum", "Vacuum now", "Vacuum the tables that need it", count(|whole| whole.vacuum.tables.len())),
        (
            "reindex",
            "Rebuild indexes now",
            "Rebuild the indexes that are mostly waste",
            count(|whole| whole.reindex.chosen().count()),
        ),
    ];
    html! {
        @if who.may(Role::Admin) {
            div.acts {
                @for (what, label, ask, count) in acts {
                    @let ask = format!("{ask}, as a job? It obeys [maintenance].");
                    (layout::button(&format!("/database/run/{what}"), label, Some(&ask), count != Some(0)))
                }
            }
        }
    }
}

/// What was done last.
pub(super) fn history(desk: &Desk, seen: &Seen) -> Markup {
    let now = desk.site.clock.now();
    html! {
        h2 { "What was done" }
        @match &seen.actions {
            Err(missing) => { (missing) }
            Ok(all) if all.is_empty() => { p.dim { "Nothing has been done yet." } }
            Ok(all) => {
                div.wide { table {
                    thead { tr { th { "When" } th { "What" } th { "Came to" } th.n { "Took" } th { "Size" } th { "By" } } }
                    tbody {
                        @for action in all {
                            tr {
                                td { (format::ago(action.started_ms, now)) }
                                td.text { (action.kind) " " code { (action.object) } div.dim { (action.why) } }
                                td { span class=(if action.error.is_some() { "warn" } else { "state-done" }) { (action.state) } @if let Some(error) = &action.error { div.dim { (format::short(error, 200)) } } }
                                td.n { (took(action)) }
                                td { (size(action)) }
                                td { (format::short(&action.actor, 60)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn took(action: &Action) -> String {
    action.took_ms.map_or_else(|| "-".into(), |ms| format::lasting(Duration::from_millis(ms.unsigned_abs())))
}

fn size(action: &Action) -> String {
    match action.bytes {
        (Some(before), Some(after)) => {
            format!("{} → {}", format::bytes(before.unsigned_abs()), format::bytes(after.unsigned_abs()))
        }
        _ => "-".to_owned(),
    }
}
