//! `brasa cache status`: what is cached, how well it serves, and what to change.

use std::collections::BTreeMap;

use brasa_shared::cache::{Caches, Server};
use brasa_shared::db::changes::{ChangeLog, Waiting};
use brasa_shared::jiff::SignedDuration;
use clap::Args;
use serde_json::{Value, json};

use super::warmer;
use crate::app::App;
use crate::failure::{Failure, chain};
use crate::output::{Output, distance};
use crate::verbs::arguments::ms;

mod advice;
mod facts;
mod sample;
mod show;

/// Say what is cached, how well it serves, and what to change
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Everything about this warmer; else a line for each
    name: Option<String>,
}

/// What concerns the whole cache.
struct Whole {
    server: Server,
    epoch: Option<brasa_shared::cache::Epoch>,
    attendant: Option<String>,
    /// What waits in the change log; or why nobody knows; none where there is no log.
    waiting: Option<Result<Waiting, String>>,
    /// Warmers of other configurations, or of former ones.
    strangers: Vec<String>,
}

impl Status {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let caches = app.caches();
        let chosen: Vec<&String> = match &self.name {
            Some(name) => {
                warmer(app, name)?;
                app.config.warm.keys().filter(|known| *known == name).collect()
            }
            None => app.config.warm.keys().collect(),
        };
        let described = caches.all_described().await?;
        let mut all = BTreeMap::new();
        for name in chosen {
            let mut facts = facts::gather(app, &caches, name, described.get(name)).await?;
            if self.name.is_some() {
                facts.listed = facts::listed(app, &caches, name).await;
            }
            all.insert(name.as_str(), facts);
        }
        let strangers = described.keys().filter(|name| !app.config.warm.contains_key(*name)).cloned();
        let whole = look(app, &caches, strangers.collect()).await?;
        let advice: Vec<(&str, String)> = all
            .iter()
            .flat_map(|(name, facts)| {
                advice::of(&facts.seen(&whole.server)).into_iter().map(|text| (*name, text))
            })
            .collect();
        let now = app.clock.now();
        match (&self.name, all.values().next()) {
            (Some(_), Some(facts)) => show::one(facts, now, out)?,
            _ => show::all(&all, now, out)?,
        }
        whole.tell(out)?;
        if !advice.is_empty() {
            out.line("\nrecommendations")?;
        }
        for (name, text) in &advice {
            out.line(format!("  {name}: {text}"))?;
        }
        let advice: Vec<Value> =
            advice.iter().map(|(name, text)| json!({ "warmer": name, "text": text })).collect();
        let warmers: BTreeMap<_, _> = all.iter().map(|(name, facts)| (*name, facts.to_json(now))).collect();
        out.value(&json!({ "warmers": warmers, "cache": whole.to_json(), "recommendations": advice }))
    }
}

async fn look(app: &App, caches: &Caches, strangers: Vec<String>) -> Result<Whole, Failure> {
    Ok(Whole {
        server: caches.server().await?,
        epoch: caches.epoch().await?,
        attendant: caches.attendant().await?,
        waiting: waiting(app).await,
        strangers,
    })
}

/// What waits in the change log. A Postgres that is away must not keep what Redis says from being told.
async fn waiting(app: &App) -> Option<Result<Waiting, String>> {
    let log = ChangeLog::of(app.pool().ok()??);
    match log.exists().await {
        Ok(true) => Some(log.waiting().await.map_err(|error| chain(&error))),
        Ok(false) => None,
        Err(error) => Some(Err(chain(&error))),
    }
}

impl Whole {
    fn tell(&self, out: &mut Output) -> Result<(), Failure> {
        out.line("")?;
        let run = |id: &str| id.chars().take(8).collect::<String>();
        out.line(match &self.epoch {
            None => "epoch: there is none, so Redis takes no values until a worker begins one".to_owned(),
            Some(epoch) if epoch.run_id == self.server.run_id => {
                format!("epoch: on run {} of Redis, which goes on", run(&epoch.run_id))
            }
            Some(epoch) => format!(
                "epoch: on run {} of Redis, and {} runs now: what is from before stands no more",
                run(&epoch.run_id),
                run(&self.server.run_id)
            ),
        })?;
        out.line(match &self.attendant {
            Some(worker) => format!("attended by {worker}"),
            None => "attended by nobody: no worker carries changes, sweeps, or begins epochs".to_owned(),
        })?;
        match &self.waiting {
            None => {}
            Some(Err(error)) => out.line(format!("changes of tables: could not be counted: {error}"))?,
            Some(Ok(Waiting { rows, oldest })) => {
                let ago = |age| i64::try_from(ms(age)).map(|ms| distance(SignedDuration::from_millis(-ms)));
                let oldest = oldest.and_then(|age| ago(age).ok());
                let oldest = oldest.map_or_else(String::new, |ago| format!(", the oldest from {ago}"));
                out.line(format!("changes of tables: {rows} wait to be told to the cache{oldest}"))?;
            }
        }
        if !self.strangers.is_empty() {
            let names = self.strangers.join(", ");
            out.line(format!("also known in Redis, and not in this configuration: {names}"))?;
        }
        out.line("reads with a plain GET are counted by nobody")?;
        out.line(
            "what loading may take is each worker's own budget: brasa_cache_budget_window at its /metrics",
        )
    }

    fn to_json(&self) -> Value {
        let waiting = self.waiting.as_ref().and_then(|known| known.as_ref().ok());
        json!({
            "epoch": self.epoch,
            "epoch_goes_on": self.epoch.as_ref().map(|epoch| epoch.run_id == self.server.run_id),
            "run_id": self.server.run_id,
            "evicted_keys": self.server.evicted,
            "maxmemory_policy": self.server.policy,
            "attendant": self.attendant,
            "changes_waiting": waiting.map(|waiting| waiting.rows),
            "oldest_change_ms": waiting.and_then(|waiting| waiting.oldest).map(ms),
            "not_configured": self.strangers,
        })
    }
}
