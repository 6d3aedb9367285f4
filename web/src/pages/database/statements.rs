//! What statements cost.

use brasa_jobs::database::history::{Flag, StatementUse};
use maud::{Markup, html};

use crate::desk::Desk;
use crate::view::database::{Seen, Statements};
use crate::view::format;

/// How many statements are shown.
const SHOWN: usize = 10;
/// How much of a statement is shown at once, in characters.
const TEXT_CHARS: usize = 140;

/// Those that cost the most.
pub(super) fn list(desk: &Desk, seen: &Seen) -> Markup {
    html! {
        h2 { "Statements that cost the most" }
        @match &seen.statements {
            Err(missing) => { (missing) }
            Ok(found) => { (table(desk, found)) }
        }
    }
}

fn table(desk: &Desk, found: &Statements) -> Markup {
    let now = desk.site.clock.now();
    html! {
        @if let Some(fault) = &found.fault { p.state.warn { (fault) } }
        @if found.all.is_empty() { p.dim { "No statement of the application ran while somebody looked." } }
        @else {
            div.wide { table {
                thead { tr { th { "Statement" } th.n { "Share" } th.n { "Calls" } th.n { "Mean" } th.n { "Usually" } th { "Stands out" } } }
                tbody { @for (one, flags) in found.all.iter().take(SHOWN) { (row(one, flags)) } }
            } }
        }
        p.dim { "Of a day, as of " (format::ago(found.at.as_millisecond(), now)) "; all of it: " code { "brasa db statements" } }
    }
}

fn row(one: &StatementUse, flags: &[Flag]) -> Markup {
    let names: Vec<&str> = flags.iter().map(|flag| flag.name()).collect();
    let is_long = one.text.chars().count() > TEXT_CHARS;
    html! {
        tr {
            td.text {
                @if is_long { details #(format!("statement-{}", one.fingerprint)) { summary { code { (format::short(&one.text, TEXT_CHARS)) } } pre { (one.text) } } }
                @else { code { (one.text) } }
            }
            td.n { (format::percent(one.share)) }
            td.n { (format::count(one.calls.unsigned_abs())) }
            td.n { (ms(one.mean_ms)) }
            td.n { (one.usual_ms.map_or("-".into(), |(median, _)| ms(median))) }
            td { span.warn { (names.join(", ")) } }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time for people")]
fn ms(ms: f64) -> String {
    format::micros((ms * 1_000.0).max(0.0).round() as u64)
}
