//! The rules for Prometheus: of metrics that there are, each with a page for whoever is woken, and with a case in which it
//! fires and one in which it is quiet.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::expressions::asks_for_what_there_is;

/// A file of the project.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap()
}

fn rules() -> String {
    text("deploy/prometheus/brasa.rules.yml")
}

/// The names of all alerts.
fn alerts() -> Vec<String> {
    let names: Vec<String> = rules()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: ").map(ToOwned::to_owned))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// The expressions of all rules.
fn expressions() -> Vec<String> {
    let mut all = Vec::new();
    let rules = rules();
    let mut lines = rules.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim().strip_prefix("expr: ") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut text = expression.trim_matches('\'').trim_start_matches("|-").to_owned();
        while let Some(more) = lines.next_if(|next| next.len() - next.trim_start().len() > indent) {
            text.push(' ');
            text.push_str(more.trim());
        }
        all.push(text);
    }
    assert_eq!(all.len(), alerts().len());
    all
}

#[test]
fn rules_ask_for_metrics_and_labels_that_there_are() {
    let asked: BTreeSet<&str> = expressions().iter().flat_map(|one| asks_for_what_there_is(one)).collect();
    assert!(asked.len() > 25, "{asked:?}");
}

#[test]
fn whoever_is_woken_finds_a_page_and_every_page_has_its_alert() {
    let (rules, manual) = (rules(), text("docs/alerts.md"));
    let pages: BTreeSet<&str> = manual.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let alerts = alerts();
    for name in &alerts {
        assert!(pages.contains(name.as_str()), "{name} has no page");
        let link = format!("runbook: docs/alerts.md#{}", name.to_lowercase());
        assert!(rules.contains(&link), "{name} does not name its page");
    }
    assert_eq!(pages.len(), alerts.len(), "{pages:?}");
}

#[test]
fn each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_quiet() {
    let cases = text("deploy/prometheus/brasa.test.yml");
    for name in alerts() {
        for case in ["fires", "is quiet"] {
            assert!(cases.contains(&format!("- name: {name} {case}\n")), "{name} {case}");
        }
    }
}

/// Where there is no promtool, only what the other tests look at is known of the rules: `make test` installs it.
#[test]
fn promtool_is_content_with_the_rules_and_their_cases() {
    for args in [
        ["check", "rules", "brasa.rules.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "brasa.test.yml"],
    ] {
        let run = Command::new("promtool").args(args).current_dir(file("deploy/prometheus")).output();
        let Ok(said) = run else { return };
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success(), "promtool {}: {out}{err}", args.join(" "));
    }
}
