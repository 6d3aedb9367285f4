//! deploy/kubernetes: what would be applied to a cluster.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{PROCESSES, configuration, documents, path, text, time_to_end, verb, words};
use crate::expressions::asks_for_what_there_is;

const FOLDER: &str = "deploy/kubernetes";

/// All objects in the folder, with the files that they are in.
fn objects() -> Vec<(String, Value)> {
    let names = fs::read_dir(path(FOLDER)).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let names = names.filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "yaml"));
    let of = |name: String| {
        let all = documents(&format!("{FOLDER}/{name}"));
        all.into_iter().map(move |object| (name.clone(), object))
    };
    names.flat_map(of).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    objects().into_iter().map(|(_, object)| object).filter(|object| object["kind"] == kind).collect()
}

fn named(kind: &str, name: &str) -> Value {
    let found = of_kind(kind).into_iter().find(|object| object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// What runs of a process.
fn deployment(process: &str) -> Value {
    named("Deployment", &format!("brasa-{process}"))
}

/// The pods of all that runs Brasa, by what they are of.
fn pods() -> Vec<(String, Value)> {
    let all = of_kind("Deployment").into_iter().chain(of_kind("Job"));
    let pod = |one: Value| {
        (one["metadata"]["name"].as_str().unwrap().to_owned(), one["spec"]["template"]["spec"].clone())
    };
    all.map(pod).collect()
}

/// The number of a port of a container, by its name.
fn port(container: &Value, name: &Value) -> Option<u64> {
    let ports = container["ports"].as_array().unwrap();
    ports.iter().find(|port| port["name"] == *name)?["containerPort"].as_u64()
}

#[test]
fn each_process_is_a_deployment_of_its_own_with_a_budget() {
    assert_eq!(of_kind("Deployment").len(), PROCESSES.len());
    for process in PROCESSES {
        let deployment = deployment(process);
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/component"], process);
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], *labels);
        let budget = named("PodDisruptionBudget", &format!("brasa-{process}"));
        assert_eq!(budget["spec"]["selector"]["matchLabels"], *labels);
        assert_eq!(budget["spec"]["maxUnavailable"], 1);
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        assert_eq!((containers.len(), verb(&words(&containers[0]["args"]))), (1, process));
    }
    let migrate = named("Job", "brasa-migrate");
    assert_eq!(verb(&words(&migrate["spec"]["template"]["spec"]["containers"][0]["args"])), "migrate");
}

#[test]
fn probes_ask_for_what_is_answered_at_the_port_where_it_is() {
    let config = configuration(&format!("{FOLDER}/brasa.toml"));
    let metrics = u64::from(config.telemetry.listen.unwrap().port());
    let web = u64::from(config.web.listen.unwrap().port());
    for process in PROCESSES {
        let deployment = deployment(process);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(port(container, &json!("metrics")), Some(metrics), "{process}");
        // The dashboard is asked where browsers ask it, for that is what has to answer.
        let (at, ready) = if process == "web" { (web, "/live") } else { (metrics, "/ready") };
        for (probe, path) in
            [("startupProbe", "/live"), ("livenessProbe", "/live"), ("readinessProbe", ready)]
        {
            let asked = &container[probe]["httpGet"];
            assert_eq!((asked["path"].as_str(), port(container, &asked["port"])), (Some(path), Some(at)));
            let host = asked["httpHeaders"][0]["value"].as_str();
            let is_let_in = host.is_some_and(|host| config.web.hosts.iter().any(|known| known == host));
            assert_eq!(is_let_in, process == "web", "{process}: {host:?}");
        }
    }
    let service = named("Service", "brasa-metrics");
    assert_eq!((&service["spec"]["ports"][0]["port"]), &json!(metrics));
    assert_eq!(service["spec"]["selector"], json!({ "app.kubernetes.io/name": "brasa" }));
    assert_eq!(named("Service", "brasa-web")["spec"]["ports"][0]["port"], json!(web));
}

#[test]
fn processes_get_the_time_to_end() {
    let config = configuration(&format!("{FOLDER}/brasa.toml"));
    for process in PROCESSES {
        let pod = &deployment(process)["spec"]["template"]["spec"];
        let given = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
        assert!(given > time_to_end(process, &config), "{process} is killed before it has ended");
    }
}

#[test]
fn no_pod_has_more_rights_than_it_needs() {
    let dockerfile = text("deploy/Dockerfile");
    assert_eq!(pods().len(), PROCESSES.len() + 1);
    for (name, pod) in pods() {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        let user = pod["securityContext"]["runAsUser"].as_u64().unwrap();
        assert!(dockerfile.contains(&format!("USER {user}")), "{name} runs as {user}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let container = &pod["containers"][0];
        let own = &container["securityContext"];
        assert_eq!(own["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(own["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(own["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
        let folder = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
        assert!(dockerfile.contains(&format!("BRASA_CONFIG={folder}/brasa.toml")), "{name}");
    }
}

#[test]
fn what_is_applied_is_there_and_what_is_there_is_applied_or_said_to_be_left_out() {
    let text = text(&format!("{FOLDER}/kustomization.yaml"));
    let listed = documents(&format!("{FOLDER}/kustomization.yaml")).remove(0);
    for name in words(&listed["resources"]) {
        assert!(path(FOLDER).join(name).is_file(), "{name}");
    }
    for (name, _) in objects().iter().filter(|(name, _)| name != "kustomization.yaml") {
        assert!(text.contains(&format!("  - {name}\n")) || text.contains(&format!("# - {name}\n")), "{name}");
    }
}

#[test]
fn workers_are_scaled_by_what_they_could_run() {
    let scaled = named("ScaledObject", "brasa-worker");
    let worker = deployment("worker");
    assert_eq!(scaled["spec"]["scaleTargetRef"]["name"], worker["metadata"]["name"]);
    assert_eq!(scaled["spec"]["minReplicaCount"], worker["spec"]["replicas"]);
    let triggers = scaled["spec"]["triggers"].as_array().unwrap();
    let asked = triggers.iter().map(|one| one["metadata"]["query"].as_str().unwrap());
    let asked: Vec<_> = asked.map(asks_for_what_there_is).collect();
    assert!(asked.iter().all(|metrics| !metrics.is_empty()), "{asked:?}");
    // What is paused or held back by a limit waits, and no worker could run it.
    assert!(
        asked[0].contains("brasa_queue_ready_jobs") && !asked[0].contains("brasa_queue_jobs"),
        "{asked:?}"
    );
    let slots = configuration(&format!("{FOLDER}/brasa.toml")).worker.concurrency;
    let busy: usize = triggers[1]["metadata"]["threshold"].as_str().unwrap().parse().unwrap();
    assert!(busy < slots, "{busy} of {slots}");
}
