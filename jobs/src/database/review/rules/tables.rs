//! R30 and R31: tables without a key, and rows that have expired.

use brasa_shared::db::quoted;

use super::cover::{is_in_the_dark, is_told, is_usable};
use super::names::make_again;
use crate::database::indexes::Index;
use crate::database::review::facts::{Expired, Facts, Table, TableKind};
use crate::database::review::recommendation::{Confidence, Recommendation, Severity};
use crate::database::review::words::{about, percent, size};

/// A larger table is not written anew to get a key.
const REWRITTEN_MAX: u64 = 1 << 30;
/// From this share on most of a table is of no use.
const MOST: f64 = 0.5;
/// Fewer rows than these are not worth a word.
const ROWS_MIN: f64 = 1_000.0;

/// Tables whose rows nothing tells apart.
pub(super) fn without_key(facts: &Facts) -> Vec<Recommendation> {
    let without = facts.tables.iter().filter(|table| {
        !table.has_key && table.kind != TableKind::Materialized && !(table.is_part && table.has_identity)
    });
    // The parts of a partitioned table get their key with it.
    without.filter(|table| !table.is_part).map(|table| recommend(facts, table)).collect()
}

fn recommend(facts: &Facts, table: &Table) -> Recommendation {
    let is_stuck = table.is_published && !table.has_identity;
    let severity = if is_stuck { Severity::Warning } else { Severity::Info };
    let title = if is_stuck {
        format!("{} is replicated and has no primary key: updates and deletes of its rows fail.", table.name)
    } else {
        format!(
            "{} has no primary key: nothing tells two equal rows apart, and it cannot be replicated logically.",
            table.name
        )
    };
    let found = Recommendation::new("R30", &table.name, severity, title)
        .may_show("Size", table.bytes.map(size))
        .may_show("Rows", table.rows.map(about))
        .clears_when("It has a primary key.");
    let usable = facts.indexes.iter().find(|index| index.table_oid == table.oid && may_be_key(index));
    if let Some(index) = usable {
        let found = found.shows("Index that tells its rows apart", &*index.definition);
        return found
            .proposes(format!(
                "ALTER TABLE {} ADD PRIMARY KEY USING INDEX {};",
                table.name,
                quoted(&index.bare)
            ))
            .undone_by(without_again(table, index));
    }
    // A key over all parts has to have the columns that they are told apart by: that is for a person to decide.
    let is_small = table.bytes.is_some_and(|bytes| bytes <= REWRITTEN_MAX);
    if !is_small || is_in_the_dark(facts, table.oid) || table.kind == TableKind::Partitioned {
        return found;
    }
    found
        .shows("What it costs", "Nobody can read or write the table while all its rows are written anew.")
        .proposes(format!(
            "ALTER TABLE {} ADD COLUMN brasa_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;",
            table.name
        ))
        .undone_by(format!("ALTER TABLE {} DROP COLUMN brasa_id;", table.name))
}

/// What makes of a primary key the unique index again that it was made of. The key took that, and NULLs with it.
fn without_again(table: &Table, index: &Index) -> String {
    let name = quoted(&index.bare);
    let mut lines = vec![format!("ALTER TABLE {} DROP CONSTRAINT {name};", table.name), make_again(index)];
    for key in index.keys.iter().filter(|key| !key.is_not_null) {
        lines.push(format!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL;", table.name, key.text));
    }
    if index.is_replica_identity {
        lines.push(format!("ALTER TABLE {} REPLICA IDENTITY USING INDEX {name};", table.name));
    }
    if index.is_clustered {
        lines.push(format!("ALTER TABLE {} CLUSTER ON {name};", table.name));
    }
    lines.join("\n")
}

fn may_be_key(index: &Index) -> bool {
    let is_plain = index.predicate.is_none() && index.keys.iter().all(|key| key.column.is_some());
    let is_free = index.constraint.is_none() && !index.is_partitioned && index.parent.is_none();
    index.is_unique
        && index.is_immediate
        && is_plain
        && is_free
        && is_usable(index)
        && is_told(index)
        && !index.nulls_not_distinct
        && index.keys.iter().all(|key| !key.is_descending && !key.nulls_first)
}

/// Rows that have expired and are still there.
pub(super) fn expired(facts: &Facts) -> Vec<Recommendation> {
    let due = facts
        .expired
        .iter()
        .filter(|one| one.expired >= ROWS_MIN && one.expired >= one.rows * facts.limits.expired);
    let recommend = |one: &Expired| {
        let part = (one.expired / one.rows.max(1.0)).min(1.0);
        let severity = if part >= MOST { Severity::Warning } else { Severity::Info };
        let title = format!(
            "{} of the rows of {} have expired and are still there, as far as the planner can tell.",
            percent(part),
            one.table
        );
        Recommendation::new("R31", &one.name, severity, title)
            .with(Confidence::Medium)
            .shows("Rows that have expired", about(one.expired))
            .shows("Rows", about(one.rows))
            .shows("Condition", &*one.filter)
            .shows(
                "What deletes them",
                format!("brasa db prune {} --yes, or a schedule with the job db.prune", one.name),
            )
            .clears_when("They are deleted, and the table is analyzed.")
    };
    due.map(recommend).collect()
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::index;
    use super::*;

    fn table() -> Table {
        Table { oid: 1, name: "public.t".to_owned(), bytes: Some(1 << 20), ..Table::default() }
    }

    fn told(table: Table, indexes: Vec<Index>) -> Vec<Recommendation> {
        without_key(&Facts { tables: vec![table], indexes, ..Facts::default() })
    }

    #[test]
    fn a_key_is_made_of_what_is_there_or_of_a_new_column() {
        let unique = Index { is_unique: true, ..index("t_a", &["a"]) };
        let found = told(table(), vec![unique.clone()]);
        assert_eq!(
            found[0].statement.as_deref(),
            Some(r#"ALTER TABLE public.t ADD PRIMARY KEY USING INDEX "t_a";"#)
        );
        let undo: Vec<&str> = found[0].undo.as_ref().unwrap().lines().collect();
        assert_eq!(undo[0], r#"ALTER TABLE public.t DROP CONSTRAINT "t_a";"#);
        assert_eq!(undo[1], "CREATE INDEX CONCURRENTLY t_a ON public.t USING btree (a);");
        assert_eq!(undo[2..], ["ALTER TABLE public.t ALTER COLUMN a DROP NOT NULL;"]);
        let partial = Index { predicate: Some("(a > 1)".to_owned()), ..unique };
        assert!(told(table(), vec![partial])[0].statement.as_ref().unwrap().contains("GENERATED ALWAYS"));
        assert_eq!(told(Table { bytes: Some(2 << 30), ..table() }, vec![])[0].statement, None);
    }

    #[test]
    fn a_table_with_a_key_is_well_and_one_that_is_replicated_without_is_not() {
        assert_eq!(told(Table { has_key: true, ..table() }, vec![]), []);
        assert_eq!(told(table(), vec![])[0].severity, Severity::Info);
        assert_eq!(told(Table { is_published: true, ..table() }, vec![])[0].severity, Severity::Warning);
        assert_eq!(told(Table { is_part: true, ..table() }, vec![]), []);
    }

    #[test]
    fn expired_rows_are_told_from_a_fifth_on() {
        let told = |expired| {
            let one = Expired { name: "sessions".to_owned(), expired, rows: 10_000.0, ..Expired::default() };
            super::expired(&Facts { expired: vec![one], ..Facts::default() })
        };
        assert_eq!(told(1_900.0), []);
        assert_eq!(told(2_000.0)[0].severity, Severity::Info);
        assert_eq!(told(6_000.0)[0].severity, Severity::Warning);
    }
}
