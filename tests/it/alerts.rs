//! The rules for Prometheus: of metrics that there are, each with a page for whoever is woken, and with a case in which it
//! fires and one in which it is quiet.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use brasa_tests::process::{Brasa, http_get};
use brasa_tests::{World, eventually};

/// One of everything that is counted by its name.
const COUNTED: &str = r#"
[http.orders]
url = "https://orders.example/"
[warm.thing]
sql = "select 1 as id, 2 as value where 1 = any($1)"
params = ["id"]
key = "thing:{id}"
ttl = "1h"
[writes.clicks]
table = "clicks"
[alerts]
webhook = "https://chat.example/hook"
"#;
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

/// What the rules ask for the growth of, as it is written: a metric, and the labels it must have.
fn counters() -> Vec<String> {
    let rules = rules();
    let asked = rules.split("increase(").skip(1).map(|rest| rest.split('[').next().unwrap().to_owned());
    let asked: Vec<String> = asked.collect();
    assert!(asked.len() > 8, "{asked:?}");
    asked
}

/// Each pair of a label and one of the values that are asked for; none where any will do.
fn pairs(labels: &str) -> Vec<String> {
    let (label, values) = labels.split_once('=').unwrap_or_default();
    let values =
        values.trim_start_matches('~').trim_matches('"').split('|').filter(|value| !value.is_empty());
    values.map(|value| format!("{label}=\"{value}\"")).collect()
}

/// Of one that is there only from its first increment on Prometheus sees no growth.
#[tokio::test]
async fn counters_whose_growth_is_asked_for_are_there_before_they_grow() {
    let world = World::new().await;
    let process = Brasa::configured(&world, COUNTED).start(["run", "--listen", "127.0.0.1:0"]);
    let address = process.address().await;
    for asked in counters() {
        let (name, labels) = asked.trim_end_matches('}').split_once('{').unwrap_or((&asked, ""));
        let wanted = pairs(labels);
        eventually(&format!("{asked} is zero"), async || {
            let (_, metrics) = http_get(address, "/metrics").await.unwrap();
            let is_it = |rest: &str| rest.starts_with('{') || rest.starts_with(' ');
            let of_it = |line: &&str| line.strip_prefix(name).is_some_and(is_it) && line.ends_with(" 0");
            let lines: Vec<&str> = metrics.lines().filter(of_it).collect();
            !lines.is_empty() && wanted.iter().all(|pair| lines.iter().any(|line| line.contains(pair)))
        })
        .await;
    }
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

/// Where there is no promtool, only what the other tests look at is known of the rules, and this says so on standard error.
/// `make test` tries to install it, and `.ci/run` does not do without.
#[test]
fn promtool_is_content_with_the_rules_and_their_cases() {
    if Command::new("promtool").arg("--version").output().is_err() {
        let note = "SKIPPED: nobody looked at the rules and their cases, for there is no promtool\n";
        return std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    for args in [
        ["check", "rules", "brasa.rules.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "brasa.test.yml"],
    ] {
        let run = Command::new("promtool").args(args).current_dir(file("deploy/prometheus")).output();
        let said = run.unwrap();
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success(), "promtool {}: {out}{err}", args.join(" "));
    }
}
