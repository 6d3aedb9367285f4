//! docker-compose.yml, and the Prometheus in it.

use std::collections::BTreeSet;

use brasa_shared::units::parse_duration;
use serde_json::{Map, Value, json};

use super::{PROCESSES, configuration, documents, time_to_end, verb, words};

/// The services that run Brasa, by name.
fn services() -> Map<String, Value> {
    let compose = documents("docker-compose.yml").remove(0);
    let all = compose["services"].as_object().unwrap().clone();
    all.into_iter().filter(|(_, service)| service["image"] == "brasa:local").collect()
}

/// Those that go on, and not only until something is done.
fn processes() -> Map<String, Value> {
    services().into_iter().filter(|(_, service)| service["restart"] != "no").collect()
}

/// The port that an address in the environment of a service ends with.
fn port(service: &Value, variable: &str) -> Option<u64> {
    service["environment"][variable].as_str()?.rsplit_once(':')?.1.parse().ok()
}

#[test]
fn every_service_that_tells_metrics_is_scraped_at_its_port() {
    let prometheus = documents("deploy/prometheus/prometheus.yml").remove(0);
    let jobs = prometheus["scrape_configs"].as_array().unwrap();
    let own = jobs.iter().find(|job| job["job_name"] == "brasa").unwrap();
    let asked = &own["dns_sd_configs"][0];
    let scraped: BTreeSet<&str> = words(&asked["names"]).into_iter().collect();
    let processes = processes();
    assert_eq!(scraped, processes.keys().map(String::as_str).collect());
    for (name, service) in &processes {
        assert_eq!(port(service, "BRASA_LISTEN"), asked["port"].as_u64(), "{name}");
    }
    assert_eq!(processes.keys().map(String::as_str).collect::<BTreeSet<_>>(), PROCESSES.into());
}

#[test]
fn services_run_verbs_that_there_are_and_get_the_time_to_end() {
    let config = configuration("brasa.toml");
    assert_eq!(services().len(), PROCESSES.len() + 1);
    for (name, service) in services() {
        let verb = verb(&words(&service["command"]));
        assert_eq!(verb, name);
        assert_eq!(service["environment"]["BRASA_CONFIG"], service["volumes"][0]["target"], "{name}");
        if verb == "migrate" {
            continue;
        }
        let asked = words(&service["healthcheck"]["test"]);
        assert_eq!(asked, ["CMD", "brasa", "health"], "{name}");
        assert_eq!(super::verb(&asked[2..]), "health");
        let grace = parse_duration(service["stop_grace_period"].as_str().unwrap()).unwrap();
        assert!(grace > time_to_end(verb, &config), "{name} is killed while it hands back what it runs");
        let wanted = &service["depends_on"]["migrate"]["condition"];
        assert_eq!(wanted, "service_completed_successfully", "{name}");
    }
}

#[test]
fn what_is_published_is_on_loopback_and_is_listened_at() {
    for (name, service) in processes() {
        for published in words(&service["ports"]) {
            let (_, inside) = published.rsplit_once(':').unwrap();
            let listens = [port(&service, "BRASA_LISTEN"), port(&service, "BRASA_WEB_LISTEN")];
            assert!(published.starts_with("127.0.0.1:"), "{name}: {published}");
            assert!(listens.contains(&inside.parse().ok()), "{name}: {published}");
        }
    }
}

#[test]
fn no_service_has_more_rights_than_it_needs() {
    let compose = documents("docker-compose.yml").remove(0);
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
    }
}
