//! A report as a page by itself: it loads nothing, and reads on a phone and in the dark.

use super::{Group, Note, Report, Shown, about, groups, heading, shown_notes, who};
use crate::database::review::recommendation::Severity;

const STYLE: &str = include_str!("style.css");

/// A report as a page by itself.
pub fn html(report: &Report) -> String {
    let sections: String = Severity::ALL.into_iter().map(|severity| section(report, severity)).collect();
    let title = format!("Review of database {}", escaped(&report.database));
    let number = report.review.map_or_else(String::new, |id| format!(" · review {id}"));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         <p class=\"soft\">{} · looked at on {} UTC{number}</p>\n{}<p class=\"summary\">{}</p>\n\
         {}{sections}{}{}</main>\n</body>\n</html>\n",
        escaped(&report.server),
        escaped(&report.at),
        counts(report),
        text(&report.summary),
        contents(report),
        overview(report),
        rest(report),
    )
}

fn counts(report: &Report) -> String {
    let count = |severity: Severity, words: &str| {
        let class = if report.count(severity) > 0 { severity.word() } else { "none" };
        format!("<div class=\"{class}\"><b>{}</b>{words}</div>\n", report.count(severity))
    };
    let mut parts = count(Severity::Critical, "critical");
    parts.push_str(&count(Severity::Warning, "warnings"));
    parts.push_str(&count(Severity::Info, "could be better"));
    let dismissed = match report.dismissed() {
        0 => String::new(),
        count => format!("<div><b>{count}</b>dismissed</div>\n"),
    };
    format!("<div class=\"counts\">\n{parts}{dismissed}</div>\n")
}

/// All that is recommended, by severity and rule, as links.
fn contents(report: &Report) -> String {
    let lists = Severity::ALL.into_iter().map(|severity| {
        let groups = groups(report, severity);
        if groups.is_empty() {
            return String::new();
        }
        let link = |place: &str, words: &str| format!("<li><a href=\"#{place}\">{words}</a></li>\n");
        let lines = groups.iter().map(|group| {
            if group.is_together() {
                return link(&place(severity, group), &escaped(&group.title()));
            }
            let one = |shown: &&Shown| link(&escaped(&shown.fingerprint), &text(&shown.recommendation.title));
            group.of.iter().map(one).collect()
        });
        let lines: String = lines.collect();
        let (class, count) = (severity.word(), report.count(severity));
        format!(
            "<li class=\"{class}\"><a href=\"#{class}\"><b>{} ({count})</b></a>\n<ul>\n{lines}</ul>\n</li>\n",
            heading(severity)
        )
    });
    let lists: String = lists.collect();
    if lists.is_empty() {
        lists
    } else {
        format!("<nav aria-label=\"Contents\">\n<ul>\n{lists}</ul>\n</nav>\n")
    }
}

/// Where what one rule recommends is on the page.
fn place(severity: Severity, group: &Group<'_>) -> String {
    format!("{}-{}", severity.word(), escaped(group.rule))
}

fn section(report: &Report, severity: Severity) -> String {
    let groups = groups(report, severity);
    if groups.is_empty() {
        return String::new();
    }
    let parts: String = groups.iter().map(|group| together(severity, group)).collect();
    let (class, count) = (severity.word(), report.count(severity));
    let heading = heading(severity);
    format!("<section class=\"{class}\" id=\"{class}\">\n<h2>{heading} ({count})</h2>\n{parts}</section>\n")
}

/// What one rule recommends: where it is much, one under the other, to be opened.
fn together(severity: Severity, group: &Group<'_>) -> String {
    if !group.is_together() {
        let one = |shown: &&Shown| {
            let title = text(&shown.recommendation.title);
            let print = escaped(&shown.fingerprint);
            format!("<article id=\"{print}\">\n<h3>{title}</h3>\n{}</article>\n", body(shown))
        };
        return group.of.iter().map(one).collect();
    }
    let one = |shown: &&Shown| {
        let title = text(&shown.recommendation.title);
        let print = escaped(&shown.fingerprint);
        format!(
            "<details class=\"one\" id=\"{print}\"><summary>{title}</summary>\n{}</details>\n",
            body(shown)
        )
    };
    let all: String = group.of.iter().map(one).collect();
    let (place, title) = (place(severity, group), escaped(&group.title()));
    format!("<article id=\"{place}\">\n<h3>{title}</h3>\n{all}</article>\n")
}

fn body(shown: &Shown) -> String {
    let told = &shown.recommendation;
    let since =
        shown.first_seen.as_ref().map_or_else(String::new, |at| format!(" · since {} UTC", escaped(at)));
    let figures: Vec<String> = told
        .evidence
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", text(name), text(value)))
        .collect();
    let statement = match &told.statement {
        Some(statement) => {
            format!("<p class=\"soft\">{}</p>\n<pre>{}</pre>\n", who(told.does), escaped(statement))
        }
        None => format!("<p class=\"soft\">{}</p>\n", who(told.does)),
    };
    let undo = told.undo.as_ref().map_or_else(String::new, |undo| {
        format!("<details><summary>Undo</summary>\n<pre>{}</pre>\n</details>\n", escaped(undo))
    });
    format!(
        "<p class=\"soft\">{} · {} ({}) · confidence {}{since} · \
         <code>{print}</code></p>\n<dl>\n{}</dl>\n{statement}{undo}<p class=\"soft\">Done with when: \
         {}</p>\n",
        escaped(&told.object),
        about(&told.rule),
        escaped(&told.rule),
        told.confidence.word(),
        figures.concat(),
        text(&told.clears),
        print = escaped(&shown.fingerprint),
    )
}

fn overview(report: &Report) -> String {
    let figures: Vec<String> = report
        .overview
        .figures
        .iter()
        .map(|(name, value)| {
            format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escaped(name), escaped(value))
        })
        .collect();
    let tables: Vec<String> = report
        .overview
        .tables
        .iter()
        .map(|one| {
            let cells =
                [&one.name, &one.size, &one.with_indexes, &one.rows, &one.dead, &one.analyzed, &one.vacuumed];
            let cells: Vec<String> =
                cells.into_iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
            format!("<tr>{}</tr>\n", cells.concat())
        })
        .collect();
    let heads = "<thead><tr><th>Table</th><th>Size</th><th>With indexes</th><th>Rows</th><th>Dead</th><th>Analyzed</th>\
                 <th>Vacuumed</th></tr></thead>";
    let (figures, tables) = (figures.concat(), tables.concat());
    let largest = if tables.is_empty() {
        String::new()
    } else {
        format!(
            "<h2>The largest tables</h2>\n<div class=\"wide\"><table>{heads}<tbody>\n{tables}</tbody></table></div>\n"
        )
    };
    format!(
        "<section>\n<h2>The database as it is</h2>\n\
         <div class=\"wide\"><table><tbody>\n{figures}</tbody></table></div>\n\
         {largest}</section>\n"
    )
}

fn rest(report: &Report) -> String {
    let (shown, more) = shown_notes(report);
    let note = |note: &Note| format!("<li>{}: {}</li>\n", escaped(&note.object), text(&note.text));
    let notes: Vec<String> =
        shown.iter().map(note).chain(more.map(|more| format!("<li>{more}</li>\n"))).collect();
    let gaps: Vec<String> = report
        .gaps
        .iter()
        .map(|gap| {
            let grant =
                gap.grant.as_ref().map_or_else(String::new, |grant| format!("<pre>{}</pre>", escaped(grant)));
            format!("<li><b>{}</b>: {}{grant}</li>\n", gap.subject.words(), text(&gap.why))
        })
        .collect();
    let list = |title: &str, items: &[String]| {
        let items = items.concat();
        if items.is_empty() {
            items
        } else {
            format!("<section>\n<h2>{title}</h2>\n<ul>\n{items}</ul>\n</section>\n")
        }
    };
    list("Not enough evidence", &notes) + &list("What could not be looked at", &gaps)
}

/// Text in which what is in backticks is code.
fn text(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let part = |(place, part): (usize, &&str)| {
        if place.is_multiple_of(2) { escaped(part) } else { format!("<code>{}</code>", escaped(part)) }
    };
    parts.iter().enumerate().map(part).collect()
}

/// Text that stands for itself.
fn escaped(text: &str) -> String {
    let mut found = String::new();
    for c in text.chars() {
        match c {
            '&' => found.push_str("&amp;"),
            '<' => found.push_str("&lt;"),
            '>' => found.push_str("&gt;"),
            '"' => found.push_str("&quot;"),
            '\'' => found.push_str("&#39;"),
            c => found.push(c),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn no_text_becomes_part_of_the_page() {
        let page = html(&report());
        assert!(page.contains("97 % of <code>id</code> &lt;script&gt; are used."), "{page}");
        assert!(
            page.contains("Review of database shop &lt;b&gt;") && page.contains("public.&quot;a|b&quot;.id")
        );
        assert!(!page.contains("<script") && !page.contains("<b>shop"));
    }

    #[test]
    fn it_begins_with_links_to_all_that_it_recommends() {
        let mut long = report();
        let print = long.recommendations[0].fingerprint.clone();
        for part in [
            "<a href=\"#critical\"><b>Critical: it hurts now, or is about to (1)</b></a>".to_owned(),
            format!("<a href=\"#{print}\">97 % of <code>id</code> &lt;script&gt; are used.</a>"),
            format!("<article id=\"{print}\">"),
        ] {
            assert!(html(&long).contains(&part), "{part}");
        }
        let one = long.recommendations[1].clone();
        long.recommendations
            .extend((0..8).map(|place| Shown { fingerprint: format!("f{place}"), ..one.clone() }));
        let page = html(&long);
        assert!(
            page.contains("<li><a href=\"#info-R30\">Tables without a primary key (9)</a></li>"),
            "{page}"
        );
        assert!(
            page.contains("<article id=\"info-R30\">\n<h3>Tables without a primary key (9)</h3>"),
            "{page}"
        );
        assert_eq!(page.matches("<details class=\"one\" id=\"f").count(), 8, "each is there, to be opened");
        assert!(page.find("<nav").unwrap() < page.find("<section").unwrap());
    }

    #[test]
    fn a_page_loads_nothing_and_has_all_that_the_report_has() {
        let page = html(&report());
        assert!(!page.contains("http") && !page.contains("src=") && !page.contains("@import"));
        for part in
            ["1</b>critical", "Undo", "The database as it is", "Not enough evidence", "GRANT pg_monitor"]
        {
            assert!(page.contains(part), "{part}");
        }
    }
}
