//! A report as Markdown.

use std::fmt::Write as _;

use super::{Group, Report, Shown, about, groups, heading, shown_notes, who};
use crate::database::review::recommendation::Severity;

/// With more recommendations than this a report begins with a list of them.
const LISTED_FROM: usize = 5;

/// A report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    line(&mut text, &format!("# Review of database {}", escaped(&report.database)));
    let number = report.review.map_or_else(String::new, |id| format!(" Review {id}."));
    line(&mut text, &format!("{}, looked at on {} UTC.{number}", report.server, report.at));
    line(&mut text, &escaped(&report.summary));
    contents(&mut text, report);
    for severity in Severity::ALL {
        let groups = groups(report, severity);
        if !groups.is_empty() {
            line(&mut text, &format!("## {} ({})", heading(severity), report.count(severity)));
        }
        for group in groups {
            together(&mut text, &group);
        }
    }
    overview(&mut text, report);
    rest(&mut text, report);
    text
}

/// What one rule recommends: where it is much, under a heading of its own.
fn together(text: &mut String, group: &Group<'_>) {
    let level = if group.is_together() { "####" } else { "###" };
    if group.is_together() {
        line(text, &format!("### {}", group.title()));
    }
    for shown in &group.of {
        one(text, shown, level);
    }
}

/// All that is recommended in a line each, and what is much of the same in one, where it is more than can be seen at once.
fn contents(text: &mut String, report: &Report) {
    if report.open().count() <= LISTED_FROM {
        return;
    }
    for severity in Severity::ALL {
        for group in groups(report, severity) {
            let mut say =
                |what: &str| wrote(text, &format!("- **{}** {}: {what}\n", severity.word(), group.rule));
            if group.is_together() {
                say(&group.title());
            } else {
                group.of.iter().for_each(|shown| say(&escaped(&shown.recommendation.title)));
            }
        }
    }
    wrote(text, "\n");
}

fn one(text: &mut String, shown: &Shown, level: &str) {
    let told = &shown.recommendation;
    line(text, &format!("{level} {}", escaped(&told.title)));
    let since = shown.first_seen.as_ref().map_or_else(String::new, |at| format!(" · since {at} UTC"));
    line(
        text,
        &format!(
            "{} · {} ({}) · confidence {}{since} · `{}`",
            escaped(&told.object),
            about(&told.rule),
            told.rule,
            told.confidence.word(),
            shown.fingerprint
        ),
    );
    for (name, value) in &told.evidence {
        // One line each: what has more of them would end the list.
        wrote(text, &format!("- {}: {}\n", escaped(name), escaped(&value.replace('\n', " "))));
    }
    wrote(text, "\n");
    if let Some(statement) = &told.statement {
        line(text, &format!("{}:", who(told.does)));
        code(text, statement);
    } else {
        line(text, &format!("{}.", who(told.does)));
    }
    if let Some(undo) = &told.undo {
        line(text, "Undo:");
        code(text, undo);
    }
    line(text, &format!("It is done with when: {}", escaped(&told.clears)));
}

fn overview(text: &mut String, report: &Report) {
    line(text, "## The database as it is");
    table(text, &["", ""], report.overview.figures.iter().map(|(name, value)| vec![&**name, &**value]));
    if !report.overview.tables.is_empty() {
        line(text, "### The largest tables");
        let rows = report.overview.tables.iter().map(|one| {
            vec![
                &*one.name,
                &*one.size,
                &*one.with_indexes,
                &*one.rows,
                &*one.dead,
                &*one.analyzed,
                &*one.vacuumed,
            ]
        });
        table(text, &["Table", "Size", "With indexes", "Rows", "Dead", "Analyzed", "Vacuumed"], rows);
    }
}

fn rest(text: &mut String, report: &Report) {
    if !report.notes.is_empty() {
        line(text, "## Not enough evidence");
        let (shown, rest) = shown_notes(report);
        for note in shown {
            wrote(text, &format!("- {}: {}\n", escaped(&note.object), escaped(&note.text)));
        }
        if let Some(rest) = rest {
            wrote(text, &format!("- {rest}\n"));
        }
        wrote(text, "\n");
    }
    if report.gaps.is_empty() {
        return;
    }
    line(text, "## What could not be looked at");
    for gap in &report.gaps {
        wrote(text, &format!("- {}: {}", gap.subject.words(), escaped(&gap.why)));
        wrote(
            text,
            &gap.grant.as_ref().map_or_else(|| "\n".to_owned(), |grant| format!(" Run {}\n", inline(grant))),
        );
    }
    wrote(text, "\n");
}

fn table<'r>(text: &mut String, heads: &[&str], rows: impl Iterator<Item = Vec<&'r str>>) {
    wrote(text, &format!("| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len())));
    for row in rows {
        let cells: Vec<String> = row.into_iter().map(escaped).collect();
        wrote(text, &format!("| {} |\n", cells.join(" | ")));
    }
    wrote(text, "\n");
}

/// A paragraph.
fn line(text: &mut String, paragraph: &str) {
    wrote(text, &format!("{paragraph}\n\n"));
}

/// A block of SQL, in a fence that is longer than any in it.
fn code(text: &mut String, sql: &str) {
    let mut fence = "```".to_owned();
    while sql.contains(&fence) {
        fence.push('`');
    }
    wrote(text, &format!("{fence}sql\n{sql}\n{fence}\n\n"));
}

/// A piece of SQL in a line.
fn inline(sql: &str) -> String {
    let mut fence = "`".to_owned();
    while sql.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}{sql}{fence}")
}

fn wrote(text: &mut String, more: &str) {
    // To write into a text does not fail.
    let _done = text.write_str(more);
}

/// Text that stands for itself. What is in backticks is code, in which nothing else means anything.
fn escaped(text: &str) -> String {
    let mut is_code = false;
    let is_paired = text.matches('`').count().is_multiple_of(2);
    let mut found = String::new();
    for c in text.chars() {
        match c {
            '`' if is_paired => is_code = !is_code,
            '|' => found.push('\\'),
            '`' | '\\' | '*' | '_' | '<' | '>' | '[' | ']' | '#' if !is_code => found.push('\\'),
            _ => {}
        }
        found.push(if c == '\n' { ' ' } else { c });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn it_begins_with_what_is_wrong_and_ends_with_what_could_not_be_looked_at() {
        let text = markdown(&report());
        let places = [
            "# Review of database shop \\<b\\>",
            "1 thing hurts now",
            "## Critical",
            "ALTER COLUMN id TYPE bigint;",
            "Undo:",
            "## Could be better (1)",
            "## The database as it is",
            "## Not enough evidence",
            "## What could not be looked at",
            "`GRANT pg_monitor TO \"app\";`",
        ]
        .map(|part| text.find(part).unwrap_or_else(|| panic!("{part} is not in\n{text}")));
        assert!(places.is_sorted(), "{places:?}\n{text}");
    }

    #[test]
    fn text_stands_for_itself_and_statements_are_whole() {
        let text = markdown(&report());
        assert!(text.contains("97 % of `id` \\<script\\> are used."), "{text}");
        assert!(text.contains("````sql\nALTER TABLE t\nALTER COLUMN id TYPE bigint; -- ```\n````"), "{text}");
        assert!(text.contains("- Last \\| number: 2,000"), "{text}");
    }

    #[test]
    fn a_long_report_begins_with_a_list_of_what_it_recommends() {
        let mut long = report();
        assert!(!markdown(&long).contains("- **critical**"));
        let one = long.recommendations[1].clone();
        long.recommendations.extend(std::iter::repeat_n(one, 4));
        let text = markdown(&long);
        let list =
            text.find("- **critical** R29: 97 % of `id` \\<script\\> are used.\n- **info** R30: Tables without a primary key (5)\n");
        assert!(list.unwrap() < text.find("## Critical").unwrap(), "{text}");
        assert!(text.contains("\n### Tables without a primary key (5)\n"), "{text}");
        assert_eq!(text.matches("\n#### It has no key.").count(), 5);
    }
}
