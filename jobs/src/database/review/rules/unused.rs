//! R04: indexes that nobody uses, on any server, for long enough; and where that cannot be said.

use serde::Serialize;

use super::cover::{does_for, is_in_the_dark, is_same, is_usable, of_key};
use super::duplicates::rank;
use super::names::{drop_index, make_again};
use crate::database::history::IndexUse;
use crate::database::indexes::Index;
use crate::database::review::facts::{Facts, Subject};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{count, list, many, percent, seconds, share, size};

/// What would be recommended if more were known. It is no recommendation, and nothing to act upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about, as it is written in SQL.
    pub object: String,
    /// What is missing, in a sentence.
    pub text: String,
}

/// What the past says about an index.
enum Verdict {
    /// It was scanned, or must stay whatever is scanned.
    Stays,
    /// Nobody scanned it in so many days.
    Idle(u32),
    /// It cannot be said, and why.
    Unknown(String),
}

/// Indexes that nobody uses.
pub(super) fn unused(facts: &Facts) -> Vec<Recommendation> {
    let judged = facts.indexes.iter().filter_map(|index| match verdict(facts, index) {
        Verdict::Idle(days) => Some(recommend(facts, index, days)),
        Verdict::Stays | Verdict::Unknown(_) => None,
    });
    judged.collect()
}

/// Indexes that this server has never scanned, and of which that says too little. Where nothing is known of any,
/// that is said once, as a gap.
pub(in crate::database::review) fn notes(facts: &Facts) -> Vec<Note> {
    if !facts.knows(Subject::IndexUses) {
        return Vec::new();
    }
    let judged = facts.indexes.iter().filter_map(|index| match verdict(facts, index) {
        Verdict::Unknown(text) if index.scans == 0 => Some(Note { object: index.name.clone(), text }),
        _ => None,
    });
    judged.collect()
}

fn verdict(facts: &Facts, index: &Index) -> Verdict {
    // Statistics of expressions help the planner where the index itself is never scanned. Parts are judged together.
    let has_expression = index.keys.iter().any(|key| key.column.is_none());
    let must_stay = index.is_unique
        || index.is_primary
        || index.is_exclusion
        || index.is_replica_identity
        || index.is_clustered
        || index.is_of_extension
        || index.is_of_system
        || index.constraint.is_some()
        || index.parent.is_some()
        || has_expression;
    // While somebody has locked the table or one of its indexes, nobody can say what this one stays for.
    let is_dark = || with_pages(facts, index).iter().any(|part| is_in_the_dark(facts, part.table_oid));
    if must_stay || !is_usable(index) || is_in_the_dark(facts, index.table_oid) || is_dark() {
        return Verdict::Stays;
    }
    if serves_a_key(facts, index) || stands_in(facts, index) {
        return Verdict::Stays;
    }
    let mut days = u32::MAX;
    let unseen = unseen_elsewhere(facts);
    for part in with_pages(facts, index) {
        match of_one(facts, part) {
            Verdict::Idle(_) if unseen.is_some() => return Verdict::Unknown(unseen.unwrap_or_default()),
            Verdict::Idle(known) => days = days.min(known),
            other => return other,
        }
    }
    if days == u32::MAX { Verdict::Stays } else { Verdict::Idle(days) }
}

/// Why it cannot be said that no server uses an index, where there are servers that nobody watches.
fn unseen_elsewhere(facts: &Facts) -> Option<String> {
    if !facts.knows(Subject::Replication) {
        return Some("There is not enough evidence: whether there are standbys cannot be seen.".to_owned());
    }
    let reading = facts.replication.standbys.iter().filter(|standby| standby.may_read).count();
    let watched = facts.watched.iter().filter(|node| *node != "primary").count();
    let unwatched = reading.saturating_sub(watched);
    (unwatched > 0).then(|| {
        let who = many(unwatched, "standby is", "standbys are");
        format!("There is not enough evidence: {who} not watched, and may use it.")
    })
}

/// Whether a foreign key would be without an index: this one is the best that finds its rows.
fn serves_a_key(facts: &Facts, index: &Index) -> bool {
    facts.foreign_keys.iter().any(|key| {
        let best = of_key(facts, key, index.table_oid).into_iter().min_by_key(|cover| rank(facts, cover));
        best.is_some_and(|best| best.oid == index.oid)
    })
}

/// Whether it is the one that stays for another, which R05 or R06 proposes to drop: whoever does both at once must not
/// be left with neither.
fn stands_in(facts: &Facts, index: &Index) -> bool {
    let mut others =
        facts.indexes.iter().filter(|other| other.table_oid == index.table_oid && other.oid != index.oid);
    others.any(|other| {
        let is_same = is_same(index, other) && rank(facts, index) < rank(facts, other);
        is_usable(other) && (is_same || !other.is_unique && does_for(index, other))
    })
}

/// The index itself, or those of the parts of a partitioned table.
fn with_pages<'f>(facts: &'f Facts, index: &'f Index) -> Vec<&'f Index> {
    let (mut found, mut open) = (Vec::new(), vec![index]);
    while let Some(index) = open.pop() {
        if index.is_partitioned {
            open.extend(facts.indexes.iter().filter(|part| part.parent == Some(index.oid)));
        } else {
            found.push(index);
        }
    }
    found
}

fn of_one(facts: &Facts, index: &Index) -> Verdict {
    let Some(seen) = past(facts, index) else {
        return Verdict::Unknown(
            "There is not enough evidence: its use has not been recorded yet.".to_owned(),
        );
    };
    if seen.scans > 0 || index.scans > 0 && seen.days == 0 {
        return Verdict::Stays;
    }
    if !seen.unknown_on.is_empty() {
        let nodes = list(&seen.unknown_on);
        return Verdict::Unknown(format!(
            "There is not enough evidence: nothing is known of its use on {nodes}."
        ));
    }
    if seen.days < facts.limits.unused_days {
        return Verdict::Unknown(format!(
            "There is not enough evidence: nobody scanned it in {}, and {} are needed.",
            many(seen.days as usize, "whole day", "whole days"),
            facts.limits.unused_days
        ));
    }
    Verdict::Idle(seen.days)
}

fn past<'f>(facts: &'f Facts, index: &Index) -> Option<&'f IndexUse> {
    facts.index_uses.iter().find(|seen| {
        seen.schema == index.schema && seen.index == index.bare && seen.signature == index.signature
    })
}

fn recommend(facts: &Facts, index: &Index, days: u32) -> Recommendation {
    let parts = with_pages(facts, index);
    let bytes: Option<u64> = parts.iter().map(|part| part.bytes()).sum();
    let is_large = bytes.is_some_and(|bytes| bytes >= facts.limits.bloat_bytes);
    let severity = if is_large { Severity::Warning } else { Severity::Info };
    let title = format!(
        "Nobody has scanned {} for {days} days, on any server that is watched, and every write to {} keeps it up \
         to date.",
        index.name, index.table
    );
    let written = facts.table_uses.iter().find(|seen| seen.table == index.table);
    let found = Recommendation::new("R04", &index.name, severity, title)
        .may_show("Size", bytes.map(size))
        .shows("Scans on all servers that are watched", "0")
        .may_show("Servers that are watched", Some(list(&facts.watched)).filter(|names| !names.is_empty()))
        .shows("Whole days that are known of every server", count(i64::from(days)));
    let found = match written {
        None => found,
        Some(seen) => {
            let writes = seen.inserted + seen.updated - seen.updated_in_place;
            let rate = format!(
                "{} rows in {}; {} of all updates left indexes alone",
                count(writes),
                seconds(seen.seconds),
                percent(share(seen.updated_in_place, seen.updated))
            );
            found.shows("Writes that it was kept up to date for", rate)
        }
    };
    found
        .proposes(drop_index(index))
        .undone_by(make_again(index))
        .clears_when("It is dropped, or somebody scans it.")
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::{index, key};
    use super::*;
    use crate::database::indexes::Size;
    use crate::database::review::facts::{Gap, Part, Standby};

    fn seen(index: &Index, scans: i64, days: u32) -> IndexUse {
        IndexUse {
            schema: index.schema.clone(),
            table: "t".to_owned(),
            index: index.bare.clone(),
            signature: index.signature.clone(),
            scans,
            days,
            unknown_on: Vec::new(),
            scanned_at: None,
        }
    }

    fn with(index: Index, scans: i64, days: u32) -> Facts {
        Facts { index_uses: vec![seen(&index, scans, days)], indexes: vec![index], ..Facts::default() }
    }

    #[test]
    fn what_nobody_scanned_for_long_enough_anywhere_may_go() {
        let found = unused(&with(index("i", &["a"]), 0, 35));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].statement.as_deref(), Some("DROP INDEX CONCURRENTLY public.i;"));
        assert!(found[0].title.contains("for 35 days"), "{}", found[0].title);
        assert_eq!(unused(&with(index("i", &["a"]), 1, 99)), []);
    }

    #[test]
    fn too_little_evidence_is_a_note_and_never_a_recommendation() {
        let short = with(index("i", &["a"]), 0, 34);
        assert_eq!((unused(&short), notes(&short).len()), (vec![], 1));
        let mut missing = with(index("i", &["a"]), 0, 90);
        missing.index_uses[0].unknown_on.push("replica".to_owned());
        assert_eq!(unused(&missing), []);
        assert!(notes(&missing)[0].text.contains("on replica"), "{:?}", notes(&missing));
        let mut other = with(index("i", &["a"]), 0, 90);
        other.index_uses[0].signature = "another index of that name".to_owned();
        assert_eq!((unused(&other), notes(&other).len()), (vec![], 1));
        let none = Facts { indexes: vec![index("i", &["a"])], ..Facts::default() };
        assert_eq!((unused(&none), notes(&none).len()), (vec![], 1));
    }

    #[test]
    fn a_standby_that_nobody_watches_may_use_it() {
        let standby = |may_read| Standby { may_read, ..Standby::default() };
        let mut facts = with(index("i", &["a"]), 0, 90);
        facts.watched = vec!["primary".to_owned()];
        facts.replication.standbys = vec![standby(false)];
        let found = unused(&facts);
        assert!(found[0].evidence.iter().any(|(_, value)| value == "primary"), "{:?}", found[0].evidence);
        facts.replication.standbys.push(standby(true));
        assert_eq!(unused(&facts), []);
        assert!(notes(&facts)[0].text.contains("1 standby is not watched"), "{:?}", notes(&facts));
        facts.watched.push("replica".to_owned());
        assert_eq!(unused(&facts).len(), 1, "that one is watched");
        facts.gaps = vec![Gap::new(Subject::Replication, "the role may not look").in_part()];
        assert_eq!((unused(&facts), notes(&facts).len()), (vec![], 1));
    }

    #[test]
    fn what_serves_the_key_of_a_partitioned_table_in_a_part_stays() {
        let part = Part { oid: 2, numbers: vec![2], ..Part::default() };
        let made = Index { table_oid: 2, ..index("i", &["b"]) };
        let mut facts = with(made, 0, 90);
        assert_eq!(unused(&facts).len(), 1);
        facts.foreign_keys =
            vec![crate::database::review::facts::ForeignKey { parts: vec![part], ..key(&["a"]) }];
        assert_eq!(unused(&facts), []);
    }

    #[test]
    fn nothing_is_said_of_a_table_that_somebody_has_locked() {
        let mut facts = with(index("i", &["a"]), 0, 90);
        facts.indexes.push(Index { size: Size::Locked, ..index("other", &["b"]) });
        assert_eq!((unused(&facts), notes(&facts)), (vec![], vec![]));
    }

    #[test]
    fn what_more_rests_on_than_scans_stays() {
        let plain = index("i", &["a"]);
        let mut expression = plain.clone();
        expression.keys[0].column = None;
        for stays in [
            expression,
            Index { is_unique: true, ..plain.clone() },
            Index { is_primary: true, ..plain.clone() },
            Index { is_exclusion: true, ..plain.clone() },
            Index { is_replica_identity: true, ..plain.clone() },
            Index { is_clustered: true, ..plain.clone() },
            Index { is_of_extension: true, ..plain.clone() },
            Index { is_valid: false, ..plain.clone() },
            Index { parent: Some(7), ..plain.clone() },
        ] {
            let facts = with(stays, 0, 99);
            assert_eq!((unused(&facts), notes(&facts)), (vec![], vec![]));
        }
        let sole = Facts { foreign_keys: vec![key(&["a"])], ..with(plain.clone(), 0, 99) };
        assert_eq!(unused(&sole), []);
        let mut both = sole;
        both.indexes.push(Index { scans: 9, ..index("other", &["a", "b"]) });
        assert_eq!(unused(&both).len(), 1, "another one finds the rows that refer");
        both.indexes[1].scans = 0;
        both.index_uses.push(seen(&both.indexes[1], 0, 99));
        assert!(unused(&both).len() <= 1, "one of the two stays");
    }

    #[test]
    fn what_stays_for_another_that_is_superfluous_is_not_dropped_with_it() {
        let (short, long) = (Index { scans: 9, ..index("short", &["a"]) }, index("long", &["a", "b"]));
        let mut facts = Facts {
            index_uses: vec![seen(&short, 9, 99), seen(&long, 0, 99)],
            indexes: vec![short, long],
            ..Facts::default()
        };
        assert_eq!(
            super::super::duplicates::redundant(&facts).len(),
            1,
            "the long one does what the short one does"
        );
        assert_eq!(unused(&facts), []);
        facts.indexes.remove(0);
        assert_eq!(unused(&facts).len(), 1, "once the short one is gone, nothing rests on the long one");
    }

    #[test]
    fn the_index_of_a_partitioned_table_is_judged_by_all_its_parts() {
        let parent = Index { is_partitioned: true, ..index("parent", &["a"]) };
        let part = |name, table_oid| Index { table_oid, parent: Some(parent.oid), ..index(name, &["a"]) };
        let (one, other) = (part("one", 2), part("other", 3));
        let mut facts = Facts {
            index_uses: vec![seen(&one, 0, 40), seen(&other, 0, 50)],
            indexes: vec![parent, one, other],
            ..Facts::default()
        };
        let found = unused(&facts);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].statement.as_deref(), Some("DROP INDEX public.parent;"));
        assert!(found[0].title.contains("for 40 days"));
        facts.index_uses[1].scans = 1;
        assert_eq!(unused(&facts), []);
    }
}
