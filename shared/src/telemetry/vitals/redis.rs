//! Redis: what it says about its memory and its connections.

use std::collections::BTreeMap;

use super::number;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics;

/// What `INFO` says.
#[derive(Debug, Clone, Default)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// Asks a server for all of it.
    ///
    /// # Errors
    /// It is out of reach, or does not tell us.
    pub async fn ask(store: &Store) -> Result<Self, StoreError> {
        let text: String = store.run("say how it is", &redis::cmd("INFO")).await?;
        Ok(Self::parse(&text))
    }

    /// Reads the text: a field a line, `name:value`.
    pub fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A field; empty where this server does not have it.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A field that is a number; none where this server does not have it.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }

    /// How much of the memory that it may use is in use, from 0; none where it has no limit.
    pub fn memory_share(&self) -> Option<f64> {
        let most = self.number("maxmemory").filter(|most| *most > 0)?;
        Some(number(self.number("used_memory")?) / number(most))
    }
}

/// What the server had counted when it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Counted {
    evicted: u64,
    rejected: u64,
}

impl Counted {
    /// Looks, and tells; returns what the server answered, if it did.
    pub(super) async fn look(&mut self, store: &Store) -> Option<Info> {
        let info = Info::ask(store).await;
        metrics::redis_up().set(f64::from(u8::from(info.is_ok())));
        let info = info.ok()?;
        let gauges = [
            ("used_memory", metrics::redis_memory_bytes()),
            ("maxmemory", metrics::redis_memory_max_bytes()),
            ("connected_clients", metrics::redis_clients()),
        ];
        for (name, gauge) in gauges {
            if let Some(found) = info.number(name) {
                gauge.set(number(found));
            }
        }
        if let Some(evicted) = info.number("evicted_keys") {
            metrics::redis_evicted_keys_total().increment(more(&mut self.evicted, evicted));
        }
        if let Some(rejected) = info.number("rejected_connections") {
            metrics::redis_rejected_connections_total().increment(more(&mut self.rejected, rejected));
        }
        Some(info)
    }
}

/// How much was counted since; a server that began anew counts from nothing.
fn more(before: &mut u64, now: u64) -> u64 {
    let before = std::mem::replace(before, now);
    if now < before { now } else { now - before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_counted_before_it_began_anew_is_not_lost() {
        let mut before = 0;
        let counted: Vec<u64> = [5, 7, 7, 2, 3].into_iter().map(|now| more(&mut before, now)).collect();
        assert_eq!(counted, [5, 2, 0, 2, 1]);
    }

    #[test]
    fn a_server_without_a_limit_has_no_share() {
        let info = |most: u64| Info::parse(&format!("# Memory\r\nused_memory:500\r\nmaxmemory:{most}\r\n"));
        assert_eq!(info(0).memory_share(), None);
        assert_eq!(info(1_000).memory_share(), Some(0.5));
        assert_eq!(info(1_000).number("evicted_keys"), None);
    }
}
