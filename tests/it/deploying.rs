//! Files for Docker, Kubernetes and systemd: they start what there is, probe what is answered, and give it the time to end.

mod compose;
mod kubernetes;
mod systemd;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brasa_shared::config::Config;
use brasa_tests::process::{Brasa, http_get};
use brasa_tests::{World, eventually};
use serde::Deserialize as _;
use serde_json::Value;

/// How long handing back what is left may take, beyond `shutdown_grace`.
const HAND_BACK: Duration = Duration::from_secs(10);
/// How long a message about what is wrong may be on its way when a scheduler ends.
const TELL: Duration = Duration::from_secs(5);
/// Those that go on until they are told to end.
const PROCESSES: [&str; 3] = ["worker", "scheduler", "web"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// The documents of a file, with what they merge in its place.
fn documents(name: &str) -> Vec<Value> {
    let read = |document| {
        let mut value = serde_yaml_ng::Value::deserialize(document).unwrap();
        // What is merged may merge.
        for _ in 0..3 {
            value.apply_merge().unwrap();
        }
        serde_json::to_value(value).unwrap()
    };
    serde_yaml_ng::Deserializer::from_str(&text(name)).map(read).collect()
}

/// The texts of a list.
fn words(list: &Value) -> Vec<&str> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|word| word.as_str().unwrap()).collect()
}

/// The configuration in a file, where the environment has addresses of servers.
fn configuration(name: &str) -> Config {
    let variable = |name: &str| match name {
        "REDIS_URL" => Some("redis://redis:6379/".to_owned()),
        "DATABASE_URL" => Some("postgres://app@postgres/app".to_owned()),
        _ => None,
    };
    Config::parse(&text(name), Path::new(name), &variable).unwrap()
}

/// Holds words to what the command line takes; returns the verb.
fn verb<'w>(words: &[&'w str]) -> &'w str {
    let taken = brasa::command().try_get_matches_from(["brasa"].iter().chain(words));
    assert!(taken.is_ok(), "{words:?}: {}", taken.unwrap_err());
    words[0]
}

/// How long a process has to be given to end by itself.
fn time_to_end(verb: &str, config: &Config) -> Duration {
    if verb == "worker" { config.worker.shutdown_grace + HAND_BACK } else { TELL }
}

#[tokio::test]
async fn every_process_answers_what_is_asked_of_it_where_the_environment_says() {
    let world = World::new().await;
    for name in PROCESSES {
        let brasa = Brasa::configured(&world, "[web]\nlisten = \"127.0.0.1:0\"\n");
        let process = brasa.env("BRASA_LISTEN", "127.0.0.1:0").start([name]);
        let place = async || {
            let log = process.log();
            let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut own = events.filter(|event| event["message"] == "answering /metrics, /live and /ready");
            own.find_map(|event| event["address"].as_str()?.parse().ok())
        };
        eventually("it says where it answers", async || place().await.is_some()).await;
        let address = place().await.unwrap();
        for path in ["/live", "/ready", "/metrics"] {
            eventually(&format!("{name} answers {path}"), async || {
                http_get(address, path).await.is_some_and(|(status, _)| status == 200)
            })
            .await;
        }
    }
}
