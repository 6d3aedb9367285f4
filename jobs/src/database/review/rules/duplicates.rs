//! R05 and R06: indexes that another one makes superfluous.

use super::cover::{does_for, is_same, is_usable, of_key};
use super::invalid::twin;
use super::names::{drop_index, make_again};
use crate::database::indexes::Index;
use crate::database::review::facts::Facts;
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{count, size};

/// Indexes that are judged: those that queries may use, and of a partitioned table the common one. Copies that a
/// rebuild left are told by themselves.
fn judged(facts: &Facts) -> Vec<&Index> {
    let judged = facts.indexes.iter().filter(|index| {
        let is_own = !index.is_of_system && !index.is_of_extension;
        is_usable(index) && index.parent.is_none() && is_own && twin(facts, index).is_none()
    });
    judged.collect()
}

/// Which of some that do the same is to be kept: the lowest. What other things rest on comes first, then what is used
/// most, then the oldest.
pub(super) fn rank(facts: &Facts, index: &Index) -> (bool, bool, bool, bool, i64, u32) {
    (
        !index.is_primary,
        facts.foreign_keys.iter().all(|key| key.target_index != index.oid),
        !(index.is_replica_identity || index.is_clustered),
        index.constraint.is_none(),
        -index.scans,
        index.oid,
    )
}

/// Whether nothing rests on it but queries.
fn may_go(facts: &Facts, index: &Index) -> bool {
    !(index.is_primary || index.is_exclusion || index.is_replica_identity || index.is_clustered)
        && facts.foreign_keys.iter().all(|key| key.target_index != index.oid)
}

/// Indexes that are the same as another one in all but their names.
pub(super) fn duplicates(facts: &Facts) -> Vec<Recommendation> {
    let (mut found, judged) = (Vec::new(), judged(facts));
    for index in judged.iter().copied() {
        let same = judged.iter().copied().filter(|other| other.oid == index.oid || is_same(index, other));
        let Some(kept) = same.min_by_key(|other| rank(facts, other)) else { continue };
        if kept.oid != index.oid && may_go(facts, index) {
            let title = format!(
                "{} does the same as {}: every write to {} keeps both, and one is enough.",
                index.name, kept.name, index.table
            );
            found.push(superfluous("R05", facts, index, kept, title));
        }
    }
    found
}

/// Indexes that another one with more columns, or a unique one, covers.
pub(super) fn redundant(facts: &Facts) -> Vec<Recommendation> {
    let (mut found, judged) = (Vec::new(), judged(facts));
    let mut gone: Vec<u32> = Vec::new();
    for index in judged.iter().copied().filter(|index| !index.is_unique && may_go(facts, index)) {
        let others = judged.iter().copied().filter(|other| does_for(other, index) && !is_same(other, index));
        // Of two that cover each other one has to stay; of two that are the same, the one that does.
        let others = others.filter(|other| !gone.contains(&other.oid));
        let Some(kept) = others.min_by_key(|other| rank(facts, other)) else { continue };
        gone.push(index.oid);
        let title = format!(
            "{} can do all that {} does: every write to {} keeps both, and the longer one is enough.",
            kept.name, index.name, index.table
        );
        found.push(superfluous("R06", facts, index, kept, title));
    }
    found
}

fn superfluous(rule: &str, facts: &Facts, index: &Index, kept: &Index, title: String) -> Recommendation {
    let bytes = index.bytes();
    let is_large = bytes.is_some_and(|bytes| bytes >= facts.limits.bloat_bytes);
    let severity = if is_large { Severity::Warning } else { Severity::Info };
    let (statement, undo) = match &index.constraint {
        Some(name) => drop_constraint(index, name),
        None => (drop_index(index), make_again(index)),
    };
    let found = Recommendation::new(rule, &index.name, severity, title)
        .shows("This one", &*index.definition)
        .shows("The one to keep", &*kept.definition)
        .may_show("Size that is saved", bytes.map(size))
        .shows("Scans of this one since counters began", count(index.scans))
        .shows("Scans of the one to keep", count(kept.scans));
    let mut keys = facts.foreign_keys.iter().filter(|key| key.table_oid == index.table_oid);
    let served = keys.find(|key| {
        let covers = of_key(facts, key);
        [index, kept].iter().all(|one| covers.iter().any(|cover| cover.oid == one.oid))
    });
    let found = found.may_show("Foreign key that both serve", served.map(|key| &*key.name));
    found.proposes(statement).undone_by(undo).clears_when("One of the two is dropped.")
}

/// A constraint goes with its index, and comes back with it.
fn drop_constraint(index: &Index, name: &str) -> (String, String) {
    let name = brasa_shared::db::quoted(name);
    let bare = brasa_shared::db::quoted(&index.bare);
    (
        format!("ALTER TABLE {} DROP CONSTRAINT {name};", index.table),
        format!(
            "{}\nALTER TABLE {} ADD CONSTRAINT {name} UNIQUE USING INDEX {bare};",
            make_again(index),
            index.table
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::index;
    use super::*;

    fn names(found: &[Recommendation]) -> Vec<&str> {
        found.iter().map(|one| one.object.as_str()).collect()
    }

    fn with(indexes: Vec<Index>) -> Facts {
        Facts { indexes, ..Facts::default() }
    }

    #[test]
    fn of_two_that_are_the_same_the_one_that_more_rests_on_stays() {
        let used = Index { scans: 9, ..index("used", &["a"]) };
        let found = duplicates(&with(vec![index("idle", &["a"]), used.clone()]));
        assert_eq!(names(&found), ["public.idle"]);
        assert_eq!(found[0].statement.as_deref(), Some("DROP INDEX CONCURRENTLY public.idle;"));
        assert_eq!(
            found[0].undo.as_deref(),
            Some("CREATE INDEX CONCURRENTLY idle ON public.t USING btree (a);")
        );
        let key =
            |name: &str| Index { is_unique: true, constraint: Some(name.to_owned()), ..index(name, &["a"]) };
        let bare = Index { constraint: None, scans: 99, ..key("bare") };
        assert_eq!(names(&duplicates(&with(vec![bare, key("backed")]))), ["public.bare"]);
        let primary = Index { is_primary: true, ..key("t_pkey") };
        let found = duplicates(&with(vec![key("t_key"), primary]));
        assert_eq!(found[0].statement.as_deref(), Some("ALTER TABLE public.t DROP CONSTRAINT \"t_key\";"));
    }

    #[test]
    fn what_differs_in_anything_is_no_duplicate() {
        let plain = index("plain", &["a"]);
        let mut class = index("other", &["a"]);
        class.keys[0].class = "pg_catalog.text_pattern_ops".to_owned();
        for other in [
            class,
            index("other", &["b"]),
            Index { predicate: Some("(b > 1)".to_owned()), ..index("other", &["a"]) },
            Index { method: "hash".to_owned(), ..index("other", &["a"]) },
            Index { table_oid: 2, ..index("other", &["a"]) },
            Index { is_valid: false, ..index("other", &["a"]) },
            Index { parent: Some(7), ..index("other", &["a"]) },
        ] {
            let facts = with(vec![plain.clone(), other]);
            assert_eq!(names(&duplicates(&facts)), Vec::<&str>::new());
            assert_eq!(names(&redundant(&facts)), Vec::<&str>::new());
        }
    }

    #[test]
    fn the_beginning_of_a_longer_one_is_redundant_and_its_end_is_not() {
        let long = index("long", &["a", "b"]);
        assert_eq!(names(&redundant(&with(vec![index("short", &["a"]), long.clone()]))), ["public.short"]);
        assert_eq!(names(&redundant(&with(vec![index("end", &["b"]), long.clone()]))), Vec::<&str>::new());
        let unique = Index { is_unique: true, ..index("short", &["a"]) };
        assert_eq!(names(&redundant(&with(vec![unique.clone(), long]))), Vec::<&str>::new());
        assert_eq!(names(&redundant(&with(vec![index("plain", &["a"]), unique]))), ["public.plain"]);
    }

    #[test]
    fn of_a_single_column_the_direction_does_not_matter() {
        let turned = |columns| {
            let mut turned = index("turned", columns);
            (turned.keys[0].is_descending, turned.keys[0].nulls_first) = (true, true);
            turned
        };
        let both = with(vec![turned(&["a"]), index("plain", &["a"])]);
        assert_eq!(redundant(&both).len(), 1, "one of the two has to stay");
        let more = with(vec![turned(&["a", "b"]), index("plain", &["a", "b"])]);
        assert_eq!(names(&redundant(&more)), Vec::<&str>::new());
    }
}
