//! When schedules fire, running what is scheduled now, pausing schedules and letting them go on.

use std::time::Duration;

use brasa_shared::config::{Schedule, When};
use brasa_shared::queue::SchedulePause;
use brasa_shared::units::format_duration;
use jiff::Timestamp;
use serde_json::json;

use super::Actor;
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// How a schedule is to be paused.
#[derive(Debug)]
pub(crate) struct Pausing {
    /// Why; may be empty.
    pub(crate) reason: String,
    /// For how long, if not until somebody resumes it.
    pub(crate) lasting: Option<Duration>,
    /// Until when, likewise.
    pub(crate) until: Option<Timestamp>,
}

/// Enqueues the job of a schedule at once, and gives its id. One that is paused runs, too.
pub(crate) async fn run(desk: &Desk, name: &str, actor: &Actor) -> Result<String, Refused> {
    let schedule = known(desk, name)?;
    actor.note(desk, "schedule.run", name, json!({ "job": schedule.job })).await?;
    (desk.fire)(name.to_owned()).await.map_err(|why| Refused::away(why, ""))
}

/// It does not fire for a while, whatever the configuration says.
pub(crate) async fn pause(
    desk: &Desk,
    name: &str,
    pausing: Pausing,
    actor: &Actor,
) -> Result<SchedulePause, Refused> {
    let _known = known(desk, name)?;
    let Pausing { reason, lasting, until } = pausing;
    let now = desk.site.clock.now();
    let until = match (lasting, until) {
        (Some(_), Some(_)) => {
            return Err(Refused::bad("`for` and `until` cannot both be", "give one of them"));
        }
        (Some(lasting), None) => Some(SchedulePause::end_after(now, lasting)),
        (None, until) => until,
    };
    if until.is_some_and(|until| until <= now) || lasting.is_some_and(|lasting| lasting.is_zero()) {
        return Err(Refused::bad(
            "that pause is over already",
            "give an instant that is to come, or a time span",
        ));
    }
    let fleet = desk.site.fleet();
    let before = fleet.paused_schedules().await?.remove(name);
    let detail = json!({ "reason": reason, "until": until, "was_paused": before });
    actor.note(desk, "schedule.pause", name, detail).await?;
    Ok(fleet.pause_schedule(name, &actor.who.name, &reason, until).await?)
}

/// It fires again; true if it did not. One that no configuration has any more can be named, too, and is forgotten.
pub(crate) async fn resume(desk: &Desk, name: &str, actor: &Actor) -> Result<bool, Refused> {
    let fleet = desk.site.fleet();
    let before = fleet.paused_schedules().await?.remove(name);
    let is_known = known(desk, name);
    let is_known = if before.is_none() { is_known.map(|_| true)? } else { is_known.is_ok() };
    actor.note(desk, "schedule.resume", name, json!({ "paused": before })).await?;
    Ok(fleet.resume_schedule(name, is_known).await?.is_some())
}

/// When it fires next, so many times; never where it is paused until somebody resumes it.
pub(crate) fn ticks(
    schedule: &Schedule,
    pause: Option<&SchedulePause>,
    now: Timestamp,
    most: usize,
) -> Vec<Timestamp> {
    let from = match pause.map(|pause| pause.until) {
        None => Some(now),
        // Its end is no part of a pause.
        Some(until) => until.and_then(|ms| Timestamp::from_millisecond(ms - 1).ok()),
    };
    let next = |after: &Timestamp| schedule.when.next_after(&schedule.zone, *after);
    std::iter::successors(from.and_then(|from| next(&from)), next).take(most).collect()
}

/// When it fires, in words.
pub(crate) fn spell(when: &When) -> String {
    match when {
        When::Cron(crontab) => crontab.text().to_owned(),
        When::Every(period) => format!("every {}", format_duration(*period)),
    }
}

/// A schedule of the configuration.
fn known<'d>(desk: &'d Desk, name: &str) -> Result<&'d Schedule, Refused> {
    desk.site.config.schedules.get(name).ok_or_else(|| {
        let names: Vec<&str> = desk.site.config.schedules.keys().map(String::as_str).collect();
        let help = if names.is_empty() { String::new() } else { format!("there are: {}", names.join(", ")) };
        Refused::absent(format!("there is no schedule `{}`", format::short(name, 80)), help)
    })
}
