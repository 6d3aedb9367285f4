//! `[cache]`: how much of the database warming may take, and how often changes are looked for.

use std::time::Duration;

use super::section::Section;

/// Well below the time for which it is remembered what invalidated a value.
const LAG_MAX: Duration = Duration::from_mins(10);

/// The section `[cache]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Whether workers load what readers ask for, refresh what is due and carry changes of tables into Redis; true
    /// by default.
    pub enabled: bool,
    /// How many loaders run at once in a process at most; 2 by default.
    pub loaders: u32,
    /// So many sessions of others may be active before the database counts as busy; none by default.
    pub busy_at: u32,
    /// How much of one loader's time is used while the database is busy, in hundredths; 4 by default: below one in
    /// twenty, the slowest twentieth of the application's transactions is not made of those that met a loader.
    pub busy_percent: u32,
    /// How many keys are loaded per second at most; no limit by default.
    pub keys_per_second: Option<u32>,
    /// How far a replica may lag behind before the primary is read instead; 5 s by default.
    pub lag_max: Duration,
    /// How often changes of tables are looked for; 25 ms by default.
    pub poll: Duration,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            loaders: 2,
            busy_at: 0,
            busy_percent: 4,
            keys_per_second: None,
            lag_max: Duration::from_secs(5),
            poll: Duration::from_millis(25),
        }
    }
}

impl Cache {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let lag_max = section.duration("lag_max", Duration::ZERO);
        if lag_max.is_some_and(|lag| lag > LAG_MAX) {
            let message = "what a replica has not seen yet is not remembered for so long";
            section.report("lag_max", message, "write at most \"10m\"");
        }
        Self {
            enabled: section.flag("enabled").unwrap_or(default.enabled),
            loaders: section.whole("loaders", 1..=64).unwrap_or(default.loaders),
            busy_at: section.whole("busy_at", 0..=100_000).unwrap_or(default.busy_at),
            busy_percent: section.whole("busy_percent", 1..=100).unwrap_or(default.busy_percent),
            keys_per_second: section.whole("keys_per_second", 1..=1_000_000_000),
            lag_max: lag_max.unwrap_or(default.lag_max),
            poll: section.duration("poll", Duration::from_millis(5)).unwrap_or(default.poll),
        }
    }
}
