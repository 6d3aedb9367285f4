//! How long values live, which of them are kept warm, and how they are stored.

use std::time::Duration;

use crate::cache::Codec;
use crate::config::complaint::Complaint;
use crate::config::section::Section;

/// A shorter life than this is not a cache, and costs more than it saves.
const TTL_MIN: Duration = Duration::from_secs(1);
/// Which part of its life a value may lose to jitter, unless the warmer says otherwise: one in so many.
const JITTER_SHARE: u32 = 10;
/// How long it is known that there is no value, unless the warmer says otherwise.
const NEGATIVE: Duration = Duration::from_secs(30);
/// How many values are kept warm of those that are read most, unless the warmer says otherwise.
const HOT: u32 = 1_000;
/// The longest that anything may live: marks of what was invalidated outlive it.
const LIFE_MAX: Duration = Duration::from_hours(24 * 31);

/// How long values live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lives {
    /// How long a value is fresh.
    pub ttl: Duration,
    /// By how much lives are made to differ, so that they do not end together; a tenth of `ttl` by default, or half of
    /// what `refresh_ahead` leaves.
    pub jitter: Duration,
    /// How long before its end a value is loaded again; none by default: schedules and readers see to it.
    pub refresh_ahead: Option<Duration>,
    /// How long beyond `ttl` a value may be served while it is loaded again; not at all by default.
    pub stale: Duration,
    /// The same while it cannot be loaded; as long as `stale` by default.
    pub stale_max: Duration,
    /// How long it is known that there is no value; 30 s or `ttl` by default, whichever is shorter.
    pub negative: Option<Duration>,
}

/// Which values are kept warm, and what makes them be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// Those that are read most, and not all.
    pub is_hot: bool,
    /// How many of those that are read most; 1,000 by default.
    pub hot_max: u64,
    /// Which share of the reads they have to cover, in hundredths; fewer are kept warm where fewer do. 100 by default.
    pub coverage: u32,
    /// What makes all of them be loaded; a deploy and a flush by default.
    pub when: Vec<When>,
}

/// What makes all values of a warmer be loaded, beside schedules and people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The warmer is new, or is defined otherwise.
    Deploy,
    /// Redis lost its memory, was restarted, or another server took over.
    Flush,
}

/// Which database is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FillFrom {
    /// `[postgres] url`
    #[default]
    Primary,
    /// `[postgres] replica_url`, while it does not lag too far behind.
    Replica,
}

impl Lives {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let ttl = section.duration("ttl", TTL_MIN);
        if !section.has("ttl") {
            section.report_missing("needs `ttl`", r#"write how long a value lives, as in ttl = "30s""#);
        }
        let jitter = below_ttl(section, "jitter", ttl, "a tenth of `ttl` is usual");
        let refresh_ahead = below_ttl(section, "refresh_ahead", ttl, "a third of `ttl` is usual");
        let stale = section.duration("stale", Duration::ZERO).unwrap_or_default();
        let stale_max = section.duration("max_stale", Duration::ZERO);
        if stale_max.is_some_and(|most| most < stale) {
            section.report(
                "max_stale",
                "it is shorter than `stale`",
                "write at least as long a time, or leave it out",
            );
        }
        let stale_max = stale_max.unwrap_or(stale).max(stale);
        let negative = section.duration("negative_ttl", Duration::ZERO);
        let ttl = ttl?;
        if ttl.saturating_add(stale_max) > LIFE_MAX {
            section.report(
                "ttl",
                "values would live for more than 31 days",
                "what lives so long belongs into a table",
            );
        }
        // What is due as soon as it is loaded would be loaded without end.
        let rest = ttl.saturating_sub(refresh_ahead.unwrap_or_default());
        if jitter.is_some_and(|jitter| refresh_ahead.is_some_and(|ahead| ahead < ttl) && jitter >= rest) {
            section.report(
                "refresh_ahead",
                "together with `jitter` it is not shorter than `ttl`",
                "a third of `ttl` is usual, and a tenth for the jitter",
            );
        }
        Some(Self {
            ttl,
            jitter: jitter.unwrap_or_else(|| (ttl / JITTER_SHARE).min(rest / 2)),
            refresh_ahead,
            stale,
            stale_max,
            negative: Some(negative.unwrap_or(NEGATIVE.min(ttl))).filter(|life| !life.is_zero()),
        })
    }

    /// How long a value lives at most, whatever becomes of its source.
    pub fn longest(&self) -> Duration {
        self.ttl.saturating_add(self.stale_max)
    }
}

/// A duration that has to be shorter than `ttl`.
fn below_ttl(
    section: &mut Section<'_>,
    key: &'static str,
    ttl: Option<Duration>,
    usual: &'static str,
) -> Option<Duration> {
    let found = section.duration(key, Duration::ZERO);
    if let (Some(found), Some(ttl)) = (found, ttl)
        && found >= ttl
    {
        let name = if key == "jitter" { "the jitter".to_owned() } else { format!("`{key}`") };
        section.report(key, format!("{name} is not shorter than `ttl`"), usual);
    }
    found
}

impl Keeping {
    pub(super) fn read(section: &mut Section<'_>, is_looped: bool, has_params: bool) -> Self {
        let is_hot = section.choice("what", &[("all", false), ("hot", true)]);
        if is_hot == Some(false) && has_params && !is_looped {
            let help = "write `for_each`, which gives all keys, or what = \"hot\"";
            section.report("what", "nobody knows what all keys are", help);
        }
        let hot_max = section.whole("hot_max", 1..=1_000_000);
        let coverage = section.whole("coverage_percent", 1..=100);
        let when = section.parsed_each("warm_on", |word| match word {
            "deploy" => Ok(When::Deploy),
            "flush" => Ok(When::Flush),
            _ => Err(Complaint::new(
                format!("`{word}` is not a choice here"),
                r#"write "deploy", "flush" or both"#,
            )),
        });
        Self {
            is_hot: is_hot.unwrap_or(has_params && !is_looped),
            hot_max: hot_max.unwrap_or_else(|| HOT.into()),
            coverage: coverage.unwrap_or(100),
            when: when.unwrap_or_else(|| vec![When::Deploy, When::Flush]),
        }
    }
}

/// Reads `codec`.
pub(super) fn codec(section: &mut Section<'_>) -> Codec {
    section.choice("codec", &[("json", Codec::Json), ("zstd", Codec::Zstd)]).unwrap_or_default()
}

impl FillFrom {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let words = [("primary", Self::Primary), ("replica", Self::Replica)];
        section.choice("fill_from", &words).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_value_that_is_loaded_early_is_not_due_as_soon_as_it_is_loaded() {
        for (more, jitter_ms) in
            [("", 1_000), ("refresh_ahead = \"5s\"", 1_000), ("refresh_ahead = \"9500ms\"", 250)]
        {
            let text = format!("[warm.it]\nsql = \"select 1 as value\"\nkey = \"k\"\nttl = \"10s\"\n{more}");
            let config = Config::parse(&text, Path::new("brasa.toml"), &|_| None).unwrap();
            assert_eq!(config.warm["it"].lives.jitter, Duration::from_millis(jitter_ms), "{more}");
        }
    }
}
