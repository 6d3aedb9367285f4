//! `brasa schedules list` and `show`: when each fires, what became of its last ticks, and who has paused it.

use std::collections::BTreeMap;

use brasa_shared::config::Schedule;
use brasa_shared::jiff::{SignedDuration, Timestamp};
use brasa_shared::queue::{SchedulePause, TickVerdict};
use serde_json::{Value, json};

use super::{spell, zone_of};
use crate::app::{App, unknown};
use crate::failure::Failure;
use crate::output::{Output, distance, when};

/// How many verdicts of a queue are looked through. The log is shared by all schedules of a queue, so a rare tick may
/// have left it; its instant is kept.
const LOG_MAX: usize = 1_000;
/// How many ticks are shown of one schedule: of the past, and ahead.
const SHOWN: (usize, usize) = (10, 3);

/// What Redis knows of schedules.
struct Known {
    log: Vec<TickVerdict>,
    judged: BTreeMap<String, Timestamp>,
    pauses: BTreeMap<String, SchedulePause>,
    now: Timestamp,
}

impl Known {
    async fn ask(app: &App) -> Result<Self, Failure> {
        app.greet_redis().await?;
        let (mut log, mut judged) = (Vec::new(), BTreeMap::new());
        for queue in app.queues().into_values() {
            log.extend(queue.tick_log(LOG_MAX).await?);
            judged.extend(queue.ticks().await?);
        }
        log.sort_by_key(|verdict| std::cmp::Reverse(verdict.instant));
        Ok(Self { log, judged, pauses: app.fleet().paused_schedules().await?, now: app.clock.now() })
    }

    /// The verdicts on a schedule, the latest first.
    fn verdicts(&self, name: &str) -> impl Iterator<Item = &TickVerdict> {
        self.log.iter().filter(move |verdict| verdict.schedule == name)
    }

    fn value(&self, name: &str, schedule: &Schedule) -> Value {
        let pause = self.pauses.get(name);
        let next = ahead(schedule, pause, self.now).next();
        json!({ "schedule": name, "configured": true, "job": schedule.job, "args": schedule.args,
            "when": spell(&schedule.when), "zone": zone_of(schedule), "paused": schedule.paused, "pause": pause,
            "next": next, "last": self.verdicts(name).next() })
    }
}

pub(super) async fn list(app: &App, out: &mut Output) -> Result<(), Failure> {
    let known = Known::ask(app).await?;
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for (name, schedule) in &app.config.schedules {
        let told = match (known.verdicts(name).next(), known.judged.get(name)) {
            (Some(last), _) => {
                format!("{} {}", last.verdict, distance(last.instant.duration_since(known.now)))
            }
            (None, Some(at)) if is_tick(schedule, *at) => distance(at.duration_since(known.now)),
            _ => "-".to_owned(),
        };
        let pause = known.pauses.get(name);
        let next = match ahead(schedule, pause, known.now).next() {
            _ if schedule.paused => "paused".to_owned(),
            Some(next) => distance(next.duration_since(known.now)),
            None if pause.is_some() => "paused".to_owned(),
            None => "never".to_owned(),
        };
        let (zone, state) = (zone_of(schedule).to_owned(), state(Some(schedule), pause, known.now));
        rows.push([name.clone(), schedule.job.clone(), spell(&schedule.when), zone, next, told, state]);
        all.push(known.value(name, schedule));
    }
    for (name, pause) in &known.pauses {
        if !app.config.schedules.contains_key(name) {
            let [job, when, zone, next, last] = ["-"; 5].map(ToOwned::to_owned);
            rows.push([name.clone(), job, when, zone, next, last, state(None, Some(pause), known.now)]);
            all.push(json!({ "schedule": name, "configured": false, "pause": pause }));
        }
    }
    out.table(["SCHEDULE", "JOB", "WHEN", "ZONE", "NEXT", "LAST", "STATE"], rows, "no schedules")?;
    out.value(&all)
}

pub(super) async fn show(app: &App, name: &str, out: &mut Output) -> Result<(), Failure> {
    let Some(schedule) = app.config.schedules.get(name) else {
        return Err(unknown("schedule", name, app.config.schedules.keys()));
    };
    let known = Known::ask(app).await?;
    let pause = known.pauses.get(name);
    let next: Vec<Timestamp> = ahead(schedule, pause, known.now).take(SHOWN.1).collect();
    let last: Vec<&TickVerdict> = known.verdicts(name).take(SHOWN.0).collect();
    out.line(format!("{name}: {} {} ({})", schedule.job, spell(&schedule.when), zone_of(schedule)))?;
    out.line(format!("  state  {}", state(Some(schedule), pause, known.now)))?;
    for at in &next {
        out.line(format!("  next   {at}   {}", distance(at.duration_since(known.now))))?;
    }
    for tick in &last {
        let more = if tick.why.is_empty() { &tick.job } else { &tick.why };
        let ago = distance(tick.instant.duration_since(known.now));
        out.line(crate::output::plain(&format!(
            "  tick   {}   {ago}   {} {more}",
            tick.instant, tick.verdict
        )))?;
    }
    let mut value = known.value(name, schedule);
    value["next"] = json!(next);
    value["ticks"] = json!(last);
    out.value(&value)
}

/// When a schedule fires next, and so on; never where it is paused until somebody resumes it.
fn ahead<'s>(
    schedule: &'s Schedule,
    pause: Option<&SchedulePause>,
    now: Timestamp,
) -> impl Iterator<Item = Timestamp> + use<'s> {
    let from = match pause.map(|pause| pause.until) {
        None => Some(now),
        // Its end is no part of a pause.
        Some(until) => until.and_then(|ms| Timestamp::from_millisecond(ms - 1).ok()),
    };
    let next = |after: &Timestamp| schedule.when.next_after(&schedule.zone, *after);
    std::iter::successors(from.and_then(|from| next(&from)), next)
}

/// Whether it fires, or who says that it does not, for how long and why.
fn state(schedule: Option<&Schedule>, pause: Option<&SchedulePause>, now: Timestamp) -> String {
    let written =
        schedule.is_some_and(|schedule| schedule.paused).then(|| "paused in the configuration".to_owned());
    let said = pause.map(|pause| tell(pause, now));
    let gone = schedule.is_none().then(|| "in no configuration that this process has".to_owned());
    let parts: Vec<String> = [written, said, gone].into_iter().flatten().collect();
    if parts.is_empty() { "runs".to_owned() } else { parts.join("; ") }
}

/// Who paused it, since when, until when, and why.
pub(super) fn tell(pause: &SchedulePause, now: Timestamp) -> String {
    let until =
        pause.until.map_or_else(|| "until it is resumed".to_owned(), |ms| format!("ends {}", when(ms, now)));
    let why = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
    format!("paused by {} {}, {until}{why}", pause.by, when(pause.at, now))
}

/// Whether an instant is one at which the schedule fires; when it was first seen is remembered too, and is none.
fn is_tick(schedule: &Schedule, at: Timestamp) -> bool {
    let before = at.checked_sub(SignedDuration::from_millis(1));
    before.is_ok_and(|before| schedule.when.next_after(&schedule.zone, before) == Some(at))
}
