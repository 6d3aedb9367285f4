//! `brasa cache status`: what is cached, how well it serves, and what to change.

use std::collections::BTreeMap;

use brasa_jobs::cache::status::{Whole, gather, listed, whole};
use brasa_shared::db::changes::Waiting;
use brasa_shared::jiff::SignedDuration;
use clap::Args;
use serde_json::{Value, json};

use super::warmer;
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, distance};
use crate::verbs::arguments::ms;

mod show;

/// Say what is cached, how well it serves, and what to change
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Everything about this warmer; else a line for each
    name: Option<String>,
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
        // A Postgres that is away, or none, must not keep what Redis says from being told.
        let pool = app.pool().ok().flatten();
        let mut all = BTreeMap::new();
        for name in chosen {
            let warmer = (name.as_str(), warmer(app, name)?.0);
            let mut facts = gather(app.site(), &caches, warmer, described.get(name)).await?;
            if let (Some(_), Some(pool)) = (&self.name, &pool) {
                facts.listed = listed(pool, &caches, warmer).await;
            }
            all.insert(name.as_str(), facts);
        }
        let strangers = described.keys().filter(|name| !app.config.warm.contains_key(*name));
        let strangers: Vec<&str> = strangers.map(String::as_str).collect();
        let whole = whole(&caches, pool.as_ref()).await?;
        let advice: Vec<(&str, String)> = all
            .iter()
            .flat_map(|(name, facts)| facts.advice(&whole.server).into_iter().map(|text| (*name, text)))
            .collect();
        let now = app.clock.now();
        match (&self.name, all.values().next()) {
            (Some(_), Some(facts)) => show::one(facts, now, out)?,
            _ => show::all(&all, now, out)?,
        }
        tell(&whole, &strangers, out)?;
        if !advice.is_empty() {
            out.line("\nrecommendations")?;
        }
        for (name, text) in &advice {
            out.line(format!("  {name}: {text}"))?;
        }
        let advice: Vec<Value> =
            advice.iter().map(|(name, text)| json!({ "warmer": name, "text": text })).collect();
        let warmers: BTreeMap<_, _> = all.iter().map(|(name, facts)| (*name, facts.to_json(now))).collect();
        out.value(
            &json!({ "warmers": warmers, "cache": value(&whole, &strangers), "recommendations": advice }),
        )
    }
}

fn tell(whole: &Whole, strangers: &[&str], out: &mut Output) -> Result<(), Failure> {
    out.line("")?;
    let run = |id: &str| id.chars().take(8).collect::<String>();
    out.line(match &whole.epoch {
        None => "epoch: there is none, so Redis takes no values until a worker begins one".to_owned(),
        Some(epoch) if epoch.run_id == whole.server.run_id => {
            format!("epoch: on run {} of Redis, which goes on", run(&epoch.run_id))
        }
        Some(epoch) => format!(
            "epoch: on run {} of Redis, and {} runs now: what is from before stands no more",
            run(&epoch.run_id),
            run(&whole.server.run_id)
        ),
    })?;
    out.line(match &whole.attendant {
        Some(worker) => format!("attended by {worker}"),
        None => "attended by nobody: no worker carries changes, sweeps, or begins epochs".to_owned(),
    })?;
    match &whole.waiting {
        None => {}
        Some(Err(error)) => out.line(format!("changes of tables: could not be counted: {error}"))?,
        Some(Ok(Waiting { rows, oldest })) => {
            let ago = |age| i64::try_from(ms(age)).map(|ms| distance(SignedDuration::from_millis(-ms)));
            let oldest = oldest.and_then(|age| ago(age).ok());
            let oldest = oldest.map_or_else(String::new, |ago| format!(", the oldest from {ago}"));
            out.line(format!("changes of tables: {rows} wait to be told to the cache{oldest}"))?;
        }
    }
    if !strangers.is_empty() {
        let names = strangers.join(", ");
        out.line(format!("also known in Redis, and not in this configuration: {names}"))?;
    }
    out.line("reads with a plain GET are counted by nobody")?;
    out.line("what loading may take is each worker's own budget: brasa_cache_budget_window at its /metrics")
}

fn value(whole: &Whole, strangers: &[&str]) -> Value {
    let waiting = whole.waiting.as_ref().and_then(|known| known.as_ref().ok());
    json!({
        "epoch": whole.epoch,
        "epoch_goes_on": whole.goes_on(),
        "run_id": whole.server.run_id,
        "evicted_keys": whole.server.evicted,
        "maxmemory_policy": whole.server.policy,
        "attendant": whole.attendant,
        "changes_waiting": waiting.map(|waiting| waiting.rows),
        "oldest_change_ms": waiting.and_then(|waiting| waiting.oldest).map(ms),
        "not_configured": strangers,
    })
}
