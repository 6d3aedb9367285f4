//! `[alerts]`: what somebody is to be told about, and where to.

use std::time::Duration;

use toml::de::DeValue;

use super::address::Address;
use super::complaint::{Complaint, clip};
use super::http::{HELP_PRIVATE, check_url};
use super::secret::Secret;
use super::section::Section;
use super::values::read_share;
use crate::units::{format_duration, parse_duration};

/// The word for a threshold that is not watched.
const OFF: &str = "off";

/// Shorter would ask more of the servers than it tells.
const EVERY_MIN: Duration = Duration::from_secs(1);

const HELP_SHARE: &str = "write a share from 0 to 1, as in 0.8, or \"off\"";
const HELP_COUNT: &str = "write one, or \"off\"";
const HELP_SPAN: &str = "write a duration, as in \"5m\", or \"off\"";

/// `[alerts]`
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Where messages are sent, from `webhook` or `webhook_file`; nobody is told by default.
    pub webhook: Option<Secret>,
    /// Whether that may be at an address that is not in the internet.
    pub private: bool,
    /// How often it is looked; 1 minute by default.
    pub every: Duration,
    /// For how long something has to be wrong before it is told; 5 minutes by default.
    pub lasting: Duration,
    /// From when on something is wrong.
    pub limits: Limits,
}

/// From when on something is wrong; none where it is not watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// `queue_oldest`: for how long the oldest job of a queue may wait; 5 minutes by default.
    pub queue_oldest: Option<Duration>,
    /// `dead_per_hour`: how many jobs of a queue may have died in the last hour; 10 by default.
    pub dead_per_hour: Option<u64>,
    /// `failure_share`: which share of the jobs of a queue that end may die; 0.05 by default.
    pub failure_share: Option<f64>,
    /// `hit_rate`: which share of the reads of a warmer has to find something; 0.8 by default.
    pub hit_rate: Option<f64>,
    /// `outbox_waiting`: how many rows of the outbox may wait; 1,000 by default.
    pub outbox_waiting: Option<u64>,
    /// `aggregate_lag`: for how long changes may wait to be moved into an aggregate; 1 minute by default.
    pub aggregate_lag: Option<Duration>,
    /// `writes_lag`: for how long rows may wait to be written; 1 minute by default.
    pub writes_lag: Option<Duration>,
    /// `database_pool`: which share of the connections of a pool of the process that looks may be in use; 0.8 by default.
    pub database_pool: Option<f64>,
    /// `database_connections`: which share of the connections that Postgres takes may be in use; 0.8 by default.
    pub database_connections: Option<f64>,
    /// `workers`: how many workers there have to be; 1 by default.
    pub workers: Option<u64>,
    /// `redis_memory`: which share of the memory that Redis may use may be in use; 0.85 by default.
    pub redis_memory: Option<f64>,
    /// `critical_recommendations`: from how many open ones on; 1 by default.
    pub critical_recommendations: Option<u64>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            webhook: None,
            private: false,
            every: Duration::from_mins(1),
            lasting: Duration::from_mins(5),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_oldest: Some(Duration::from_mins(5)),
            dead_per_hour: Some(10),
            failure_share: Some(0.05),
            hit_rate: Some(0.8),
            outbox_waiting: Some(1_000),
            aggregate_lag: Some(Duration::from_mins(1)),
            writes_lag: Some(Duration::from_mins(1)),
            database_pool: Some(0.8),
            database_connections: Some(0.8),
            workers: Some(1),
            redis_memory: Some(0.85),
            critical_recommendations: Some(1),
        }
    }
}

impl Alerts {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let private = section.flag("private").unwrap_or(false);
        Self {
            webhook: webhook(section, private),
            private,
            every: section.duration("every", EVERY_MIN).unwrap_or(default.every),
            lasting: section.duration("for", Duration::ZERO).unwrap_or(default.lasting),
            limits: Limits::read(section),
        }
    }
}

impl Limits {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            queue_oldest: span(section, "queue_oldest", default.queue_oldest),
            dead_per_hour: count(section, "dead_per_hour", default.dead_per_hour),
            failure_share: share(section, "failure_share", default.failure_share),
            hit_rate: share(section, "hit_rate", default.hit_rate),
            outbox_waiting: count(section, "outbox_waiting", default.outbox_waiting),
            aggregate_lag: span(section, "aggregate_lag", default.aggregate_lag),
            writes_lag: span(section, "writes_lag", default.writes_lag),
            database_pool: share(section, "database_pool", default.database_pool),
            database_connections: share(section, "database_connections", default.database_connections),
            workers: count(section, "workers", default.workers),
            redis_memory: share(section, "redis_memory", default.redis_memory),
            critical_recommendations: count(
                section,
                "critical_recommendations",
                default.critical_recommendations,
            ),
        }
    }

    /// Each by its name, as it is written; none where it is not watched.
    pub fn written(&self) -> [(&'static str, Option<String>); 12] {
        let span = |limit: Option<Duration>| limit.map(format_duration);
        let count = |limit: Option<u64>| limit.map(|limit| limit.to_string());
        let share = |limit: Option<f64>| limit.map(|limit| limit.to_string());
        [
            ("queue_oldest", span(self.queue_oldest)),
            ("dead_per_hour", count(self.dead_per_hour)),
            ("failure_share", share(self.failure_share)),
            ("hit_rate", share(self.hit_rate)),
            ("outbox_waiting", count(self.outbox_waiting)),
            ("aggregate_lag", span(self.aggregate_lag)),
            ("writes_lag", span(self.writes_lag)),
            ("database_pool", share(self.database_pool)),
            ("database_connections", share(self.database_connections)),
            ("workers", count(self.workers)),
            ("redis_memory", share(self.redis_memory)),
            ("critical_recommendations", count(self.critical_recommendations)),
        ]
    }
}

fn webhook(section: &mut Section<'_>, private: bool) -> Option<Secret> {
    let address =
        Address { key: "webhook", file_key: "webhook_file", variable: None, schemes: &["https", "http"] };
    let key = if section.has("webhook") { "webhook" } else { "webhook_file" };
    let read = address.read(section)?;
    let report = |complaint: Complaint| {
        let help =
            if complaint.help == HELP_PRIVATE { HELP_PRIVATE } else { "write it as it was given to you" };
        section.report(key, complaint.message, help);
    };
    check_url(read.expose(), private).map_err(report).ok()?;
    Some(read)
}

/// What is written, unless it is `off`; the default where nothing is.
fn limit<T>(
    section: &mut Section<'_>,
    key: &'static str,
    default: Option<T>,
    what: (&'static str, &'static str),
    read: impl FnOnce(&DeValue<'_>) -> Option<T>,
) -> Option<T> {
    let Some(value) = section.take(key) else { return default };
    if value.get_ref().as_str() == Some(OFF) {
        return None;
    }
    let found = read(value.get_ref());
    if found.is_none() {
        let (wanted, help) = what;
        let complaint = match value.get_ref() {
            DeValue::String(text) => Complaint::new(format!("`{}` is not {wanted}", clip(text)), help),
            DeValue::Integer(_) | DeValue::Float(_) => Complaint::new(format!("that is not {wanted}"), help),
            other => Complaint::mismatch(wanted, other, help),
        };
        section.complain(key, complaint);
        return default;
    }
    found
}

fn span(section: &mut Section<'_>, key: &'static str, default: Option<Duration>) -> Option<Duration> {
    let read = |value: &DeValue<'_>| {
        value.as_str().and_then(|text| parse_duration(text).ok()).filter(|span| !span.is_zero())
    };
    limit(section, key, default, ("a duration", HELP_SPAN), read)
}

fn count(section: &mut Section<'_>, key: &'static str, default: Option<u64>) -> Option<u64> {
    let read = |value: &DeValue<'_>| {
        let written = value.as_integer()?;
        u64::from_str_radix(written.as_str(), written.radix()).ok().filter(|count| *count > 0)
    };
    limit(section, key, default, ("a whole number from 1 on", HELP_COUNT), read)
}

fn share(section: &mut Section<'_>, key: &'static str, default: Option<f64>) -> Option<f64> {
    limit(section, key, default, ("a share", HELP_SHARE), read_share)
}
