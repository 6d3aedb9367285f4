//! What is asked of Redis, all of it harmless.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use brasa_shared::store::{Store, StoreError};
use brasa_shared::telemetry::vitals::Info;
use redis::{FromRedisValue as _, Value, cmd};

use super::super::timing::{ROUNDS, Skew};

use super::rights::{self, Rights};
use crate::app::App;
use crate::failure::chain;

/// Settings that `INFO` does not tell.
const SETTINGS: [&str; 4] = ["appendfsync", "save", "min-replicas-to-write", "stop-writes-on-bgsave-error"];
/// How many entries of the log of slow commands are looked at; the server keeps as many by default.
const SLOW_MAX: usize = 128;

/// What Redis says about itself.
#[derive(Debug)]
pub(super) struct Facts {
    /// `INFO`.
    pub(super) info: Info,
    /// Settings by name; or why they could not be read.
    pub(super) settings: Result<BTreeMap<String, String>, String>,
    /// The difference of the clocks, where it could be measured.
    pub(super) skew: Option<Skew>,
    /// Commands that were slow; or why they could not be read.
    pub(super) slow: Result<Vec<SlowCall>, String>,
    /// What this user may do.
    pub(super) rights: Rights,
    /// What the names of our keys begin with.
    pub(super) prefix: String,
    /// How many warmers the configuration has.
    pub(super) warmers: usize,
    /// Now, ms since 1970.
    pub(super) now_ms: i64,
}

/// An entry of the log of slow commands.
#[derive(Debug, Clone)]
pub(super) struct SlowCall {
    /// When, s since 1970.
    pub(super) at_s: i64,
    /// How long it took, µs.
    pub(super) took_us: u64,
    /// The command and its first arguments.
    pub(super) words: Vec<String>,
}

impl Facts {
    /// A setting; empty where it could not be read.
    pub(super) fn setting(&self, name: &str) -> &str {
        let settings = self.settings.as_ref().ok();
        settings.and_then(|settings| settings.get(name)).map(String::as_str).unwrap_or_default()
    }

    /// Whether queues can be in it at all; not in a Sentinel, and not yet in a cluster.
    pub(super) fn may_hold_queues(&self) -> bool {
        let mode = self.info.text("redis_mode");
        mode.is_empty() || mode == "standalone"
    }
}

#[cfg(test)]
impl Default for Facts {
    /// A server that says nothing; tests fill in what they are about.
    fn default() -> Self {
        Self {
            info: Info::default(),
            settings: Ok(BTreeMap::new()),
            skew: None,
            slow: Ok(Vec::new()),
            rights: Rights::default(),
            prefix: String::new(),
            warmers: 0,
            now_ms: 0,
        }
    }
}

/// The fastest of a few answers.
pub(super) async fn knock(store: &Store) -> Result<Duration, StoreError> {
    let mut best = Duration::MAX;
    // The first one connects, which is not what is measured.
    for _ in 0..=ROUNDS {
        let asked = Instant::now();
        store.run::<String>("answer", &cmd("PING")).await?;
        best = best.min(asked.elapsed());
    }
    Ok(best)
}

/// Asks for everything. Only a server that refuses `INFO` is given up.
pub(super) async fn gather(app: &App) -> Result<Facts, StoreError> {
    let info: String = app.store.run("be asked what it is", &cmd("INFO")).await?;
    let told = |error: StoreError| chain(&error.source);
    let mut read_settings = cmd("CONFIG");
    read_settings.arg("GET").arg(&SETTINGS);
    let settings = app.store.run("show its settings", &read_settings).await.map_err(told);
    let mut read_slow = cmd("SLOWLOG");
    read_slow.arg("GET").arg(SLOW_MAX);
    let slow = app.store.run::<Vec<Value>>("show slow commands", &read_slow).await.map_err(told);
    Ok(Facts {
        info: Info::parse(&info),
        settings,
        skew: skew(app).await.ok(),
        slow: slow.map(|entries| entries.iter().filter_map(read_entry).collect()),
        rights: rights::ask(app).await,
        prefix: app.config.redis.prefix.clone(),
        warmers: app.config.warm.len(),
        now_ms: app.clock.now().as_millisecond(),
    })
}

async fn skew(app: &App) -> Result<Skew, StoreError> {
    let mut best: Option<Skew> = None;
    for _ in 0..ROUNDS {
        let (asked_ms, asked) = (app.clock.now().as_millisecond(), Instant::now());
        let (seconds, micros): (i64, i64) = app.store.run("tell the time", &cmd("TIME")).await?;
        let next = Skew::of(asked_ms, asked.elapsed(), seconds * 1_000 + micros / 1_000);
        best = Some(best.map_or(next, |best| best.better(next)));
    }
    Ok(best.unwrap_or(Skew::of(0, Duration::ZERO, 0)))
}

/// Id, instant, duration, words, and from whom, which is not ours to tell.
fn read_entry(entry: &Value) -> Option<SlowCall> {
    let Value::Array(fields) = entry else { return None };
    let words = Vec::<Vec<u8>>::from_redis_value_ref(fields.get(3)?).ok()?;
    Some(SlowCall {
        at_s: i64::from_redis_value_ref(fields.get(1)?).ok()?,
        took_us: u64::from_redis_value_ref(fields.get(2)?).ok()?,
        words: words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect(),
    })
}
