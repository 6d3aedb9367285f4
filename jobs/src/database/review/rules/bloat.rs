//! R01, R02, R03, R13 and R14: indexes that are larger than they have to be.

use crate::database::indexes::Index;
use crate::database::review::facts::{Facts, Rebuild, Subject};
use crate::database::review::recommendation::{Confidence, Recommendation, Severity};
use crate::database::review::words::{float, list, percent, seconds, size};

/// From fewer entries nothing is concluded.
const ENTRIES_MIN: f64 = 10_000.0;
/// So soon after a rebuild an index should not be as large again, in seconds.
const AGAIN_S: u64 = 14 * 86_400;

/// Indexes that a rebuild makes much smaller.
pub(super) fn bloated(facts: &Facts) -> Vec<Recommendation> {
    // A unique one is rebuilt only where it is known that nothing writes its table with ON CONFLICT.
    let is_free = |index: &&Index| {
        !index.is_unique || facts.knows(Subject::StatementUses) && upserts(facts, index).is_empty()
    };
    // What is known better is said by R13.
    let is_plain = |index: &&Index| !facts.unshared.contains(&index.oid);
    let all = facts
        .bloated_indexes()
        .filter(is_plain)
        .filter(is_free)
        .filter(|index| again(facts, index).is_none());
    let recommend = |index| {
        measured("R01", facts, index, bloat_title(index))
            .applies(format!("REINDEX INDEX CONCURRENTLY {};", index.name))
            .clears_when(
                "It is rebuilt: `brasa db reindex` does that once a second sign agrees, and proves what it won.",
            )
    };
    all.map(recommend).collect()
}

/// The same of unique indexes that are written with ON CONFLICT: a rebuild beside that makes the application fail.
pub(super) fn bloated_in_upserts(facts: &Facts) -> Vec<Recommendation> {
    let recommend = |index: &Index| {
        let statements = upserts(facts, index);
        let title = format!(
            "{} But its table is written with ON CONFLICT, and while a unique index is rebuilt beside that, such \
             statements fail with errors that they cannot have otherwise.",
            bloat_title(index)
        );
        let found = measured("R02", facts, index, title)
            .shows("Statements with ON CONFLICT", list(&statements))
            .proposes(format!("SET lock_timeout = '200ms';\nREINDEX INDEX {};", index.name))
            .clears_when(
                "It is rebuilt while the application does not write: this statement blocks writes and some reads.",
            );
        (!statements.is_empty() && again(facts, index).is_none()).then_some(found)
    };
    facts.bloated_indexes().filter_map(recommend).collect()
}

/// Indexes that were rebuilt a short while ago and are as large again: a rebuild does not help them for long.
pub(super) fn bloated_again(facts: &Facts) -> Vec<Recommendation> {
    let recommend = |index: &Index| {
        let last = again(facts, index)?;
        let title = format!(
            "{} was rebuilt {} ago and is as large again: to rebuild it once more does not help for long.",
            index.name,
            seconds(float(last.seconds_ago))
        );
        let found = measured("R03", facts, index, title)
            .shows(
                "Size before and after the last rebuild",
                format!("{} and {}", size(last.before), size(last.after)),
            )
            .clears_when(
                "It stays small for two weeks: with a lower fillfactor, by partitions, or keys that grow.",
            );
        Some(found)
    };
    facts.bloated_indexes().filter_map(recommend).collect()
}

/// Indexes that were built before rows of equal keys shared entries: an upgrade of the server takes over the files as they
/// are. They never learn it by themselves, so their pages are full, and yet a rebuild makes them much smaller.
pub(super) fn unshared(facts: &Facts) -> Vec<Recommendation> {
    let recommend = |index: &Index| {
        let (excess, share) = index.bloat().unwrap_or_default();
        let title = format!(
            "In {} each row has an entry of its own: it was built before Postgres 13, and no upgrade of the server changes \
             that. In a new one rows of equal keys share an entry: {} less, {} of it.",
            index.name,
            size(excess),
            percent(share)
        );
        measured("R13", facts, index, title)
            .may_show("Size after a rebuild if nothing were shared, estimated", index.unshared.map(size))
            .shows(
                "Its first page",
                "entries are not to be shared, while all of its keys could be (allequalimage)",
            )
            .proposes(format!("REINDEX INDEX CONCURRENTLY {};", index.name))
            .undone_by(format!(
                "ALTER INDEX {0} SET (deduplicate_items = off);\nREINDEX INDEX CONCURRENTLY {0};",
                index.name
            ))
            .clears_when(
                "It is rebuilt, as by `brasa db reindex` with its name: its first page says so then.",
            )
    };
    facts.bloated_indexes().filter(|index| facts.unshared.contains(&index.oid)).map(recommend).collect()
}

/// Indexes of which nothing is known but how small they once were: GIN, hash and others.
pub(super) fn outgrown(facts: &Facts) -> Vec<Recommendation> {
    let recommend = |index: &Index| {
        let was = facts.ratios.get(&(index.schema.clone(), index.bare.clone()))?;
        let (bytes, tuples) = (index.bytes()?, index.tuples.filter(|tuples| *tuples >= ENTRIES_MIN)?);
        let (now, anew) = (float(bytes) / tuples, was * tuples);
        let is_worth_it = now >= 2.0 * was && float(bytes) - anew >= float(facts.limits.bloat_bytes);
        let is_ours = index.is_valid && !index.is_of_system && !index.is_exclusion;
        let title = format!(
            "An entry of {} takes {:.1} times what it once took: a rebuild gives the rest back.",
            index.name,
            now / was
        );
        let found = Recommendation::new("R14", &index.name, Severity::Info, title)
            .with(Confidence::Medium)
            .shows("Size now", size(bytes))
            .shows("Bytes that an entry takes, and once took", format!("{now:.0} and {was:.0}"))
            .applies(format!("REINDEX INDEX CONCURRENTLY {};", index.name))
            .clears_when("It is rebuilt: `brasa db reindex` does that.");
        (is_worth_it && is_ours && index.method != "btree" && bytes >= facts.limits.bloated_bytes)
            .then_some(found)
    };
    facts.indexes.iter().filter_map(recommend).collect()
}

fn bloat_title(index: &Index) -> String {
    let (excess, share) = index.bloat().unwrap_or_default();
    let mut part = percent(share);
    part.retain(|c| c != ' ');
    format!("{part} of {}, {}, is room that a rebuild gives back.", index.name, size(excess))
}

fn measured(rule: &str, facts: &Facts, index: &Index, title: String) -> Recommendation {
    let (excess, share) = index.bloat().unwrap_or_default();
    let is_grave = share >= 0.5 && excess >= 8 * facts.limits.bloat_bytes;
    let severity = if is_grave { Severity::Warning } else { Severity::Info };
    let trust = index.estimate.map_or(Confidence::Low, |estimate| estimate.trust.into());
    Recommendation::new(rule, &index.name, severity, title)
        .with(trust)
        .may_show("Size now", index.bytes().map(size))
        .may_show("Size after a rebuild, estimated", index.estimate.ok().map(|estimate| size(estimate.bytes)))
}

/// The statements and functions that write the table of a unique index with ON CONFLICT.
fn upserts(facts: &Facts, index: &Index) -> Vec<String> {
    if index.is_unique { facts.upserts_into(index) } else { Vec::new() }
}

/// The rebuild after which it should still be small.
fn again<'f>(facts: &'f Facts, index: &Index) -> Option<&'f Rebuild> {
    let bytes = index.bytes()?;
    let mut of_index = facts.rebuilds.iter().filter(|rebuild| rebuild.index == index.name);
    of_index.find(|rebuild| {
        // What was won is lost again for the most part.
        rebuild.seconds_ago < AGAIN_S
            && bytes >= rebuild.after + (rebuild.before.saturating_sub(rebuild.after)) / 2
    })
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::index;
    use super::*;
    use crate::database::indexes::{Estimate, Size, Trust};
    use crate::database::review::facts::Gap;
    use crate::database::review::rules::statements::tests::statement;

    fn with(megabytes: u64, estimated: u64) -> Index {
        Index {
            size: Size::Bytes(megabytes << 20),
            estimate: Ok(Estimate { bytes: estimated << 20, trust: Trust::High }),
            ..index("i", &["a"])
        }
    }

    #[test]
    fn an_index_is_bloated_by_share_and_size_both() {
        let found = |index| bloated(&Facts { indexes: vec![index], ..Facts::default() });
        let one = found(with(100, 40));
        assert_eq!(one[0].statement.as_deref(), Some("REINDEX INDEX CONCURRENTLY public.i;"));
        assert!(one[0].title.starts_with("60% of public.i, 60 MB,"), "{}", one[0].title);
        for small in [with(15, 1), with(100, 71), with(20, 13)] {
            assert_eq!(found(small), []);
        }
        assert_eq!(found(Index { size: Size::Locked, ..with(100, 40) }), []);
    }

    #[test]
    fn one_from_before_entries_were_shared_is_said_to_be_so_and_once() {
        let old = Index { unshared: Some(90 << 20), ..with(100, 40) };
        let mut facts = Facts { indexes: vec![old], ..Facts::default() };
        assert_eq!((bloated(&facts).len(), unshared(&facts).len()), (1, 0));
        facts.unshared = vec![facts.indexes[0].oid];
        assert_eq!((bloated(&facts).len(), unshared(&facts).len()), (0, 1));
        facts.indexes = vec![with(100, 90)];
        assert_eq!(unshared(&facts), [], "its keys are seldom equal: there is little to win");
    }

    #[test]
    fn a_unique_one_beside_upserts_is_not_rebuilt_while_they_run() {
        let unique = Index { is_unique: true, ..with(100, 40) };
        let mut facts = Facts { indexes: vec![unique], ..Facts::default() };
        assert_eq!((bloated(&facts).len(), bloated_in_upserts(&facts).len()), (1, 0));
        facts.gaps = vec![Gap::new(Subject::StatementUses, "nothing was recorded")];
        assert_eq!(bloated(&facts), [], "whether there are such statements is not known");
        facts.gaps.clear();
        // By the table that it is a part of, long ago or in a function; and not what only begins like it.
        facts.upserts.called = [(1, vec!["t".to_owned(), "whole".to_owned()])].into();
        for (text, is) in [("wholes", false), ("whole", true)] {
            let text = format!("INSERT INTO {text} VALUES ($1) ON CONFLICT DO NOTHING");
            facts.upserts.texts = vec![("function f".to_owned(), text)];
            assert_eq!(bloated_in_upserts(&facts).len(), usize::from(is));
        }
        facts.upserts.texts.clear();
        facts.statement_uses =
            vec![statement("insert into t values ($1) on conflict (a) do nothing", 1.0, 1)];
        assert_eq!((bloated(&facts).len(), bloated_in_upserts(&facts).len()), (0, 1));
        let proposed = bloated_in_upserts(&facts)[0].statement.clone().unwrap();
        assert!(proposed.ends_with("REINDEX INDEX public.i;"), "{proposed}");
    }

    #[test]
    fn what_is_as_large_again_soon_is_not_rebuilt_once_more() {
        let rebuild = |days: u64| Rebuild {
            index: "public.i".to_owned(),
            seconds_ago: days * 86_400,
            before: 110 << 20,
            after: 40 << 20,
        };
        let mut facts =
            Facts { indexes: vec![with(100, 40)], rebuilds: vec![rebuild(10)], ..Facts::default() };
        assert_eq!((bloated(&facts).len(), bloated_again(&facts).len()), (0, 1));
        facts.rebuilds = vec![rebuild(20)];
        assert_eq!((bloated(&facts).len(), bloated_again(&facts).len()), (1, 0));
    }

    #[test]
    fn an_index_without_a_model_is_held_against_its_own_past() {
        let gin = Index { method: "gin".to_owned(), tuples: Some(1e6), ..with(64, 64) };
        let ratio = |ratio| {
            let ratios = [((gin.schema.clone(), gin.bare.clone()), ratio)].into();
            outgrown(&Facts { indexes: vec![gin.clone()], ratios, ..Facts::default() })
        };
        let found = ratio(30.0);
        assert!(found[0].title.contains("2.2 times"), "{}", found[0].title);
        assert_eq!(found[0].statement.as_deref(), Some("REINDEX INDEX CONCURRENTLY public.i;"));
        assert_eq!(ratio(40.0), []);
        assert_eq!(outgrown(&Facts { indexes: vec![gin.clone()], ..Facts::default() }), []);
    }
}
