//! Looking for what is wrong, at everything that is watched.

use std::collections::BTreeSet;

use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::vitals::Info;
use sqlx::PgPool;

use super::rates::Rates;
use super::{cache, database, queues};
use crate::site::{Site, SiteError};

/// How many connections looking uses at most.
const CONNECTIONS: u32 = 2;
/// What its pool is called.
pub(super) const POOL: &str = "alerts";

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is watched: the name of the threshold in `[alerts]`.
    pub name: &'static str,
    /// Of what, where there is more than one: a queue, a warmer.
    pub subject: Option<String>,
    /// What is wrong, in words.
    pub text: String,
}

impl Trouble {
    /// What tells it from others.
    pub fn id(&self) -> String {
        match &self.subject {
            None => self.name.to_owned(),
            Some(subject) => format!("{}/{subject}", self.name),
        }
    }
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Look {
    /// What is wrong.
    pub troubles: Vec<Trouble>,
    /// What is watched and could not be looked at, or not yet judged, with why.
    pub unknown: Vec<(&'static str, String)>,
}

impl Look {
    /// Whether it is known how this is; by the id of a trouble, or its name.
    pub fn knows(&self, id: &str) -> bool {
        let name = id.split_once('/').map_or(id, |(name, _)| name);
        !self.unknown.iter().any(|(unknown, _)| *unknown == name)
    }

    /// Takes what was found of something.
    pub(super) fn take(&mut self, name: &'static str, found: Result<Vec<Trouble>, String>) {
        match found {
            Ok(troubles) => self.troubles.extend(troubles),
            Err(why) => self.unknown.push((name, why)),
        }
    }
}

/// Looks at an installation again and again.
pub struct Watcher {
    pub(super) site: Site,
    pub(super) pool: Option<PgPool>,
    pub(super) ended: Rates,
    pub(super) reads: Rates,
}

impl Watcher {
    /// Looks at this installation; connects to nothing yet.
    ///
    /// # Errors
    /// The address of Postgres cannot be understood.
    pub fn new(site: Site) -> Result<Self, SiteError> {
        let pool = site.pool_for(POOL, CONNECTIONS)?;
        Ok(Self { site, pool, ended: Rates::default(), reads: Rates::default() })
    }

    /// Looks. What goes by how much happened lately is unknown at the first look.
    pub async fn look(&mut self) -> Look {
        let mut look = Look::default();
        queues::look(self, &mut look).await;
        if let Some(limit) = self.site.config.alerts.limits.hit_rate {
            look.take("hit_rate", cache::hit_rate(self, limit).await);
        }
        if let Some(limit) = self.site.config.alerts.limits.redis_memory {
            look.take("redis_memory", memory(&self.site, limit).await);
        }
        database::look(self, &mut look).await;
        look
    }

    /// Forgets what was counted: somebody else has looked meanwhile.
    pub(super) fn begin_anew(&mut self) {
        (self.ended, self.reads) = (Rates::default(), Rates::default());
    }

    /// The names of what is watched.
    pub fn watched(&self) -> BTreeSet<&'static str> {
        let written = self.site.config.alerts.limits.written();
        written.into_iter().filter(|(_, limit)| limit.is_some()).map(|(name, _)| name).collect()
    }
}

async fn memory(site: &Site, limit: f64) -> Result<Vec<Trouble>, String> {
    let info = Info::ask(&site.store).await.map_err(|error| chain(&error))?;
    let share = info.memory_share().filter(|share| *share > limit);
    let text = |share| {
        let (share, limit) = (percent(share), percent(limit));
        format!("Redis uses {share} of the memory that it may (limit {limit}); look: `brasa doctor`")
    };
    Ok(share
        .map(|share| Trouble { name: "redis_memory", subject: None, text: text(share) })
        .into_iter()
        .collect())
}

/// A share for people.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}
