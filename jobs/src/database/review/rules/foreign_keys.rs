//! R10: foreign keys whose rows no index finds.

use super::cover::{is_covered, is_in_the_dark, of_key};
use super::names::{Names, Proposal};
use crate::database::review::facts::{Facts, ForeignKey};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{about, count, list};

/// Foreign keys without an index that finds the rows which refer.
pub(super) fn uncovered(facts: &Facts) -> Vec<Recommendation> {
    let lacking = lacking(facts);
    let mut names = if lacking.is_empty() { Names::default() } else { Names::of(facts) };
    lacking.into_iter().map(|key| recommend(facts, key, &mut names)).collect()
}

/// Names the indexes that are proposed.
pub(super) fn name(facts: &Facts, names: &mut Names) {
    for proposal in lacking(facts).into_iter().flat_map(|key| proposals(facts, key)) {
        names.give(&proposal);
    }
}

fn lacking(facts: &Facts) -> Vec<&ForeignKey> {
    // Where somebody has locked the table, the index may be there.
    let is_seen = |key: &&ForeignKey| {
        let mut tables = key.parts.iter().map(|part| part.oid).chain([key.table_oid]);
        !tables.any(|table| is_in_the_dark(facts, table))
    };
    // One index is enough for all keys of the same columns.
    let mut seen: Vec<(u32, Vec<i16>)> = Vec::new();
    let mut is_first = |key: &&ForeignKey| {
        let mut columns = key.numbers.clone();
        columns.sort_unstable();
        let is_first = !seen.contains(&(key.table_oid, columns.clone()));
        seen.push((key.table_oid, columns));
        is_first
    };
    let mut found: Vec<&ForeignKey> =
        facts.foreign_keys.iter().filter(|key| !is_covered(facts, key)).filter(is_seen).collect();
    found.retain(|key| is_first(key));
    found
}

fn recommend(facts: &Facts, key: &ForeignKey, names: &mut Names) -> Recommendation {
    let rows = key.rows.unwrap_or_default();
    let severity = if rows >= facts.limits.foreign_key_rows { Severity::Warning } else { Severity::Info };
    let title = format!(
        "No index finds the rows of {} that refer to a row of {}, so deleting one there reads the whole table.",
        key.table, key.target
    );
    let (make, undo): (Vec<_>, Vec<_>) =
        proposals(facts, key).iter().map(|proposal| names.statements(proposal)).unzip();
    Recommendation::new("R10", &format!("{}.{}", key.table, key.name), severity, title)
        .shows("Foreign key", format!("{} ({})", key.name, list(&key.columns)))
        .shows(
            "Rows that refer",
            key.rows.map_or_else(|| "not known: nobody has analyzed it".to_owned(), about),
        )
        .shows("Rows deleted or changed in the target since counters began", count(key.changes))
        .proposes(make.join("\n"))
        .undone_by(undo.join("\n"))
        .clears_when("A valid index begins with these columns, in any order.")
}

fn proposals<'f>(facts: &'f Facts, key: &'f ForeignKey) -> Vec<Proposal<'f>> {
    let propose = |schema, bare, table| Proposal { schema, bare, table, columns: &key.columns };
    if key.parts.is_empty() {
        return vec![propose(&key.schema, &key.bare, &key.table)];
    }
    // No index of a partitioned table is made without blocking writes, but those of its parts are.
    let parts = key.parts.iter().filter(|part| of_key(facts, key, part.oid).is_empty());
    parts.map(|part| propose(&part.schema, &part.bare, &part.table)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::{index, key};
    use super::*;
    use crate::database::indexes::{Index, Size};
    use crate::database::review::facts::Part;

    #[test]
    fn a_key_without_an_index_gets_one_proposed() {
        let facts = Facts { foreign_keys: vec![key(&["a"]), key(&["a"])], ..Facts::default() };
        let found = uncovered(&facts);
        assert_eq!(found.len(), 1, "two keys of the same columns need one index");
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(
            found[0].statement.as_deref(),
            Some(r#"CREATE INDEX CONCURRENTLY "t_a_idx" ON public.t ("a");"#)
        );
        assert_eq!(found[0].undo.as_deref(), Some(r#"DROP INDEX CONCURRENTLY "public"."t_a_idx";"#));
    }

    #[test]
    fn a_key_with_an_index_or_in_a_small_table_is_no_warning() {
        let facts = Facts {
            foreign_keys: vec![key(&["a"])],
            indexes: vec![index("i", &["a", "b"])],
            ..Facts::default()
        };
        assert_eq!(uncovered(&facts), []);
        let locked = Index { size: Size::Locked, ..index("i", &["a"]) };
        let facts = Facts { foreign_keys: vec![key(&["a"])], indexes: vec![locked], ..Facts::default() };
        assert_eq!(uncovered(&facts), [], "whether there is one cannot be seen");
        let small = ForeignKey { rows: Some(50.0), ..key(&["a"]) };
        let facts = Facts { foreign_keys: vec![small], ..Facts::default() };
        assert_eq!(uncovered(&facts)[0].severity, Severity::Info);
    }

    #[test]
    fn of_a_partitioned_table_only_the_parts_that_lack_one_get_an_index() {
        let part = |oid, bare: &str| Part {
            oid,
            schema: "public".to_owned(),
            bare: bare.to_owned(),
            table: format!("public.{bare}"),
            numbers: vec![1],
        };
        let key = ForeignKey { parts: vec![part(2, "p1"), part(3, "p2")], ..key(&["a"]) };
        let has = Index { table_oid: 2, ..index("i", &["a"]) };
        let facts = Facts { foreign_keys: vec![key], indexes: vec![has], ..Facts::default() };
        let statement = uncovered(&facts)[0].statement.clone().unwrap();
        assert_eq!(statement, r#"CREATE INDEX CONCURRENTLY "p2_a_idx" ON public.p2 ("a");"#);
    }
}
