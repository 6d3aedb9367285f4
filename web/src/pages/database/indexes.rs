//! Indexes that are mostly waste, and those that nobody uses.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use brasa_jobs::database::history::IndexUse;
use brasa_jobs::database::indexes::Index;
use brasa_shared::config::Indexes as Rules;
use maud::{Markup, html};

use crate::desk::Desk;
use crate::view::database::{Seen, UNUSED_DAYS};
use crate::view::{chart, format};

/// How many indexes a list shows.
const SHOWN: usize = 15;
/// Less waste is not worth a line, in bytes.
const WASTE_MIN: u64 = 1 << 20;

/// How large indexes are, and how much of that is worth a rebuild.
pub(super) fn waste(desk: &Desk, all: &[Index]) -> (String, String) {
    let rules = &desk.site.config.maintenance.indexes;
    let size: u64 = application(all).filter_map(Index::bytes).sum();
    let gain: u64 = application(all)
        .filter(|index| is_worth_it(index, rules))
        .filter_map(Index::bloat)
        .map(|(gain, _)| gain)
        .sum();
    (format::bytes(size), format!("{} to gain", format::bytes(gain)))
}

/// Indexes of the application that have pages of their own.
fn application(all: &[Index]) -> impl Iterator<Item = &Index> {
    all.iter().filter(|index| index.schema != "brasa" && !index.is_partitioned && !index.is_of_system)
}

fn is_worth_it(index: &Index, rules: &Rules) -> bool {
    index.bytes().is_some_and(|bytes| bytes >= rules.size_min)
        && index.bloat().is_some_and(|(gain, share)| {
            gain >= rules.gain_min && share * 100.0 >= f64::from(rules.bloat_min)
        })
}

/// Those of which most is waste.
pub(super) fn wasted(desk: &Desk, seen: &Seen) -> Markup {
    let rules = &desk.site.config.maintenance.indexes;
    html! {
        h2 { "Indexes that would be smaller" }
        @match &seen.indexes {
            Err(missing) => { (missing) }
            Ok(all) => {
                @let all = by_gain(all);
                @if all.is_empty() { p.dim { "No index has more than " (format::bytes(WASTE_MIN)) " of waste, as far as can be told." } }
                @else {
                    div.wide { table {
                        thead { tr { th { "Index" } th { "Table" } th.n { "Size" } th.n { "To gain" } th { "Of it" } th { "Mostly waste" } } }
                        tbody {
                            @for (index, gain, share) in all.iter().take(SHOWN) {
                                tr {
                                    td { code { (index.name) } } td { code { (index.table) } }
                                    td.n { (size(index)) } td.n { (format::bytes(*gain)) }
                                    td { (chart::bar(*share, &format!("{} of it is waste", format::percent(*share)))) (format::percent(*share)) }
                                    td { @if is_worth_it(index, rules) { span.warn { "yes" } } @else { "no" } }
                                }
                            }
                        }
                    } }
                    @if all.len() > SHOWN { p.dim { "and " (all.len() - SHOWN) " more: " code { "brasa db indexes" } } }
                }
            }
        }
    }
}

fn by_gain(all: &[Index]) -> Vec<(&Index, u64, f64)> {
    let bloated =
        application(all).filter_map(|index| index.bloat().map(|(gain, share)| (index, gain, share)));
    let mut found: Vec<_> = bloated.filter(|(_, gain, _)| *gain >= WASTE_MIN).collect();
    found.sort_by_key(|(_, gain, _)| Reverse(*gain));
    found
}

fn size(index: &Index) -> String {
    index.bytes().map_or_else(|| "locked".to_owned(), format::bytes)
}

/// Those that nobody uses, as far as that is known; those that a constraint needs are not among them.
pub(super) fn unused(seen: &Seen) -> Markup {
    html! {
        h2 { "Indexes that nobody uses" }
        @match &seen.indexes {
            Err(missing) => { (missing) }
            Ok(all) => {
                @if let Err(missing) = &seen.uses { (missing) p.help { "Until then this is what this server has counted since it began to." } }
                (idle(all, seen.uses.as_deref().unwrap_or_default()))
            }
        }
    }
}

/// An index that was not scanned, and for how many whole days that is known on all servers.
type Idle<'a> = (&'a Index, Option<u32>);

fn idle(all: &[Index], uses: &[IndexUse]) -> Markup {
    let known: BTreeMap<(&str, &str, &str), &IndexUse> = uses
        .iter()
        .map(|one| ((one.schema.as_str(), one.index.as_str(), one.signature.as_str()), one))
        .collect();
    let judge = |index| -> Option<Idle<'_>> {
        let index: &Index = index;
        let found = known.get(&(index.schema.as_str(), index.bare.as_str(), index.signature.as_str()));
        match found {
            Some(one) if one.scans == 0 => {
                Some((index, Some(one.days).filter(|_| one.unknown_on.is_empty())))
            }
            Some(_) => None,
            None => (index.scans == 0).then_some((index, None)),
        }
    };
    let needed =
        |index: &&Index| index.is_unique || index.is_primary || index.is_exclusion || !index.is_valid;
    let mut found: Vec<Idle<'_>> =
        application(all).filter(|index| !needed(index)).filter_map(judge).collect();
    found.sort_by_key(|(index, days)| {
        (Reverse(days.is_some_and(|days| days >= UNUSED_DAYS)), Reverse(index.bytes()))
    });
    html! {
        @if found.is_empty() { p.dim { "Each index was used, or a constraint needs it." } }
        @else {
            div.wide { table {
                thead { tr { th { "Index" } th { "Table" } th.n { "Size" } th { "Not scanned" } } }
                tbody {
                    @for (index, days) in found.iter().take(SHOWN) {
                        tr {
                            td { code { (index.name) } } td { code { (index.table) } } td.n { (size(index)) }
                            td { (span(*days)) }
                        }
                    }
                }
            } }
            @if found.len() > SHOWN { p.dim { "and " (found.len() - SHOWN) " more: " code { "brasa db indexes" } } }
            p.dim { "Days are those that are known whole, of all servers. What is sure enough to act upon is among the " a href="/recommendations" { "recommendations" } "." }
        }
    }
}

fn span(days: Option<u32>) -> Markup {
    html! {
        @match days {
            Some(days) if days >= UNUSED_DAYS => { span.warn { (days) " days" } }
            Some(days) => { (days) " of " (UNUSED_DAYS) " days" }
            None => { span.dim { "since this server counts" } }
        }
    }
}
