//! Dashboards for Grafana: each draws what there is, and is put where Grafana finds it.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use brasa_shared::telemetry::metrics::declared;
use serde_json::Value;

use crate::expressions::{are_known, asks_for_what_there_is};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana")
}

fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(folder().join("dashboards")).unwrap().map(|entry| entry.unwrap());
    let read = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), serde_json::from_str(&text).unwrap())
    };
    files.map(read).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What stands between `before` and `after` in a text.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(after)?.0)).collect()
}

#[test]
fn dashboards_draw_metrics_and_labels_that_there_are() {
    let (mut drawn, mut expressions) = (BTreeSet::new(), 0);
    for (file, dashboard) in dashboards() {
        for panel in list(&dashboard["panels"]) {
            let is_row = panel["type"] == "row";
            assert!(
                is_row || !list(&panel["targets"]).is_empty(),
                "{file}: {} draws nothing",
                panel["title"]
            );
            for target in list(&panel["targets"]) {
                let expression = target["expr"].as_str().unwrap();
                let metrics = asks_for_what_there_is(expression);
                assert!(!metrics.is_empty(), "{file}: {expression}");
                let legend = target["legendFormat"].as_str().unwrap();
                are_known(between(legend, "{{", "}}").into_iter(), &metrics, expression);
                drawn.extend(metrics);
                expressions += 1;
            }
        }
    }
    assert!(expressions > 80, "{expressions}");
    let undrawn: Vec<_> = declared().map(|metric| metric.name).filter(|name| !drawn.contains(name)).collect();
    // How many keys a batch has says less than its bytes.
    assert_eq!(undrawn, ["brasa_warm_keys_total", "brasa_cache_l1_entries"]);
}

#[test]
fn what_dashboards_let_one_choose_is_a_label_and_is_used() {
    for (file, dashboard) in dashboards() {
        let text = dashboard.to_string();
        for variable in list(&dashboard["templating"]["list"]) {
            let name = variable["name"].as_str().unwrap();
            assert!(
                text.contains(&format!("${name}")) || text.contains(&format!("${{{name}}}")),
                "{file}: {name}"
            );
            if variable["type"] == "query" {
                let query = variable["definition"].as_str().unwrap();
                let inside = between(query, "label_values(", ")").remove(0);
                let (metric, label) = inside.split_once(", ").unwrap();
                are_known([label].into_iter(), &asks_for_what_there_is(metric), query);
            }
        }
        let used = between(&text, "=~\\\"$", "\\\"");
        for name in used {
            let known = list(&dashboard["templating"]["list"]).iter().any(|one| one["name"] == name);
            assert!(known, "{file}: nobody can choose ${name}");
        }
    }
}

#[test]
fn dashboards_can_be_told_apart_and_are_put_where_they_are_looked_for() {
    let all = dashboards();
    let names: BTreeSet<String> = all.iter().map(|(file, _)| file.replace(".json", "")).collect();
    let ids: BTreeSet<String> =
        all.iter().map(|(_, one)| one["uid"].as_str().unwrap().replace("brasa-", "")).collect();
    assert_eq!(names, ids);
    for (file, dashboard) in &all {
        let panels: Vec<&Value> = list(&dashboard["panels"]).iter().map(|panel| &panel["id"]).collect();
        let different: BTreeSet<String> = panels.iter().map(ToString::to_string).collect();
        assert_eq!(different.len(), panels.len(), "{file}");
    }
    let read = |path: &str| fs::read_to_string(folder().join(path)).unwrap();
    let compose = read("../../docker-compose.yml");
    assert!(read("provisioning/dashboards/brasa.yml").contains("path: /etc/grafana/dashboards\n"));
    assert!(
        compose.contains("source: ./deploy/grafana/dashboards\n        target: /etc/grafana/dashboards\n")
    );
    assert!(
        compose
            .contains("source: ./deploy/grafana/provisioning\n        target: /etc/grafana/provisioning\n")
    );
    assert!(read("provisioning/datasources/prometheus.yml").contains("url: http://prometheus:9090\n"));
}
