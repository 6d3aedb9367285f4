//! `brasa schedules`: list, show, preview; run; pause and resume.

use std::path::Path;

use brasa_jobs::Catalog;
use brasa_scheduler::{Plan, fire_now, plans};
use brasa_shared::config::{Config, Schedule, When};
use brasa_shared::crontab::Crontab;
use brasa_shared::jiff::Timestamp;
use brasa_shared::jiff::tz::TimeZone;
use brasa_shared::units::format_duration;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::{App, read_config, unknown};
use crate::failure::Failure;
use crate::output::Output;

mod look;
mod pause;

/// The most instants that a preview shows.
const COUNT_MAX: u32 = 10_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Schedules {
    /// List schedules, their last verdicts and next ticks
    List,
    /// Show one: whether it is paused, its next ticks, and what became of the last ones
    Show(Named),
    /// Show when schedules will fire, in UTC and in local time
    Preview(Preview),
    /// Enqueue the job of a schedule now, beside its ticks
    Run(Named),
    /// Keep a schedule from firing, without touching the configuration; jobs that are enqueued already still run
    Pause(pause::Pause),
    /// Let a schedule fire again; ticks that it left out are not made up for
    Resume(Named),
}

#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// Only this schedule of the configuration
    #[arg(conflicts_with = "cron")]
    name: Option<String>,
    /// A crontab expression instead of the configuration
    #[arg(long)]
    cron: Option<String>,
    /// The time zone of --cron
    #[arg(long, default_value = "UTC", requires = "cron")]
    zone: String,
    /// Look from this instant on; else from now
    #[arg(long, value_name = "INSTANT")]
    from: Option<Timestamp>,
    /// How many instants to show
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    count: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The schedule
    name: String,
}

impl Schedules {
    pub(crate) async fn obey(
        self,
        config: Option<&Path>,
        catalog: Catalog,
        out: &mut Output,
    ) -> Result<(), Failure> {
        match self {
            Self::List => look::list(&App::open(config, catalog)?, out).await,
            Self::Show(Named { name }) => look::show(&App::open(config, catalog)?, &name, out).await,
            Self::Preview(preview) => preview.obey(config, out),
            Self::Run(Named { name }) => run(&App::open(config, catalog)?, &name, out).await,
            Self::Pause(pause) => pause.obey(&App::open(config, catalog)?, out).await,
            Self::Resume(Named { name }) => pause::resume(&App::open(config, catalog)?, &name, out).await,
        }
    }
}

impl Preview {
    fn obey(&self, config: Option<&Path>, out: &mut Output) -> Result<(), Failure> {
        let from = self.from.unwrap_or_else(|| brasa_shared::clock::Clock::System.now());
        if let Some(text) = &self.cron {
            let crontab = Crontab::parse(text).map_err(|error| Failure::usage(format!("--cron: {error}")))?;
            let zone = TimeZone::get(&self.zone).map_err(|_| {
                Failure::usage(format!(
                    "--zone: there is no time zone `{}`\n  help: use an IANA name such as America/New_York",
                    self.zone
                ))
            })?;
            let ticks = ticks(|after| crontab.next_after(after, &zone), &zone, from, self.count);
            show(&ticks, "", out)?;
            return out.value(&ticks);
        }
        let config = read_config(config)?;
        if let Some(name) = self.name.as_ref().filter(|name| !config.schedules.contains_key(*name)) {
            return Err(unknown("schedule", name, config.schedules.keys()));
        }
        let mut all = Vec::new();
        for (name, schedule) in
            config.schedules.iter().filter(|(name, _)| self.name.as_ref().is_none_or(|only| only == *name))
        {
            let next = |after| schedule.when.next_after(&schedule.zone, after);
            let ticks = ticks(next, &schedule.zone, from, self.count);
            show(&ticks, name, out)?;
            all.extend(ticks.into_iter().map(|mut tick| {
                tick["schedule"] = json!(name);
                tick
            }));
        }
        if all.is_empty() {
            out.line("no schedules")?;
        }
        out.value(&all)
    }
}

fn ticks(
    next: impl Fn(Timestamp) -> Option<Timestamp>,
    zone: &TimeZone,
    from: Timestamp,
    count: u32,
) -> Vec<Value> {
    let mut ticks = Vec::new();
    let mut after = from;
    while let Some(instant) = next(after).filter(|_| ticks.len() < count as usize) {
        after = instant;
        let local = instant.to_zoned(zone.clone());
        let local = local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        ticks.push(json!({ "utc": instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "local": local }));
    }
    ticks
}

fn show(ticks: &[Value], name: &str, out: &mut Output) -> Result<(), Failure> {
    if !name.is_empty() {
        out.line(name)?;
    }
    if ticks.is_empty() {
        out.line("  never")?;
    }
    for tick in ticks {
        let text = |key: &str| tick[key].as_str().unwrap_or_default().to_owned();
        out.line(format!("  {}   local {}", text("utc"), text("local")))?;
    }
    Ok(())
}

fn spell(when: &When) -> String {
    match when {
        When::Cron(crontab) => crontab.text().to_owned(),
        When::Every(period) => format!("every {}", format_duration(*period)),
    }
}

fn zone_of(schedule: &Schedule) -> &str {
    schedule.zone.iana_name().unwrap_or("UTC")
}

async fn run(app: &App, name: &str, out: &mut Output) -> Result<(), Failure> {
    if !app.config.schedules.contains_key(name) {
        return Err(unknown("schedule", name, app.config.schedules.keys()));
    }
    app.greet_redis().await?;
    let config: &Config = &app.config;
    let plans =
        plans(config, &app.catalog, &app.queues()).map_err(|error| Failure::usage(error.to_string()))?;
    let plan: Option<Plan> = plans.into_iter().find(|plan| plan.name == name);
    let Some(plan) = plan else { return Err(unknown("schedule", name, config.schedules.keys())) };
    app.name_queue(plan.queue.name()).await?;
    let id = fire_now(&plan, &app.clock).await?;
    out.line(format!("enqueued {id} ({}) into {}", plan.schedule.job, plan.queue.name()))?;
    pause::remark(app, name, out).await?;
    out.value(&json!({ "id": id, "kind": plan.schedule.job, "queue": plan.queue.name() }))
}
