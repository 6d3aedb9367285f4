//! R07, R08 and R09: what an index that could not be built left behind.

use super::cover::{is_same, is_told, is_usable};
use super::names::drop_index;
use crate::database::indexes::Index;
use crate::database::review::facts::Facts;
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::size;

/// How long a name may be before Postgres adds what marks a copy, in bytes: the rest is cut off.
const CLIPPED: usize = 57;

/// Invalid indexes that a rebuild of ours left behind.
pub(super) fn ours(facts: &Facts) -> Vec<Recommendation> {
    let recommend = |index: &Index| {
        let title = format!(
            "{} was left behind by a rebuild of Brasa that was interrupted: writes keep it, and nobody can use it.",
            index.name
        );
        told("R07", index, title)
            .applies(drop_index(index))
            .clears_when("`brasa db reindex` drops it, or you do.")
    };
    invalid(facts).filter(|index| facts.leftovers.contains(&index.oid)).map(recommend).collect()
}

/// Invalid indexes that Brasa knows nothing of.
pub(super) fn of_others(facts: &Facts) -> Vec<Recommendation> {
    let recommend = |index: &Index| {
        let title = format!(
            "{} is not valid: whoever made it did not come to an end. Writes keep it up to date, and no query uses it.",
            index.name
        );
        let found = told("R08", index, title);
        // A copy's original is still there, and what has a constraint cannot just be dropped.
        let twin = twin(facts, index);
        // Nor can one that is attached to the common index of its table.
        if index.constraint.is_some() || index.parent.is_some() && !index.is_partitioned {
            let how = if index.is_exclusion { "" } else { " CONCURRENTLY" };
            return found
                .may_show("Constraint that it carries out", index.constraint.as_deref())
                .proposes(format!("REINDEX INDEX{how} {};", index.name))
                .clears_when("It is rebuilt.");
        }
        if index.is_partitioned {
            let advice = "Every part of the table has such an index, and each is attached to it.";
            return found.shows("Why", "It has no index of some part of its table.").clears_when(advice);
        }
        found
            .may_show("The one that it is a copy of", twin.map(|twin| twin.name.clone()))
            .proposes(drop_index(index))
            .undone_by(super::names::make_again(index))
            .clears_when("It is dropped, and made again if it is needed.")
    };
    invalid(facts)
        .filter(|index| is_told(index))
        .filter(|index| !facts.leftovers.contains(&index.oid))
        .map(recommend)
        .collect()
}

/// Valid indexes that are called like the copies of a rebuild, beside the index that they are copies of.
pub(super) fn copies(facts: &Facts) -> Vec<Recommendation> {
    let recommend = |index: &Index| {
        let twin = twin(facts, index)?;
        let title = format!(
            "{} is a copy of {} that an interrupted rebuild left behind and somebody made valid: one is enough.",
            index.name, twin.name
        );
        let found = told("R09", index, title)
            .shows("The one to keep", &*twin.definition)
            .proposes(drop_index(index))
            .undone_by(super::names::make_again(index))
            .clears_when("It is dropped.");
        Some(found)
    };
    let usable = facts.indexes.iter().filter(|index| {
        // One that is attached to the common index of its table stays with that.
        is_usable(index) && is_told(index) && index.constraint.is_none() && index.parent.is_none()
    });
    usable.filter_map(recommend).collect()
}

fn invalid(facts: &Facts) -> impl Iterator<Item = &Index> {
    // That of a part is judged with the common one of its table, unless it is broken by itself.
    facts.indexes.iter().filter(|index| {
        let is_broken = !index.is_valid || !index.is_ready || !index.is_live;
        is_broken && !index.is_being_built && !index.is_of_system
    })
}

fn told(rule: &str, index: &Index, title: String) -> Recommendation {
    Recommendation::new(rule, &index.name, Severity::Warning, title)
        .shows("Definition", &*index.definition)
        .may_show("Size", index.bytes().map(size))
}

/// The index of which this is a copy, by its name: what a rebuild calls a copy of `x` is `x_ccnew` or `x_ccold`, and a
/// number behind it if there is one already.
pub(super) fn twin<'f>(facts: &'f Facts, index: &Index) -> Option<&'f Index> {
    let base = original(&index.bare)?;
    facts.indexes.iter().find(|other| {
        let is_named = other.bare == base || base.len() == CLIPPED && other.bare.starts_with(base);
        is_named && other.oid != index.oid && is_usable(other) && is_alike(other, index)
    })
}

/// The same, but for what an invalid one cannot have: a constraint, and what comes with that.
fn is_alike(one: &Index, other: &Index) -> bool {
    let like = Index { is_immediate: one.is_immediate, ..other.clone() };
    is_same(one, &like)
}

fn original(name: &str) -> Option<&str> {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name.strip_suffix("_ccnew").or_else(|| name.strip_suffix("_ccold"))
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::index;
    use super::*;

    fn broken(name: &str) -> Index {
        Index { is_valid: false, ..index(name, &["a"]) }
    }

    #[test]
    fn an_invalid_index_is_ours_or_of_others_and_never_one_that_is_being_built() {
        let mut facts = Facts { indexes: vec![broken("i_ccnew"), index("i", &["a"])], ..Facts::default() };
        assert_eq!((ours(&facts).len(), of_others(&facts).len()), (0, 1));
        assert_eq!(
            of_others(&facts)[0].statement.as_deref(),
            Some("DROP INDEX CONCURRENTLY public.i_ccnew;")
        );
        facts.leftovers.push(facts.indexes[0].oid);
        assert_eq!((ours(&facts).len(), of_others(&facts).len()), (1, 0));
        facts.indexes[0].is_being_built = true;
        assert_eq!((ours(&facts).len(), of_others(&facts).len()), (0, 0));
    }

    #[test]
    fn what_carries_out_a_constraint_is_rebuilt_and_not_dropped() {
        let backed = Index { constraint: Some("i".to_owned()), ..broken("i") };
        let facts = Facts { indexes: vec![backed], ..Facts::default() };
        assert_eq!(of_others(&facts)[0].statement.as_deref(), Some("REINDEX INDEX CONCURRENTLY public.i;"));
        let attached = Facts { indexes: vec![Index { parent: Some(7), ..broken("i") }], ..Facts::default() };
        let statement = of_others(&attached)[0].statement.clone();
        assert_eq!(statement.as_deref(), Some("REINDEX INDEX CONCURRENTLY public.i;"));
        let locked = Index { definition: String::new(), ..broken("i") };
        assert_eq!(of_others(&Facts { indexes: vec![locked], ..Facts::default() }), []);
    }

    #[test]
    fn a_valid_copy_is_found_by_its_clipped_name_and_its_original() {
        let long = "x".repeat(63);
        let copy = format!("{}_ccnew", &long[..57]);
        for (original, copy) in [("i", "i_ccnew"), ("i", "i_ccold12"), (long.as_str(), copy.as_str())] {
            let facts =
                Facts { indexes: vec![index(original, &["a"]), index(copy, &["a"])], ..Facts::default() };
            let found = copies(&facts);
            assert_eq!(found.len(), 1, "{copy}");
            assert_eq!(found[0].object, format!("public.{copy}"));
        }
        let attached = Index { parent: Some(7), ..index("i_ccnew", &["a"]) };
        assert_eq!(copies(&Facts { indexes: vec![index("i", &["a"]), attached], ..Facts::default() }), []);
        let other = Facts { indexes: vec![index("i", &["b"]), index("i_ccnew", &["a"])], ..Facts::default() };
        assert_eq!(copies(&other), []);
    }
}
