//! `brasa db plan`: what would be done now.

use brasa_jobs::database::rebuild::{self, Item, Reason};
use brasa_jobs::database::whole::{Whole, whole};
use brasa_shared::config::Indexes;
use clap::Args;
use serde_json::{Value, json};

use super::open;
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, bytes};

/// Say what would be analyzed, vacuumed and rebuilt now; nothing is changed
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Every index that was looked at, with the reason why nothing is done about it
    #[arg(long)]
    all: bool,
}

impl Plan {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let (pool, mut session) = open(app).await?;
        let mut notes = pool.acquire().await?;
        let rules = &app.config.maintenance.indexes;
        let whole = whole(session.work(), &mut notes, rules).await?;
        session.close().await;
        say(&whole, rules, out)?;
        if self.all {
            let others = whole.reindex.items.iter().filter(|item| item.choice.reason != Reason::Chosen);
            out.line("")?;
            out.table(
                ["INDEX", "SIZE", "WHY NOT"],
                others.map(other).collect(),
                "there are no other indexes",
            )?;
        }
        out.value(&value(&whole))
    }
}

/// Prints a plan for people.
pub(super) fn say(whole: &Whole, rules: &Indexes, out: &mut Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (table, why) in &whole.analyze.tables {
        rows.push([format!("analyze {}", table.name), why.words(), String::new()]);
    }
    for (table, why) in &whole.vacuum.tables {
        rows.push([format!("vacuum {}", table.name), why.words().to_owned(), String::new()]);
    }
    rows.extend(whole.reindex.to_build(rules).map(chosen));
    out.table(["STATEMENT", "WHY", "GAIN"], rows, "there is nothing to do")?;
    for name in whole.analyze.others.iter().chain(&whole.vacuum.others) {
        out.line(format!("{name} is left alone: it belongs to another role"))?;
    }
    if let Some(more) = more(&whole.reindex) {
        out.line(more)?;
    }
    let put_off = whole.reindex.items.iter().filter(|item| is_worth_a_word(item));
    for item in put_off {
        out.line(format!("{} is left alone: {}", item.index.name, item.choice.reason.words()))?;
    }
    if let Some(small) = small(&whole.reindex) {
        out.line(small)?;
    }
    out.line(format!(
        "plan {}; `brasa db apply --plan {}` does this and nothing else",
        whole.hash, whole.hash
    ))
}

/// How many indexes are left for the next run, if any are.
pub(super) fn more(plan: &rebuild::Plan) -> Option<String> {
    let what = match plan.left_over {
        0 => return None,
        1 => "1 more index is".to_owned(),
        n => format!("{n} more indexes are"),
    };
    Some(format!("{what} worth a rebuild, and left for the next run: [maintenance.indexes] max_builds"))
}

/// What is waste in indexes that are too small to be worth a rebuild, if that is a mebibyte or more.
pub(super) fn small(plan: &rebuild::Plan) -> Option<String> {
    let small = plan.items.iter().filter(|item| item.choice.reason == Reason::Small);
    let gains: Vec<u64> =
        small.filter_map(|item| item.choice.gain).map(|(gain, _)| gain).filter(|gain| *gain > 0).collect();
    small_words(gains.len(), gains.iter().sum())
}

fn small_words(count: usize, gain: u64) -> Option<String> {
    let (what, are) = match count {
        1 => ("1 index".to_owned(), ("is", "it is")),
        n => (format!("{n} indexes"), ("are", "they are")),
    };
    (gain >= 1 << 20).then(|| {
        format!(
            "{what} with {} of waste {} left alone: {} smaller than [maintenance.indexes] min_size",
            bytes(gain),
            are.0,
            are.1
        )
    })
}

/// Left alone although something says that it is waste.
fn is_worth_a_word(item: &Item) -> bool {
    matches!(
        item.choice.reason,
        Reason::OneSign
            | Reason::Large
            | Reason::GrowsBack
            | Reason::Resting
            | Reason::Upserts
            | Reason::PerhapsUpserts
    )
}

fn chosen(item: &Item) -> [String; 3] {
    let gain = item.choice.gain.map_or_else(
        || "?".to_owned(),
        |(gain, share)| {
            format!("{} of {} ({:.0} %)", bytes(gain), bytes(item.index.bytes().unwrap_or(0)), share * 100.0)
        },
    );
    [item.statement(), item.choice.reason.words().to_owned(), gain]
}

fn other(item: &Item) -> [String; 3] {
    let size = item.index.bytes().map_or_else(|| "?".to_owned(), bytes);
    [item.index.name.clone(), size, item.choice.reason.words().to_owned()]
}

/// A plan for programs.
pub(super) fn value(whole: &Whole) -> Value {
    let analyze =
        whole.analyze.tables.iter().map(|(table, why)| json!({ "table": table.name, "why": why.words() }));
    let vacuum =
        whole.vacuum.tables.iter().map(|(table, why)| json!({ "table": table.name, "why": why.words() }));
    json!({
        "plan": whole.hash,
        "analyze": analyze.collect::<Vec<_>>(),
        "vacuum": vacuum.collect::<Vec<_>>(),
        "reindex": whole.reindex.items.iter().map(item).collect::<Vec<_>>(),
        "others": whole.analyze.others,
        "left_over": whole.reindex.left_over,
    })
}

/// What is to become of an index, for programs.
pub(super) fn item(item: &Item) -> Value {
    json!({
        "index": item.index.name,
        "table": item.index.table,
        "bytes": item.index.bytes(),
        "decision": item.choice.reason.code(),
        "why": item.choice.reason.words(),
        "gain": item.choice.gain.map(|(gain, _)| gain),
        "bloat": item.choice.gain.map(|(_, share)| share),
        "statement": (item.choice.reason == Reason::Chosen).then(|| item.statement()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_small_index_is_spoken_of_as_one() {
        assert_eq!(small_words(0, 0), None);
        assert_eq!(small_words(3, 1 << 19), None);
        let one = small_words(1, 1 << 20).unwrap();
        assert!(one.starts_with("1 index with") && one.contains("is left alone: it is smaller"), "{one}");
        let two = small_words(2, 1 << 20).unwrap();
        assert!(two.starts_with("2 indexes with") && two.contains("are left alone: they are"), "{two}");
    }
}
