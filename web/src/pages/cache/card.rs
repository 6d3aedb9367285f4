//! A warmer.

use std::time::Duration;

use brasa_jobs::cache::status::{Facts, Whole};
use brasa_shared::config::Role;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::auth::Identity;
use crate::desk::Desk;
use crate::view::{chart, format, layout};

/// Everything about a warmer.
pub(super) fn card(desk: &Desk, name: &str, facts: &Facts, whole: &Whole, who: &Identity) -> Markup {
    let extent = &facts.extent;
    let numbers = [
        ("Kept warm", extent.warm),
        ("Until they end", extent.once),
        ("Known absent", extent.negatives),
        ("Waited for", extent.asked),
    ];
    html! {
        section.card #(format!("warmer-{name}")) {
            h2 { (name) }
            (version(facts))
            @if facts.stats.hit_rate().is_some() { (hits(desk, name, facts)) } @else { p.dim { "No read of it was counted yet." } }
            dl.counts { @for (name, number) in numbers { div { dt { (name) } dd { (format::count(number)) } } } }
            (misses(facts))
            (details(desk, facts))
            @for advice in facts.advice(&whole.server) { p.state.warn { (layout::marked(&advice)) } }
            (acts(name, facts, who))
        }
    }
}

/// Which share of reads found something.
fn hits(desk: &Desk, name: &str, facts: &Facts) -> Markup {
    let (rates, rate) = desk.series.hit_rates(Some(name));
    let shown = |rate: Option<f64>| rate.map_or("-".into(), format::percent);
    html! {
        p.big { (shown(rate)) }
        (chart::area(&rates, &format!("share of reads of {name} that found something, over the last hour at most")))
        p.dim { "of reads found something, in the last hour at most · " (shown(facts.stats.hit_rate())) " since they are counted" }
    }
}

/// Where workers do not know this definition.
fn version(facts: &Facts) -> Markup {
    html! {
        @if !facts.is_described() {
            p.state.warn {
                @if facts.description.is_some() { "Workers run another definition of it." }
                @else { "No worker has told of this definition yet." }
            }
        }
    }
}

/// Why reads found nothing, the most frequent first.
fn misses(facts: &Facts) -> Markup {
    let mut all: Vec<_> = facts.stats.misses().into_iter().filter(|(_, count)| *count > 0).collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let sum: u64 = all.iter().map(|(_, count)| count).sum();
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = |count: u64| count as f64 / sum.max(1) as f64;
    html! {
        @if !all.is_empty() {
            dl.facts {
                @for (why, count) in &all {
                    dt { "Missed: " (why) }
                    dd { (chart::bar(share(*count), &format!("{} of the misses", format::percent(share(*count))))) (format::count(*count)) }
                }
            }
        }
    }
}

fn details(desk: &Desk, facts: &Facts) -> Markup {
    let now = desk.site.clock.now();
    let sampled = facts.sample.notes.len();
    let age = |ms: i64| format::lasting(Duration::from_millis(ms.unsigned_abs()));
    let refused: Vec<String> = facts
        .refused()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(why, count)| format!("{} {why}", format::count(count)))
        .collect();
    html! {
        dl.facts {
            dt { "Keeps" } dd { (facts.kept) }
            @if let Some(bytes) = facts.bytes() { dt { "Bytes" } dd { "~" (format::bytes(bytes)) ", from a sample of " (sampled) } }
            @if let Some((median, oldest)) = facts.sample.ages_ms(now.as_millisecond()) {
                dt { "Age" } dd { (age(median)) " in the middle, " (age(oldest)) " the oldest" }
            }
            dt { "Filled" } dd { (facts.filled_ms().map_or("never".into(), |at| format::ago(at, now))) }
            dt { "Next refresh" } dd { (next(facts.extent.next_ms, now)) }
            @if let (Some(median), Some(load)) = (facts.sample.median_cost_us(), facts.load()) {
                dt { "Cost" }
                dd { (format::micros(median)) " in the middle to load one, about " (small(load)) " of one connection for all" }
            }
            @if !refused.is_empty() { dt { "Refused" } dd { (refused.join(", ")) } }
        }
    }
}

/// When a value is loaded next.
fn next(at_ms: Option<i64>, now: Timestamp) -> String {
    match at_ms {
        None => "nothing is due".to_owned(),
        Some(at) if at <= now.as_millisecond() => "now".to_owned(),
        Some(at) => format::ago(at, now),
    }
}

/// A share of which a hundredth of a percent may be all there is.
fn small(share: f64) -> String {
    if share < 0.001 { "less than 0.1 %".to_owned() } else { format::percent(share) }
}

fn acts(name: &str, facts: &Facts, who: &Identity) -> Markup {
    let to = |verb: &str| format!("/cache/{}/{verb}", format::segment(name));
    let ask = format!(
        "Make all {} values of {name} invalid? They are loaded again.",
        format::count(facts.values())
    );
    html! {
        @if who.may(Role::Operator) {
            div.acts {
                (layout::button(&to("warm"), "Warm it now", None, true))
                (layout::button(&to("invalidate"), "Invalidate all of it", Some(&ask), true))
            }
        }
    }
}
