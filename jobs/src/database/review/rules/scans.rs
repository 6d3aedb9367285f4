//! R11 and R12: whole tables that are read for a few rows.

use super::cover::is_usable;
use super::names::{Names, Proposal};
use crate::database::review::facts::{Condition, Facts, Scan, Table};
use crate::database::review::recommendation::{Confidence, Recommendation, Severity};
use crate::database::review::words::{
    about, count, float, list, many, millis, percent, rounded, seconds, size, unsigned,
};

/// How many columns a proposed index has at most.
const COLUMNS_MAX: usize = 3;
/// How many rows each scan reads in the mean, for the table to be told.
const ROWS_A_SCAN: i64 = 1_000;
/// How often a table is read as a whole, for it to be told: so many times in a minute.
const SCANS_A_MINUTE: f64 = 1.0;
/// For how long that has been so, in seconds, at least.
const WINDOW_S: f64 = 86_400.0;

/// An index that would find the rows of one or more statements.
struct Wanted<'f> {
    table: &'f Table,
    scan: &'f Scan,
    columns: Vec<String>,
    statements: Vec<&'f Scan>,
}

/// Indexes that are missing, as the plans of the statements that cost the most say.
pub(super) fn missing(facts: &Facts) -> Vec<Recommendation> {
    let wanted = wanted(facts);
    let mut names = if wanted.is_empty() { Names::default() } else { Names::of(facts) };
    wanted.iter().map(|one| recommend(facts, one, &mut names)).collect()
}

/// Names the indexes that are proposed.
pub(super) fn name(facts: &Facts, names: &mut Names) {
    for one in wanted(facts) {
        names.give(&one.proposal());
    }
}

impl Wanted<'_> {
    fn proposal(&self) -> Proposal<'_> {
        let Scan { schema, table: bare, .. } = self.scan;
        Proposal { schema, bare, table: &self.table.name, columns: &self.columns }
    }
}

fn wanted(facts: &Facts) -> Vec<Wanted<'_>> {
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for scan in &facts.scans {
        let name = format!("{}.{}", scan.schema, scan.table);
        let table = facts.tables.iter().find(|table| table.name.replace('"', "") == name.replace('"', ""));
        let Some(table) = table.filter(|table| is_worth_it(facts, table, scan)) else { continue };
        let columns = columns(&scan.conditions, table.rows.unwrap_or_default());
        if columns.is_empty() || is_there(facts, table, &columns) {
            continue;
        }
        match wanted.iter_mut().find(|known| known.table.oid == table.oid && known.columns == columns) {
            Some(known) => known.statements.push(scan),
            None => wanted.push(Wanted { table, scan, columns, statements: vec![scan] }),
        }
    }
    wanted
}

fn is_worth_it(facts: &Facts, table: &Table, scan: &Scan) -> bool {
    let rows = table.rows.unwrap_or_default();
    rows >= facts.limits.scan_rows && scan.kept <= rows * facts.limits.scan_kept
}

/// The columns of an index: those that are compared with `=` first, the most telling before the others, and then one
/// that is compared with `<` and the like.
fn columns(conditions: &[Condition], rows: f64) -> Vec<String> {
    // A share of the rows is written below zero.
    let values = |condition: &Condition| {
        if condition.distinct < 0.0 { -condition.distinct * rows } else { condition.distinct }
    };
    let mut equal: Vec<_> = conditions.iter().filter(|condition| condition.is_equal).collect();
    equal.sort_by(|a, b| values(b).total_cmp(&values(a)).then_with(|| a.column.cmp(&b.column)));
    let range = conditions.iter().find(|condition| !condition.is_equal);
    equal.truncate(COLUMNS_MAX - usize::from(range.is_some()));
    equal.into_iter().chain(range).map(|condition| condition.column.clone()).collect()
}

/// Whether an index begins with these columns already: then the planner knows it and does not want it.
fn is_there(facts: &Facts, table: &Table, columns: &[String]) -> bool {
    let is_name = |text: &str, column: &String| {
        text == column || text.trim_matches('"').replace("\"\"", "\"") == *column
    };
    facts.indexes.iter().filter(|index| index.table_oid == table.oid && is_usable(index)).any(|index| {
        let leading = index.keys.get(..columns.len()).unwrap_or_default();
        !leading.is_empty()
            && index.predicate.is_none()
            && columns.iter().all(|column| leading.iter().any(|key| is_name(&key.text, column)))
    })
}

fn recommend(facts: &Facts, wanted: &Wanted<'_>, names: &mut Names) -> Recommendation {
    let table = wanted.table;
    let rows = table.rows.unwrap_or_default();
    let share: f64 = wanted.statements.iter().map(|scan| scan.share).sum();
    let calls: i64 = wanted.statements.iter().map(|scan| scan.calls).sum();
    let severity = if share >= facts.limits.heavy { Severity::Warning } else { Severity::Info };
    let title = format!(
        "An index on {} ({}) would find {} rows that {} now for by reading all {}.",
        table.name,
        list(&wanted.columns),
        about(wanted.scan.kept),
        if wanted.statements.len() == 1 { "a statement looks" } else { "some statements look" },
        about(rows),
    );
    let prints: Vec<&str> = wanted.statements.iter().map(|scan| scan.statement.as_str()).collect();
    let found = Recommendation::new(
        "R11",
        &format!("{} ({})", table.name, wanted.columns.join(", ")),
        severity,
        title,
    )
    .with(Confidence::Medium)
    .shows("Share of the time of all statements", percent(share))
    .shows("Calls", count(calls))
    .shows("Time of a call in the mean", millis(wanted.scan.mean_ms))
    .shows("Statements, by their fingerprints", list(&prints))
    .shows("Rows that the plan keeps of those it reads", percent(wanted.scan.kept / rows.max(1.0)));
    let (make, undo) = names.statements(&wanted.proposal());
    found
        .proposes(make)
        .undone_by(undo)
        .clears_when("The plans of these statements no longer read the whole table.")
}

/// Tables that are read as a whole again and again.
pub(super) fn heavy(facts: &Facts) -> Vec<Recommendation> {
    let mut found = Vec::new();
    for seen in &facts.table_uses {
        let Some(table) = facts.tables.iter().find(|table| table.name == seen.table) else { continue };
        let rate = float(unsigned(seen.whole_scans)) * 60.0 / seen.seconds.max(1.0);
        let rows = seen.whole_rows.checked_div(seen.whole_scans).unwrap_or_default();
        let is_large = table.bytes.is_some_and(|bytes| bytes >= facts.limits.seq_scan_bytes);
        if !is_large || seen.seconds < WINDOW_S || rate < SCANS_A_MINUTE || rows < ROWS_A_SCAN {
            continue;
        }
        let title = format!(
            "{} is read as a whole {} an hour, with {} rows each time.",
            table.name,
            many(rounded(rate * 60.0), "time", "times"),
            count(rows)
        );
        found.push(
            Recommendation::new("R12", &table.name, Severity::Info, title)
                .with(Confidence::Low)
                .may_show("Size", table.bytes.map(size))
                .shows(
                    "Scans of all of it",
                    format!("{} in {}", count(seen.whole_scans), seconds(seen.seconds)),
                )
                .shows("Scans by an index in that time", count(seen.index_scans))
                .clears_when(
                    "It is read as a whole less than once in a minute: look at R11 and at slow statements.",
                ),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::index;
    use super::*;
    use crate::database::history::TableUse;

    fn table() -> Table {
        Table {
            oid: 1,
            name: "public.t".to_owned(),
            rows: Some(1_000_000.0),
            bytes: Some(100 << 20),
            ..Table::default()
        }
    }

    fn scan(conditions: &[(&str, bool, f64)]) -> Scan {
        let condition = |&(column, is_equal, distinct): &(&str, bool, f64)| Condition {
            column: column.to_owned(),
            is_equal,
            distinct,
            is_cast: false,
        };
        Scan {
            statement: "f00d".to_owned(),
            share: 0.2,
            calls: 100,
            mean_ms: 50.0,
            schema: "public".to_owned(),
            table: "t".to_owned(),
            kept: 10.0,
            conditions: conditions.iter().map(condition).collect(),
        }
    }

    fn with(scan: Scan) -> Facts {
        Facts { tables: vec![table()], scans: vec![scan], ..Facts::default() }
    }

    #[test]
    fn equal_columns_come_first_and_the_most_telling_before_the_others() {
        let facts = with(scan(&[("d", false, 0.0), ("b", true, 3.0), ("a", true, -0.5), ("c", true, 2.0)]));
        let found = missing(&facts);
        assert_eq!(
            found[0].statement.as_deref(),
            Some(r#"CREATE INDEX CONCURRENTLY "t_a_b_d_idx" ON public.t ("a", "b", "d");"#)
        );
        assert_eq!(found[0].severity, Severity::Warning);
    }

    #[test]
    fn no_index_is_proposed_that_is_there_or_does_not_help() {
        let facts = with(scan(&[("a", true, 0.0)]));
        assert_eq!(missing(&facts).len(), 1);
        let there = Facts { indexes: vec![index("i", &["a", "b"])], ..facts.clone() };
        assert_eq!(missing(&there), []);
        assert_eq!(missing(&with(Scan { kept: 20_000.0, ..scan(&[("a", true, 0.0)]) })), []);
        let mut small = facts;
        small.tables[0].rows = Some(9_999.0);
        assert_eq!(missing(&small), []);
    }

    #[test]
    fn statements_that_want_the_same_index_are_told_together() {
        let mut facts = with(scan(&[("a", true, 0.0)]));
        facts.scans.push(scan(&[("a", true, 0.0)]));
        let found = missing(&facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].evidence.iter().any(|(_, value)| value == "40 %"), "{:?}", found[0].evidence);
    }

    #[test]
    fn a_table_is_told_when_it_is_large_and_read_as_a_whole_often() {
        let seen = |whole_scans, seconds| TableUse {
            table: "public.t".to_owned(),
            seconds,
            whole_scans,
            whole_rows: whole_scans * 1_000_000,
            index_scans: 0,
            inserted: 0,
            updated: 0,
            updated_in_place: 0,
            deleted: 0,
        };
        let with = |seen| Facts { tables: vec![table()], table_uses: vec![seen], ..Facts::default() };
        let found = heavy(&with(seen(2_880, 86_400.0)));
        assert!(found[0].title.contains("120 times an hour"), "{}", found[0].title);
        assert_eq!(heavy(&with(seen(1_000, 86_400.0))), []);
        assert_eq!(heavy(&with(seen(2_880, 3_600.0))), [], "an hour is too short to say");
    }
}
