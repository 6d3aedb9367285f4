//! `brasa schedules pause` and `resume`: a schedule does not fire for a while, whatever the configuration says.

use std::time::Duration;

use brasa_shared::jiff::Timestamp;
use brasa_shared::queue::SchedulePause;
use clap::Args;
use serde_json::json;

use super::look::tell;
use crate::app::{App, unknown};
use crate::failure::Failure;
use crate::output::{Output, plain};
use crate::verbs::arguments::duration;
use crate::verbs::queues::actor;

#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// The schedule
    name: String,
    /// Why, for those who wonder
    #[arg(long, default_value = "")]
    reason: String,
    /// Let it fire again by itself after this long
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "until", value_parser = duration)]
    lasting: Option<Duration>,
    /// Let it fire again by itself from this instant on
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
}

impl Pause {
    pub(super) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let Self { name, reason, lasting, until } = self;
        if !app.config.schedules.contains_key(&name) {
            return Err(unknown("schedule", &name, app.config.schedules.keys()));
        }
        let now = app.clock.now();
        if lasting.is_some_and(|lasting| lasting.is_zero()) {
            return Err(Failure::usage("a pause of no time is none\n  help: write it as in --for 2h"));
        }
        let until = until.or_else(|| lasting.map(|lasting| SchedulePause::end_after(now, lasting)));
        if let Some(until) = until.filter(|until| *until <= now) {
            let help = "give an instant that is to come, or --for 2h";
            return Err(Failure::usage(format!("a pause until {until} is over already\n  help: {help}")));
        }
        app.greet_redis().await?;
        let pause = app.fleet().pause_schedule(&name, &actor(), &reason, until).await?;
        let ends = until.map(|until| format!(" until {until}")).unwrap_or_default();
        out.line(format!("schedule {name} is paused{ends}; `brasa schedules resume {name}` ends it"))?;
        out.value(&json!({ "schedule": name, "pause": pause }))
    }
}

/// Lets it fire again. One that no configuration has any more can be named, too, and is forgotten.
pub(super) async fn resume(app: &App, name: &str, out: &mut Output) -> Result<(), Failure> {
    app.greet_redis().await?;
    let (fleet, is_known) = (app.fleet(), app.config.schedules.contains_key(name));
    let was = fleet.resume_schedule(name, is_known).await?;
    if was.is_none() && !is_known {
        let paused = fleet.paused_schedules().await?;
        return Err(unknown("schedule", name, app.config.schedules.keys().chain(paused.keys())));
    }
    let said = match (&was, is_known) {
        (Some(_), true) => "fires again; what it left out is not made up for",
        (Some(_), false) => "is forgotten: no configuration that this process has knows it",
        (None, _) => "was not paused",
    };
    out.line(plain(&format!("schedule {name} {said}")))?;
    if app.config.schedules.get(name).is_some_and(|schedule| schedule.paused) {
        out.line("it is still paused in the configuration")?;
    }
    out.value(&json!({ "schedule": name, "was_paused": was.is_some() }))
}

/// Says of a job that was enqueued beside its ticks that those stay out.
pub(super) async fn remark(app: &App, name: &str, out: &mut Output) -> Result<(), Failure> {
    let Some(pause) = app.fleet().paused_schedules().await?.remove(name) else { return Ok(()) };
    let told = tell(&pause, app.clock.now());
    out.line(plain(&format!("the schedule is {told}; it runs this once, and its ticks stay out")))
}
