//! What somebody is told about, and where to.

use std::path::Path;
use std::time::Duration;

use super::{assert_problems, parse};
use crate::config::{AlertLimits, Alerts, Config};

const URL: &str = "https://hooks.example.com/services/T1/B2/a-secret-of-the-test";

#[test]
fn nobody_is_told_by_default_and_everything_is_watched() {
    let alerts = parse("").unwrap().alerts;
    assert!(alerts.webhook.is_none() && !alerts.private);
    assert_eq!((alerts.every, alerts.lasting), (Duration::from_mins(1), Duration::from_mins(5)));
    assert_eq!(alerts.limits, AlertLimits::default());
    assert!(alerts.limits.written().iter().all(|(_, limit)| limit.is_some()));
}

#[test]
fn every_key_of_alerts_is_read() {
    let text = r#"
[alerts]
webhook = "${HOOK}"
every = "30s"
for = "0s"
private = true
queue_oldest = "90s"
dead_per_hour = 3
failure_share = 0.5
hit_rate = 1
outbox_waiting = 7
aggregate_lag = "off"
writes_lag = "2m"
database_pool = 0.75
database_connections = "off"
workers = 2
redis_memory = 0.9
critical_recommendations = 4
"#;
    let env = |name: &str| (name == "HOOK").then(|| URL.to_owned());
    let Alerts { webhook, private, every, lasting, limits } =
        Config::parse(text, Path::new("brasa.toml"), &env).unwrap().alerts;
    let webhook = webhook.unwrap();
    assert_eq!(webhook.expose(), URL);
    assert!(!format!("{webhook:?} {webhook}").contains("secret-of-the-test"));
    assert_eq!((private, every, lasting), (true, Duration::from_secs(30), Duration::ZERO));
    let written = limits.written().map(|(_, limit)| limit.unwrap_or_else(|| "off".to_owned()));
    let expected = ["1m30s", "3", "0.5", "1", "7", "off", "2m", "0.75", "off", "2", "0.9", "4"];
    assert_eq!(written, expected);
}

#[test]
fn what_is_no_threshold_is_refused_with_what_to_write() {
    let text = r#"
[alerts]
webhook = "http://127.0.0.1/hook"
every = "1ms"
queue_oldest = 5
hit_rate = 80
dead_per_hour = 0
workers = "on"
queue_older = "5m"
"#;
    assert_problems(
        text,
        &[
            (3, "alerts.webhook", "loopback", "private = true"),
            (4, "alerts.every", "too short", "at least"),
            (5, "alerts.queue_oldest", "that is not a duration", "\"off\""),
            (6, "alerts.hit_rate", "that is not a share", "from 0 to 1"),
            (7, "alerts.dead_per_hour", "that is not a whole number from 1 on", "or \"off\""),
            (8, "alerts.workers", "`on` is not a whole number", "or \"off\""),
            (9, "alerts.queue_older", "unknown key", "queue_oldest"),
        ],
    );
}
