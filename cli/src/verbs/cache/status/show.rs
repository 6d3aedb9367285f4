//! Warmers for people: a line for each, or everything about one.

use std::collections::BTreeMap;

use brasa_jobs::cache::status::Facts;
use brasa_shared::jiff::{SignedDuration, Timestamp};

use crate::failure::Failure;
use crate::output::{Output, bytes, lasting, millis, when};

/// A line for each.
pub(super) fn all(all: &BTreeMap<&str, Facts>, now: Timestamp, out: &mut Output) -> Result<(), Failure> {
    let row = |(name, facts): (&&str, &Facts)| {
        let is_known = if facts.is_described() { "" } else { " *" };
        [
            format!("{name}{is_known}"),
            facts.kept.to_owned(),
            facts.extent.warm.to_string(),
            facts.extent.once.to_string(),
            facts.extent.negatives.to_string(),
            facts.bytes().map_or_else(dash, |count| format!("~{}", bytes(count))),
            hit_rate(facts),
            misses(facts, 1),
            facts.sample.ages_ms(now.as_millisecond()).map_or_else(dash, |(median, _)| age(median)),
            facts.filled_ms().map_or_else(dash, |at| when(at, now)),
            facts.extent.next_ms.map_or_else(dash, |at| when(at, now)),
            facts.sample.median_cost_us().map_or_else(dash, millis),
            facts.refused().iter().map(|(_, count)| count).sum::<u64>().to_string(),
        ]
    };
    let header = [
        "WARMER", "KEEPS", "WARM", "ONCE", "NONE", "BYTES", "HITS", "MISSES", "AGE", "FILLED", "NEXT",
        "COST", "REFUSED",
    ];
    out.table(header, all.iter().map(row).collect(), "no warmers are configured")?;
    if all.values().any(|facts| !facts.is_described()) {
        out.line("* no worker has told of this definition yet")?;
    }
    Ok(())
}

/// Everything about one.
pub(super) fn one(facts: &Facts, now: Timestamp, out: &mut Output) -> Result<(), Failure> {
    let mut line = |name: &str, text: String| out.line(format!("{name:<10} {text}"));
    let extent = &facts.extent;
    line("keeps", facts.kept.to_owned())?;
    line(
        "entries",
        format!(
            "{} kept warm, {} until they end, {} known not to be there",
            extent.warm, extent.once, extent.negatives
        ),
    )?;
    if let Some((keys, there)) = facts.listed {
        line("for_each", format!("{there} of its {keys} key(s) are there"))?;
    }
    line("asked", format!("{} that readers wait for", extent.asked))?;
    let sampled = facts.sample.notes.len();
    if let Some(count) = facts.bytes() {
        line("bytes", format!("~{}, from a sample of {sampled}", bytes(count)))?;
    }
    line("hits", hit_rate(facts))?;
    line("misses", misses(facts, usize::MAX))?;
    if let Some((median, oldest)) = facts.sample.ages_ms(now.as_millisecond()) {
        line("age", format!("{} in the middle, {} the oldest", age(median), age(oldest)))?;
    }
    line("filled", facts.filled_ms().map_or_else(dash, |at| when(at, now)))?;
    line("next", extent.next_ms.map_or_else(|| "nothing is due".to_owned(), |at| when(at, now)))?;
    if let (Some(median), Some(load)) = (facts.sample.median_cost_us(), facts.load()) {
        let sum = millis(facts.sample.sum_cost_us());
        line(
            "cost",
            format!(
                "{} in the middle, {sum} for these {sampled}; ~{:.2} % of one connection",
                millis(median),
                load * 100.0
            ),
        )?;
    }
    let refused = facts.refused().into_iter().filter(|(_, count)| *count > 0);
    let refused: Vec<String> = refused.map(|(why, count)| format!("{count} {why}")).collect();
    line("refused", if refused.is_empty() { "0".to_owned() } else { refused.join(", ") })?;
    line("version", version(facts))?;
    if let Some(id) = facts.dictionary {
        line("dictionary", id.to_string())?;
    }
    if let Some(ratio) = facts.sample.ratio {
        line("packed", format!("{ratio:.1} times shorter"))?;
    }
    Ok(())
}

fn version(facts: &Facts) -> String {
    let own = facts.shape.version();
    match &facts.description {
        None => format!("{own}, of which no worker has told yet"),
        Some(known) if known.version == own => own.to_owned(),
        Some(known) => format!("{own}, and workers run {}", known.version),
    }
}

fn hit_rate(facts: &Facts) -> String {
    facts.stats.hit_rate().map_or_else(dash, |rate| format!("{:.1} %", rate * 100.0))
}

/// Why reads found nothing, the most frequent first.
fn misses(facts: &Facts, most: usize) -> String {
    let mut all: Vec<_> = facts.stats.misses().into_iter().filter(|(_, count)| *count > 0).collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> = all.iter().take(most).map(|(why, count)| format!("{count} {why}")).collect();
    if shown.is_empty() { dash() } else { shown.join(", ") }
}

fn age(ms: i64) -> String {
    lasting(SignedDuration::from_millis(ms))
}

fn dash() -> String {
    "-".to_owned()
}
