//! What is known about a warmer.

use std::time::Duration;

use brasa_shared::cache::{Caches, Codec, Description, Extent, Server, Stats, params_of};
use brasa_shared::config::{Config, FillFrom, Warmer};
use brasa_shared::jiff::Timestamp;
use brasa_shared::store::StoreError;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::advice::{self, Seen};
use super::sample::Sample;
use crate::cache::{Plan, Shape};
use crate::site::Site;

/// How long `for_each` may take to say which keys there are.
const LIST_WITHIN: Duration = Duration::from_secs(1);

/// What is known about a warmer.
#[derive(Debug)]
pub struct Facts {
    /// As it is configured.
    pub warmer: Warmer,
    /// What it makes of parameters.
    pub shape: Shape,
    /// What workers told of it last.
    pub description: Option<Description>,
    /// How many values there are.
    pub extent: Extent,
    /// What was counted.
    pub stats: Stats,
    /// What some of its values are like.
    pub sample: Sample,
    /// The dictionary that values are packed with.
    pub dictionary: Option<u32>,
    /// What of it is kept: all, what is hot, or what was asked for until it ends.
    pub kept: &'static str,
    /// How many keys `for_each` gives, and how many of them are there.
    pub listed: Option<(usize, usize)>,
}

/// Asks Redis about a warmer of the configuration.
///
/// # Errors
/// Redis is out of reach.
pub async fn gather(
    site: &Site,
    caches: &Caches,
    (name, warmer): (&str, &Warmer),
    description: Option<&Description>,
) -> Result<Facts, StoreError> {
    let shape = Shape::of(name, warmer);
    let namespace = caches.namespace(name);
    let extent = namespace.extent().await?;
    let dictionary = if warmer.codec == Codec::Zstd { caches.packed_with(name).await? } else { None };
    Ok(Facts {
        stats: namespace.stats().await?,
        sample: Sample::take(&namespace, &shape, &extent, warmer.codec).await?,
        description: description.cloned(),
        kept: kept(&site.config, name, warmer),
        warmer: warmer.clone(),
        shape,
        extent,
        dictionary,
        listed: None,
    })
}

fn kept(config: &Config, name: &str, warmer: &Warmer) -> &'static str {
    let warms = |args: &serde_json::Map<String, Value>| {
        ["name", "warmer"].iter().any(|key| args.get(*key).and_then(Value::as_str) == Some(name))
    };
    let mut schedules = config.schedules.values();
    let is_scheduled = schedules.any(|schedule| schedule.job == "cache.warm" && warms(&schedule.args));
    match warmer.keeping.is_hot {
        false => "all",
        true if is_scheduled || warmer.lives.refresh_ahead.is_some() => "hot",
        true => "asked for",
    }
}

/// How many keys `for_each` gives, and how many of them are there; nothing where that cannot be had within a second.
pub async fn listed(
    pool: &PgPool,
    caches: &Caches,
    (name, warmer): (&str, &Warmer),
) -> Option<(usize, usize)> {
    if warmer.for_each.is_none() || !warmer.is_askable() {
        return None;
    }
    let shape = Shape::of(name, warmer);
    let quick = Warmer { timeout: Some(LIST_WITHIN), ..warmer.clone() };
    let ask = async {
        let mut connection = pool.acquire().await.ok()?;
        let plan = Plan::prepare(&mut connection, &quick).await.ok()?;
        plan.keys(&mut connection).await.ok()?
    };
    let rows = tokio::time::timeout(LIST_WITHIN * 2, ask).await.ok()??;
    let texts = rows.into_iter().filter_map(|row| row.into_iter().collect::<Option<Vec<String>>>());
    let keys: Vec<String> = texts.filter_map(|texts| Some(shape.entry_of(&params_of(&texts))?.key)).collect();
    let notes = caches.namespace(name).notes(&keys).await.ok()?;
    Some((keys.len(), notes.iter().flatten().filter(|note| !note.is_none).count()))
}

impl Facts {
    /// How many values there are, whether or not they are kept warm.
    pub fn values(&self) -> u64 {
        self.extent.warm + self.extent.once
    }

    /// How many bytes all values have, as far as the sample says.
    pub fn bytes(&self) -> Option<u64> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        self.sample.mean_bytes().map(|mean| (mean * self.values() as f64) as u64)
    }

    /// Which share of one connection is at work all the time, to keep these values fresh.
    pub fn load(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let values = self.values() as f64;
        let ttl_us = self.warmer.lives.ttl.as_secs_f64() * 1e6;
        self.sample.mean_cost_us().map(|cost| cost * values / ttl_us)
    }

    /// Fills that Redis did not take, by why.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        let all = [("behind", "fill_behind"), ("epoch", "fill_epoch"), ("lease", "fill_lease")];
        all.into_iter().map(|(why, name)| (why, self.stats.get(name))).collect()
    }

    /// When values came last, ms since 1970.
    pub fn filled_ms(&self) -> Option<i64> {
        i64::try_from(self.stats.get("filled_at")).ok().filter(|at| *at > 0)
    }

    /// Whether workers know this definition of it.
    pub fn is_described(&self) -> bool {
        self.description.as_ref().is_some_and(|known| known.version == self.shape.version())
    }

    /// What to change about it, each a sentence with the figure that it comes from.
    pub fn advice(&self, server: &Server) -> Vec<String> {
        advice::of(&self.seen(server))
    }

    /// What recommendations are made from.
    fn seen(&self, server: &Server) -> Seen {
        let misses = self.stats.misses();
        Seen {
            hits: self.stats.hits(),
            misses: misses.into_iter().collect(),
            fills: self.stats.get("fill_filled"),
            behind: self.stats.get("fill_behind"),
            ttl: self.warmer.lives.ttl,
            has_refresh_ahead: self.warmer.lives.refresh_ahead.is_some(),
            is_looped: self.warmer.for_each.is_some(),
            is_hot: self.warmer.keeping.is_hot,
            is_askable: self.warmer.is_askable(),
            coarse: self.warmer.depends_on.iter().find(|one| one.columns.is_empty()).map(ToString::to_string),
            from_replica: self.warmer.fill_from == FillFrom::Replica,
            policy: server.policy.clone(),
            evicted: server.evicted,
        }
    }

    /// The same for programs.
    pub fn to_json(&self, now: Timestamp) -> Value {
        let ages = self.sample.ages_ms(now.as_millisecond());
        let refused: std::collections::BTreeMap<_, _> = self.refused().into_iter().collect();
        json!({
            "keeps": self.kept,
            "warm": self.extent.warm,
            "once": self.extent.once,
            "none": self.extent.negatives,
            "listed": self.listed.map(|(keys, there)| json!({ "keys": keys, "there": there })),
            "asked": self.extent.asked,
            "bytes_estimated": self.bytes(),
            "sampled": self.sample.notes.len(),
            "hits": self.stats.hits(),
            "misses": self.stats.misses(),
            "hit_rate": self.stats.hit_rate(),
            "age_median_ms": ages.map(|(median, _)| median),
            "age_oldest_ms": ages.map(|(_, oldest)| oldest),
            "filled_ms": self.filled_ms(),
            "next_ms": self.extent.next_ms,
            "cost_median_us": self.sample.median_cost_us(),
            "cost_sum_us": self.sample.sum_cost_us(),
            "load": self.load(),
            "fills": self.stats.get("fill_filled"),
            "refused": refused,
            "version": self.shape.version(),
            "described": self.description.as_ref().map(|known| &known.version),
            "dictionary": self.dictionary,
            "packed_ratio": self.sample.ratio,
            "counters": self.stats,
        })
    }
}
