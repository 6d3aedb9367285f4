//! How safe rows are while they wait: what Redis says about its files, its replicas and its memory.

use std::collections::HashMap;

use super::Streams;
use crate::config::Durability;
use crate::store::StoreError;

/// What Redis does with what waits. What it does not say is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Safety {
    /// `appendfsync`, where there is an append-only file; `off` where there is none.
    pub appends: Option<String>,
    /// How many replicas have to have a write before more are taken.
    pub replicas_min: Option<u32>,
    /// The policy by which it may delete streams to make room; none where it may not.
    pub evicts: Option<String>,
}

impl Safety {
    /// Why rows are less safe than is wanted, and what to do about it.
    pub fn falls_short(&self, wanted: Option<Durability>) -> Option<(String, String)> {
        if let Some(policy) = &self.evicts {
            return Some((
                format!("Redis may delete what waits to make room: maxmemory-policy is {policy}"),
                "CONFIG SET maxmemory-policy noeviction, and CONFIG REWRITE".to_owned(),
            ));
        }
        let appends = self.appends.as_deref();
        let (found, help) = match wanted? {
            Durability::Second if matches!(appends, None | Some("everysec" | "always")) => return None,
            Durability::Always if matches!(appends, None | Some("always")) => return None,
            Durability::Replicated if self.replicas_min.is_none_or(|least| least > 0) => return None,
            Durability::Second => (self.file(), "CONFIG SET appendonly yes, CONFIG SET appendfsync everysec"),
            Durability::Always => (self.file(), "CONFIG SET appendonly yes, CONFIG SET appendfsync always"),
            Durability::Replicated => (
                "Redis takes writes that no replica has: min-replicas-to-write is 0".to_owned(),
                "CONFIG SET min-replicas-to-write 1, with a replica",
            ),
        };
        Some((found, format!("{help}, and CONFIG REWRITE; or ask for less")))
    }

    fn file(&self) -> String {
        match self.appends.as_deref() {
            Some("off") => "Redis keeps no append-only file: when it ends, what waits is gone".to_owned(),
            other => format!(
                "Redis writes its append-only file out with appendfsync {}",
                other.unwrap_or("unknown")
            ),
        }
    }
}

impl Streams {
    /// How safe rows are while they wait. A server that does not let us read its settings says nothing of them.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn safety(&self) -> Result<Safety, StoreError> {
        let info: String = self.store.run("be asked what it keeps", &redis::cmd("INFO")).await?;
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let mut settings = HashMap::new();
        for name in ["appendfsync", "min-replicas-to-write"] {
            let mut get = redis::cmd("CONFIG");
            get.arg("GET").arg(name);
            let found: Result<HashMap<String, String>, _> = self.store.run("say its settings", &get).await;
            settings.extend(found.unwrap_or_default());
        }
        let appends = match field("aof_enabled") {
            Some("0") => Some("off".to_owned()),
            _ => settings.get("appendfsync").cloned(),
        };
        let policy = field("maxmemory_policy").unwrap_or_default();
        let is_bounded = field("maxmemory").is_some_and(|max| max != "0");
        // Streams have no expiry.
        let may_evict = is_bounded && policy.starts_with("allkeys");
        Ok(Safety {
            appends,
            replicas_min: settings.get("min-replicas-to-write").and_then(|least| least.parse().ok()),
            evicts: may_evict.then(|| policy.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_short_of_what_is_wanted_is_said_and_what_is_not_known_is_not_blamed() {
        let safety = |appends: &str| Safety { appends: Some(appends.to_owned()), ..Safety::default() };
        for (safety, wanted, said) in [
            (safety("off"), None, None),
            (safety("off"), Some(Durability::Second), Some("no append-only file")),
            (safety("everysec"), Some(Durability::Second), None),
            (safety("everysec"), Some(Durability::Always), Some("appendfsync everysec")),
            (safety("always"), Some(Durability::Always), None),
            (Safety::default(), Some(Durability::Always), None),
            (
                Safety { replicas_min: Some(0), ..safety("always") },
                Some(Durability::Replicated),
                Some("no replica has"),
            ),
            (Safety { replicas_min: Some(1), ..safety("off") }, Some(Durability::Replicated), None),
            (Safety { evicts: Some("allkeys-lru".to_owned()), ..safety("always") }, None, Some("may delete")),
        ] {
            let found = safety.falls_short(wanted);
            assert_eq!(found.is_some(), said.is_some(), "{safety:?} {wanted:?}");
            assert!(found.is_none_or(|(found, _)| found.contains(said.unwrap())), "{safety:?} {wanted:?}");
        }
    }
}
