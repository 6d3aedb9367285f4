//! R29: sequences that come to their end.

use crate::database::review::facts::{Facts, Sequence};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{count, percent};

/// From this share on it is a matter of days.
const GRAVE: f64 = 0.95;

/// Sequences that are nearly used up, or whose columns are.
pub(super) fn ending(facts: &Facts) -> Vec<Recommendation> {
    let ending = facts.sequences.iter().filter(|one| !one.is_circular && one.used() >= facts.limits.sequence);
    ending.map(recommend).collect()
}

fn recommend(sequence: &Sequence) -> Recommendation {
    let used = sequence.used();
    let severity = if used >= GRAVE { Severity::Critical } else { Severity::Warning };
    let object = match (&sequence.table, &sequence.column) {
        (Some(table), Some(column)) => format!("{table}.{column}"),
        _ => sequence.name.clone(),
    };
    let title = format!(
        "{} of the numbers that {object} can have are used up: at the end every insert fails.",
        percent(used)
    );
    let found = Recommendation::new("R29", &object, severity, title)
        .shows("Sequence", format!("{} ({})", sequence.name, sequence.kind))
        .may_show("Type of the column", sequence.column_kind.as_deref())
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

fn widened(sequence: &Sequence) -> Vec<String> {
    let mut statements = Vec::new();
    if let (Some(table), Some(column), true) =
        (&sequence.table, &sequence.column, narrow(sequence.column_kind.as_deref()))
    {
        statements.push(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint;"));
    }
    // That of an identity follows its column.
    let follows = sequence.is_identity && !statements.is_empty();
    if narrow(Some(&sequence.kind)) && !follows {
        statements.push(format!("ALTER SEQUENCE {} AS bigint;", sequence.name));
    }
    let is_capped = !matches!(sequence.ends.1, 32_767 | 2_147_483_647 | i64::MAX);
    if is_capped && !sequence.is_falling {
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
}
