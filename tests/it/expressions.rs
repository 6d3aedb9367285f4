//! What expressions of `PromQL` ask for: metrics that there are, with labels that they have.

use std::collections::BTreeSet;

use brasa_shared::telemetry::metrics::{Declared, Kind, declared};

/// What a metric can be asked for as, beside its name, where it is a histogram.
const ENDINGS: [&str; 3] = ["_bucket", "_sum", "_count"];
/// Labels that whoever scrapes adds, and the one of histograms.
const GIVEN: [&str; 3] = ["instance", "job", "le"];
/// Words behind which labels stand in brackets.
const BY: [&str; 3] = ["by", "without", "on"];

/// Holds an expression to what is declared; returns the names of the metrics of ours that it asks for.
///
/// # Panics
/// It asks for something that there is not.
pub(crate) fn asks_for_what_there_is(expression: &str) -> BTreeSet<&'static str> {
    let (mut metrics, mut named) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = expression;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '"') {
        rest = &rest[begin..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').expect("a text that ends").1;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        if BY.contains(&word) {
            let (inside, _) = behind.trim_start()[1..].split_once(')').expect("labels in brackets");
            named.extend(inside.split(',').map(|label| label.trim().to_owned()));
        }
        let Some(metric) = ours(word, expression) else { continue };
        metrics.insert(metric.name);
        if let Some(selector) = behind.strip_prefix('{') {
            for label in labels_of(selector) {
                let known = metric.labels.contains(&label) || GIVEN.contains(&label);
                assert!(known, "{} has no label `{label}`: {expression}", metric.name);
            }
        }
    }
    are_known(named.iter().map(String::as_str), &metrics, expression);
    metrics
}

/// Holds labels that are spoken of beside an expression to those that its metrics have.
///
/// # Panics
/// None of them has one.
pub(crate) fn are_known<'l>(
    labels: impl Iterator<Item = &'l str>,
    metrics: &BTreeSet<&'static str>,
    expression: &str,
) {
    let all: BTreeSet<&str> = declared()
        .filter(|metric| metrics.contains(metric.name))
        .flat_map(|metric| metric.labels.iter().copied())
        .chain(GIVEN)
        .collect();
    for label in labels.filter(|_| !metrics.is_empty()) {
        assert!(all.contains(label), "no metric has a label `{label}`: {expression}");
    }
}

/// The metric of ours that a word is, if it is to be one.
fn ours(word: &str, expression: &str) -> Option<&'static Declared> {
    if !word.starts_with("brasa_") && !word.starts_with("process_") {
        return None;
    }
    let bare = ENDINGS.iter().find_map(|ending| word.strip_suffix(ending));
    let found = declared()
        .find(|metric| metric.name == word || (metric.kind == Kind::Histogram && bare == Some(metric.name)));
    Some(found.unwrap_or_else(|| panic!("no metric is called {word}: {expression}")))
}

/// The labels of a selector, from behind its bracket; what is in quotes is none.
fn labels_of(selector: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    let mut rest = selector;
    while !rest.starts_with('}') {
        let end = rest.find(['=', '!']).expect("a label is compared");
        labels.push(rest[..end].trim_matches([',', ' ']));
        rest = rest[end..].splitn(3, '"').nth(2).expect("with a text");
    }
    labels
}

#[test]
fn what_there_is_not_is_found() {
    let good =
        r#"sum by (queue, le) (rate(brasa_job_wait_seconds_bucket{queue=~"a{b}|c",le="60"}[5m])) > 0.1"#;
    assert_eq!(asks_for_what_there_is(good), BTreeSet::from(["brasa_job_wait_seconds"]));
    let bad = [
        "brasa_jobs_ended_total",
        "brasa_jobs_running_bucket",
        r#"brasa_jobs_finished_total{verdict="dead",queue="mail"}"#,
        "sum by (queue) (brasa_jobs_finished_total)",
    ];
    for expression in bad {
        let asked = std::panic::catch_unwind(|| asks_for_what_there_is(expression));
        assert!(asked.is_err(), "{expression}");
    }
}
