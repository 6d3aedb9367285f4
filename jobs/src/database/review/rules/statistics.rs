//! R15, R16 and R17: what the planner knows of tables.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::database::review::facts::{Facts, Table, TableKind};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{about, count, float, many, percent, seconds, signed, unsigned};

/// After so many days a loss of counters is no longer worth a word, in seconds.
const LOSS_S: f64 = 7.0 * 86_400.0;
/// How many tables are named.
const NAMED_MAX: usize = 10;

/// Tables of which many rows changed since they were analyzed, or that nobody ever analyzed.
pub(super) fn stale(facts: &Facts) -> Vec<Recommendation> {
    let mut found = Vec::new();
    for table in facts.tables.iter().filter(|table| table.kind != TableKind::Partitioned) {
        let rows = table.rows.unwrap_or_default().max(float(unsigned(table.live)));
        let share = float(unsigned(table.changed)) / rows.max(1.0);
        let is_unknown = table.rows.is_none() && table.analyzed.is_none();
        if table.changed < facts.limits.stale_rows || !is_unknown && share < facts.limits.stale {
            continue;
        }
        let title = if is_unknown {
            format!("Nobody has ever analyzed {}, so the planner guesses how many rows it has.", table.name)
        } else {
            format!(
                "{} of the rows of {} changed since it was analyzed, so plans are made for what it no longer is.",
                percent(share.min(1.0)),
                table.name
            )
        };
        found.push(
            Recommendation::new("R15", &table.name, Severity::Info, title)
                .shows("Rows that changed since", count(table.changed))
                .shows("Rows", about(rows))
                .shows("Last analyzed", ago(table.analyzed))
                .applies(format!("ANALYZE {};", table.name))
                .clears_when("It is analyzed: autovacuum does that, or `brasa enqueue db.analyze`."),
        );
    }
    found
}

/// Partitioned tables without statistics over all their parts: autovacuum never makes any.
pub(super) fn without(facts: &Facts) -> Vec<Recommendation> {
    let lacking = facts.tables.iter().filter(|table| {
        let has_rows = table.rows.is_some_and(|rows| rows > 0.0);
        table.kind == TableKind::Partitioned && table.has_statistics == Some(false) && has_rows
    });
    let recommend = |table: &Table| {
        let title = format!(
            "There are no statistics over all parts of {}, and autovacuum never makes any: joins on it are \
             planned blindly.",
            table.name
        );
        Recommendation::new("R16", &table.name, Severity::Warning, title)
            .may_show("Rows in all parts", table.rows.map(about))
            .shows("Last analyzed", ago(table.analyzed))
            .applies(format!("ANALYZE {};", table.name))
            .clears_when("It is analyzed, and again when its parts have changed much.")
    };
    lacking.map(recommend).collect()
}

/// Counters that were lost a short while ago: until each table is analyzed again autovacuum knows nothing of it.
pub(super) fn lost(facts: &Facts) -> Vec<Recommendation> {
    let since = |at: SystemTime| {
        let began = at.duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default();
        facts.at - began
    };
    let losses = facts.spells.iter().filter(|spell| spell.is_loss && spell.node == "primary");
    let Some(last) = losses.max_by_key(|spell| spell.began_at) else { return Vec::new() };
    let ago = since(last.began_at);
    let is_due = |table: &&Table| {
        table.kind == TableKind::Plain
            && table.analyzed.is_none_or(|analyzed| analyzed > ago)
            && table.bytes != Some(0)
    };
    let due: Vec<&Table> = facts.tables.iter().filter(is_due).collect();
    if due.is_empty() || ago > LOSS_S {
        return Vec::new();
    }
    let title = format!(
        "The counters of this server were lost {} ago: {}. Until a table is analyzed again, autovacuum does not \
         know what it is due for.",
        seconds(ago),
        last.why
    );
    let mut names: Vec<String> = due.iter().take(NAMED_MAX).map(|table| table.name.clone()).collect();
    if due.len() > NAMED_MAX {
        names.push(format!("{} more", count(signed(due.len() - NAMED_MAX))));
    }
    let statements: Vec<String> = due.iter().map(|table| format!("ANALYZE {};", table.name)).collect();
    let found = Recommendation::new("R17", "counters of the primary", Severity::Warning, title)
        .shows("Not analyzed since", format!("{}: {}", many(due.len(), "table", "tables"), names.join(", ")))
        .applies(statements.join("\n"))
        .clears_when("Each of them is analyzed: `brasa enqueue db.analyze` does that.");
    vec![found]
}

/// When something was last done.
pub(super) fn ago(span: Option<f64>) -> String {
    span.map_or_else(|| "never, as far as is known".to_owned(), |span| format!("{} ago", seconds(span)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::history::Spell;

    fn table() -> Table {
        Table {
            name: "public.t".to_owned(),
            rows: Some(10_000.0),
            bytes: Some(1 << 20),
            live: 10_000,
            changed: 5_000,
            analyzed: Some(86_400.0),
            has_statistics: Some(false),
            ..Table::default()
        }
    }

    fn with(table: Table) -> Facts {
        Facts { tables: vec![table], ..Facts::default() }
    }

    #[test]
    fn statistics_are_stale_by_share_and_count_both() {
        let found = stale(&with(table()));
        assert_eq!(found[0].statement.as_deref(), Some("ANALYZE public.t;"));
        assert!(found[0].title.starts_with("50 % of the rows of public.t"), "{}", found[0].title);
        assert_eq!(stale(&with(Table { changed: 1_999, ..table() })), []);
        assert_eq!(stale(&with(Table { changed: 500, rows: Some(600.0), live: 600, ..table() })), []);
        let never = Table { rows: None, analyzed: None, ..table() };
        assert!(stale(&with(never))[0].title.starts_with("Nobody has ever analyzed"));
    }

    #[test]
    fn only_a_partitioned_table_with_rows_lacks_statistics_of_all_parts() {
        let parent = Table { kind: TableKind::Partitioned, ..table() };
        assert_eq!(without(&with(parent.clone())).len(), 1);
        assert_eq!(without(&with(table())), []);
        assert_eq!(without(&with(Table { has_statistics: Some(true), ..parent.clone() })), []);
        assert_eq!(without(&with(Table { has_statistics: None, ..parent.clone() })), []);
        assert_eq!(without(&with(Table { rows: Some(0.0), ..parent })), []);
    }

    #[test]
    fn a_loss_is_told_until_every_table_is_analyzed_again() {
        let at = 1_000_000.0;
        let spell = Spell {
            node: "primary".to_owned(),
            began_at: UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - 3_600),
            why: "the server crashed".to_owned(),
            is_loss: true,
        };
        let facts = Facts { at, spells: vec![spell.clone()], ..with(table()) };
        assert!(
            lost(&facts)[0].title.contains("60 min ago: the server crashed"),
            "{}",
            lost(&facts)[0].title
        );
        let analyzed = Facts { tables: vec![Table { analyzed: Some(60.0), ..table() }], ..facts.clone() };
        assert_eq!(lost(&analyzed), []);
        assert_eq!(lost(&Facts { spells: vec![Spell { is_loss: false, ..spell }], ..facts }), []);
    }
}
