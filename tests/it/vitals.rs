//! What a process tells about itself, its machine, its pools and its Redis; and the page that lists all metrics.

use std::fs;
use std::path::Path;

use brasa_shared::telemetry::metrics::declared;
use brasa_tests::process::{Brasa, http_get};
use brasa_tests::{World, eventually};
use serde_json::Value;

/// The value of a series in what a process tells.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[tokio::test]
async fn a_process_tells_how_it_its_machine_its_pools_and_its_redis_are() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, "[postgres]\npool = { max = 7 }\n");
    let process = brasa.start(["run", "--listen", "127.0.0.1:0"]);
    let address = process.address().await;
    eventually("it has looked twice", async || {
        let (_, metrics) = http_get(address, "/metrics").await.unwrap();
        let told = |series: &str| value(&metrics, series);
        let is_share = |series: &str| told(series).is_some_and(|share| (0.0..=1.0).contains(&share));
        told("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6)
            && told("process_open_fds").is_some_and(|open| open > 5.0)
            && told("process_start_time_seconds").is_some_and(|then| then > 1.7e9)
            && told("process_cpu_seconds_total").is_some()
            && is_share("brasa_host_cpu_share")
            && is_share("brasa_host_memory_share")
            && is_share(r#"brasa_host_disk_share{of="own"}"#)
            && is_share(r#"brasa_host_disk_share{of="redis"}"#)
            && is_share(r#"brasa_host_disk_share{of="postgres"}"#)
            && told(r#"brasa_database_pool_connections{pool="jobs",state="max"}"#) == Some(7.0)
            && told(r#"brasa_database_pool_wait_seconds{pool="jobs"}"#) == Some(0.0)
            && told("brasa_redis_up") == Some(1.0)
            && told("brasa_redis_memory_bytes").is_some_and(|bytes| bytes > 1e5)
            && told("brasa_redis_evicted_keys_total") == Some(0.0)
    })
    .await;
}

#[tokio::test]
async fn every_metric_is_listed_with_what_it_means() {
    let listed = Brasa::new().run(["metrics", "--json"]).await.json();
    let names: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, declared().map(|metric| metric.name).collect::<Vec<_>>());
    let meaning =
        |one: &Value| one["help"].as_str().is_some_and(|help| help.len() > 10 && help.ends_with('.'));
    assert!(listed.as_array().unwrap().iter().all(meaning), "{listed}");
    let table = Brasa::new().run(["metrics"]).await.with_code(0).stdout;
    assert!(table.contains("brasa_jobs_claimed_total") && table.contains("counter"), "{table}");
}

/// `BRASA_WRITE_DOCS=1` writes the page anew.
#[tokio::test]
async fn metrics_are_documented() {
    let page = Brasa::new().run(["metrics", "--markdown"]).await.with_code(0).stdout;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("BRASA_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let help = "run it once with BRASA_WRITE_DOCS=1, and commit docs/metrics.md";
    assert!(written == page, "docs/metrics.md is not what the code declares: {help}");
}
