//! When schedules fire, and running what is scheduled now.

use brasa_shared::config::{Schedule, When};
use brasa_shared::units::format_duration;
use jiff::Timestamp;
use serde_json::json;

use super::Actor;
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// Enqueues the job of a schedule at once, and gives its id.
pub(crate) async fn run(desk: &Desk, name: &str, actor: &Actor) -> Result<String, Refused> {
    let Some(schedule) = desk.site.config.schedules.get(name) else {
        let names: Vec<&str> = desk.site.config.schedules.keys().map(String::as_str).collect();
        let help = if names.is_empty() { String::new() } else { format!("there are: {}", names.join(", ")) };
        return Err(Refused::absent(format!("there is no schedule `{}`", format::short(name, 80)), help));
    };
    actor.note(desk, "schedule.run", name, json!({ "job": schedule.job })).await?;
    (desk.fire)(name.to_owned()).await.map_err(|why| Refused::away(why, ""))
}

/// When it fires next, so many times.
pub(crate) fn ticks(schedule: &Schedule, now: Timestamp, most: usize) -> Vec<Timestamp> {
    let next = |after: &Timestamp| schedule.when.next_after(&schedule.zone, *after);
    std::iter::successors(next(&now), next).take(most).collect()
}

/// When it fires, in words.
pub(crate) fn spell(when: &When) -> String {
    match when {
        When::Cron(crontab) => crontab.text().to_owned(),
        When::Every(period) => format!("every {}", format_duration(*period)),
    }
}
