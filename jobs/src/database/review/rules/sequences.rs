//! R29: sequences that come to their end.

use crate::database::review::facts::{Facts, Sequence};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{count, percent};

/// From this share on it is a matter of days.
const GRAVE: f64 = 0.95;

/// Sequences that are nearly used up, or whose columns are.
pub(super) fn ending(facts: &Facts) -> Vec<Recommendation> {
    // Where one fills a partitioned table and its parts, the table is what is told.
    let is_told_above = |one: &Sequence| {
        one.is_inherited
            && facts
                .sequences
                .iter()
                .any(|other| other.name == one.name && !other.is_inherited && other.table.is_some())
    };
    let is_ending = |one: &&Sequence| !one.is_circular && one.used() >= facts.limits.sequence;
    let ending = facts.sequences.iter().filter(is_ending).filter(|one| !is_told_above(one));
    ending.map(recommend).collect()
}

fn recommend(sequence: &Sequence) -> Recommendation {
    let used = sequence.used();
    let severity = if used >= GRAVE { Severity::Critical } else { Severity::Warning };
    let object = match (&sequence.table, &sequence.column) {
        (Some(table), Some(column)) => format!("{table}.{column}"),
        _ => sequence.name.clone(),
    };
    let title = if sequence.left() == 0 {
        format!("There are no numbers left that {object} can have: every insert fails that needs one.")
    } else {
        format!(
            "{} numbers are left that {object} can have: at the end every insert fails.",
            count(sequence.left())
        )
    };
    let found = Recommendation::new("R29", &object, severity, title)
        .shows("Sequence", format!("{} ({})", sequence.name, sequence.kind))
        .may_show("Type of the column", sequence.column_kind.as_deref())
        .shows("Used up", percent(used))
        .shows("Last number", count(sequence.last.unwrap_or_default()))
        .shows("Last number that is possible", count(sequence.end()));
    let statement = widened(sequence);
    if statement.is_empty() {
        return found.clears_when("The application gives numbers in another way: there are no larger ones.");
    }
    let found = if sequence.table.is_some() && narrow(sequence.column_kind.as_deref()) {
        found.shows(
            "What it costs",
            "Nobody can read or write the table while all its rows are written anew. Columns that refer to this \
             one have to become bigint, too.",
        )
    } else {
        found
    };
    found.proposes(statement.join("\n")).clears_when("Column and sequence are bigint.")
}

fn narrow(kind: Option<&str>) -> bool {
    matches!(kind, Some("integer" | "smallint"))
}

/// Where a sequence of this type ends, if nobody says otherwise.
fn own_end(kind: &str) -> Option<i64> {
    match kind {
        "smallint" => Some(i64::from(i16::MAX)),
        "integer" => Some(i64::from(i32::MAX)),
        _ => None,
    }
}

fn widened(sequence: &Sequence) -> Vec<String> {
    let mut statements = Vec::new();
    if let (Some(table), Some(column), true) =
        (&sequence.table, &sequence.column, narrow(sequence.column_kind.as_deref()) && !sequence.is_inherited)
    {
        statements.push(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint;"));
    }
    // That of an identity follows its column.
    let follows = sequence.is_identity && !statements.is_empty();
    let widens = narrow(Some(&sequence.kind)) && !follows;
    if widens {
        statements.push(format!("ALTER SEQUENCE {} AS bigint;", sequence.name));
    }
    // The end of a narrower type goes with that type; one that somebody set stays.
    let goes = (widens || follows) && own_end(&sequence.kind) == Some(sequence.ends.1);
    if sequence.ends.1 != i64::MAX && !goes && !sequence.is_falling {
        statements.push(format!("ALTER SEQUENCE {} NO MAXVALUE;", sequence.name));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(last: i64) -> Sequence {
        Sequence {
            name: "public.t_id_seq".to_owned(),
            kind: "integer".to_owned(),
            last: Some(last),
            ends: (1, i64::from(i32::MAX)),
            table: Some("public.t".to_owned()),
            column: Some("id".to_owned()),
            column_kind: Some("integer".to_owned()),
            ..Sequence::default()
        }
    }

    fn told(sequence: Sequence) -> Vec<Recommendation> {
        ending(&Facts { sequences: vec![sequence], ..Facts::default() })
    }

    #[test]
    fn a_serial_and_its_column_both_become_wider() {
        let found = told(serial(1_800_000_000));
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(
            found[0].statement.as_deref(),
            Some(
                "ALTER TABLE public.t ALTER COLUMN id TYPE bigint;\nALTER SEQUENCE public.t_id_seq AS bigint;"
            )
        );
        assert_eq!(told(serial(2_100_000_000))[0].severity, Severity::Critical);
        assert_eq!(told(serial(1_000_000_000)), []);
        assert_eq!(told(Sequence { is_circular: true, ..serial(2_100_000_000) }), []);
    }

    #[test]
    fn what_is_wide_enough_already_is_not_changed() {
        let identity = Sequence { is_identity: true, ..serial(1_800_000_000) };
        let statement = told(identity)[0].statement.clone();
        assert_eq!(statement.as_deref(), Some("ALTER TABLE public.t ALTER COLUMN id TYPE bigint;"));
        let wide = Sequence { kind: "bigint".to_owned(), ends: (1, i64::MAX), ..serial(1_800_000_000) };
        let statement = told(wide)[0].statement.clone();
        assert_eq!(statement.as_deref(), Some("ALTER TABLE public.t ALTER COLUMN id TYPE bigint;"));
        let capped = Sequence {
            kind: "bigint".to_owned(),
            ends: (1, 100),
            column_kind: Some("bigint".to_owned()),
            ..serial(90)
        };
        assert_eq!(told(capped)[0].statement.as_deref(), Some("ALTER SEQUENCE public.t_id_seq NO MAXVALUE;"));
    }

    #[test]
    fn an_end_that_somebody_set_is_taken_away() {
        let statement = |sequence| told(sequence)[0].statement.clone().unwrap();
        let capped = Sequence { kind: "bigint".to_owned(), ..serial(2_147_483_640) };
        let wide = Sequence { column_kind: Some("bigint".to_owned()), ..capped.clone() };
        assert_eq!(statement(wide), "ALTER SEQUENCE public.t_id_seq NO MAXVALUE;");
        let both =
            "ALTER TABLE public.t ALTER COLUMN id TYPE bigint;\nALTER SEQUENCE public.t_id_seq NO MAXVALUE;";
        assert_eq!(statement(capped.clone()), both);
        assert!(told(capped.clone())[0].title.starts_with("7 numbers are left that public.t.id can have"));
        let last = told(Sequence { last: Some(i64::from(i32::MAX)), ..capped });
        assert!(last[0].title.starts_with("There are no numbers left"), "{}", last[0].title);
    }

    #[test]
    fn a_partition_is_told_with_its_table() {
        let part =
            Sequence { table: Some("public.t_1".to_owned()), is_inherited: true, ..serial(2_100_000_000) };
        let sequences = vec![serial(2_100_000_000), part.clone()];
        let found = ending(&Facts { sequences, ..Facts::default() });
        assert_eq!(found.iter().map(|one| &*one.object).collect::<Vec<_>>(), ["public.t.id"]);
        assert_eq!(told(part).len(), 1, "that has one of its own");
    }
}
