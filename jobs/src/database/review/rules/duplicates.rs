//! R05 and R06: indexes that another one makes superfluous.

use brasa_shared::db::quoted;

use super::cover::{does_for, is_same, is_told, is_usable, of_key};
use super::invalid::twin;
use super::names::{drop_index, make_again};
use crate::database::indexes::Index;
use crate::database::review::facts::{Facts, Subject};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{count, size};

/// Indexes that are judged: those that queries may use, and of a partitioned table the common one. Copies that a
/// rebuild left are told by themselves.
fn judged(facts: &Facts) -> Vec<&Index> {
    let judged = facts.indexes.iter().filter(|index| {
        let is_own = !index.is_of_system && !index.is_of_extension;
        is_usable(index) && is_told(index) && index.parent.is_none() && is_own && twin(facts, index).is_none()
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

/// Whether nothing rests on it but queries. What is checked when a transaction ends is there for a reason.
fn may_go(facts: &Facts, index: &Index) -> bool {
    let is_deferrable = index.constraint.is_some() && !index.is_immediate;
    let is_marked = index.is_primary || index.is_exclusion || index.is_replica_identity || index.is_clustered;
    !(is_deferrable || is_marked || is_named(facts, index))
        && facts.foreign_keys.iter().all(|key| key.target_index != index.oid)
}

/// Whether a statement names its constraint, and fails without it whatever other index there is.
fn is_named(facts: &Facts, index: &Index) -> bool {
    let Some(name) = &index.constraint else { return false };
    let plain =
        |text: &str| text.to_lowercase().replace('"', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = format!("on constraint {}", plain(name));
    let of_day = facts.statement_uses.iter().map(|statement| &statement.text);
    let known = facts.upserts.texts.iter().map(|(_, text)| text);
    of_day.chain(known).any(|text| plain(text).contains(&wanted))
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
        let columns = |index: &Index| index.keys.len() + index.included.len();
        let enough = if columns(kept) > columns(index) { "the longer one" } else { "that one" };
        let title = format!(
            "{} can do all that {} does: every write to {} keeps both, and {enough} is enough.",
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
    let found = Recommendation::new(rule, &index.name, severity, title)
        .shows("This one", &*index.definition)
        .shows("The one to keep", &*kept.definition)
        .may_show("Size that is saved", bytes.map(size))
        .shows("Scans of this one since counters began", count(index.scans))
        .shows("Scans of the one to keep", count(kept.scans));
    let served = facts.foreign_keys.iter().find(|key| {
        let covers = of_key(facts, key, index.table_oid);
        [index, kept].iter().all(|one| covers.iter().any(|cover| cover.oid == one.oid))
    });
    let found = found
        .may_show("Foreign key that both serve", served.map(|key| &*key.name))
        .clears_when("One of the two is dropped.");
    let Some(name) = &index.constraint else {
        return found.proposes(drop_index(index)).undone_by(make_again(index));
    };
    if !facts.knows(Subject::StatementUses) {
        let why =
            "Whether a statement names its constraint in ON CONFLICT is not known: nothing was recorded yet.";
        return found.shows("Why no statement is proposed", why);
    }
    let (statement, undo) = drop_constraint(index, name);
    found
        .shows(
            "Before it is dropped",
            "Look for ON CONFLICT ON CONSTRAINT in statements that are rarer than what is recorded.",
        )
        .proposes(statement)
        .undone_by(undo)
}

/// A constraint goes with its index, and comes back with it.
fn drop_constraint(index: &Index, name: &str) -> (String, String) {
    let name = quoted(name);
    let drop = format!("ALTER TABLE {} DROP CONSTRAINT {name};", index.table);
    if index.is_partitioned {
        // No constraint of a partitioned table is made of an index that is there.
        let keys: Vec<&str> = index.keys.iter().map(|key| key.text.as_str()).collect();
        let nulls = if index.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        let included = match &*index.included {
            [] => String::new(),
            columns => format!(" INCLUDE ({})", columns.join(", ")),
        };
        let add = format!("ADD CONSTRAINT {name} UNIQUE{nulls} ({}){included}", keys.join(", "));
        return (drop, format!("ALTER TABLE {} {add};", index.table));
    }
    let add = format!("ADD CONSTRAINT {name} UNIQUE USING INDEX {}", quoted(&index.bare));
    (drop, format!("{}\nALTER TABLE {} {add};", make_again(index), index.table))
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::index;
    use super::*;
    use crate::database::indexes::Size;
    use crate::database::review::facts::Gap;
    use crate::database::review::rules::statements::tests::statement;

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
    fn what_somebody_has_locked_is_no_duplicate_and_covers_nothing() {
        let plain = index("plain", &["a"]);
        for other in [index("other", &["a"]), index("other", &["a", "b"])] {
            let locked = Index { size: Size::Locked, definition: String::new(), ..other };
            let facts = with(vec![plain.clone(), locked]);
            assert_eq!((duplicates(&facts), redundant(&facts)), (vec![], vec![]));
        }
    }

    #[test]
    fn of_other_methods_only_what_is_the_same_to_its_parameters_is_a_duplicate() {
        let brin = |name, signature: &str| Index {
            method: "brin".to_owned(),
            signature: signature.to_owned(),
            ..index(name, &["a"])
        };
        assert_eq!(duplicates(&with(vec![brin("x", "1"), brin("y", "1")])).len(), 1);
        let other = with(vec![brin("x", "1"), Index { included: vec!["b".to_owned()], ..brin("y", "2") }]);
        assert_eq!((duplicates(&other), redundant(&other)), (vec![], vec![]));
    }

    fn backed(name: &str) -> Index {
        Index { is_unique: true, constraint: Some(name.to_owned()), ..index(name, &["a"]) }
    }

    #[test]
    fn a_constraint_that_a_statement_names_stays() {
        let mut facts = with(vec![backed("t_key"), backed("other_key")]);
        facts.indexes[0].is_primary = true;
        assert_eq!(
            duplicates(&facts)[0].statement.as_ref().map(|one| one.contains("\"other_key\"")),
            Some(true)
        );
        facts.gaps = vec![Gap::new(Subject::StatementUses, "nothing was recorded")];
        assert_eq!(duplicates(&facts)[0].statement, None, "nobody knows who names it");
        facts.gaps.clear();
        let text = "insert into t values ($1) ON CONFLICT ON\n CONSTRAINT \"other_key\" do nothing";
        facts.statement_uses = vec![statement(text, 1.0, 1)];
        assert_eq!(duplicates(&facts), []);
        facts.statement_uses.clear();
        facts.upserts.texts = vec![("function f".to_owned(), text.to_owned())];
        assert_eq!(duplicates(&facts), [], "statements of other days, and functions");
        facts.upserts.texts.clear();
        for one in &mut facts.indexes {
            one.is_immediate = false;
        }
        assert_eq!(duplicates(&facts), [], "what is deferrable comes back otherwise as what it was not");
    }

    #[test]
    fn a_constraint_of_a_partitioned_table_comes_back_without_an_index_of_its_own() {
        let primary = Index { is_primary: true, is_partitioned: true, ..backed("t_pkey") };
        let other = Index { is_partitioned: true, ..backed("t_key") };
        let found = duplicates(&with(vec![primary, other]));
        assert_eq!(
            found[0].undo.as_deref(),
            Some("ALTER TABLE public.t ADD CONSTRAINT \"t_key\" UNIQUE (a);")
        );
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
