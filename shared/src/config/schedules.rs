//! `[schedules.NAME]`: which job is enqueued when.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Map, Value};

use super::complaint::{Complaint, clip};
use super::problem::Origin;
use super::queues::{Queue, known_queue};
use super::section::Section;
use super::suggest::nearest;
use crate::crontab::Crontab;
use crate::name::check_name;

/// Schedules are looked at once a second.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// A job that is given less time than this is a slip.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

const ATTEMPTS_MAX: u32 = 100;

/// How many missed firings `run-all` makes up for, unless `max` says otherwise, and at most.
const RUN_ALL: u32 = 100;
const RUN_ALL_MAX: u32 = 10_000;

/// A change of leader takes a few seconds, and firings that fall into it are not missed.
const LATE_AFTER_MIN: Duration = Duration::from_secs(10);

/// How late a firing is before `late` decides about it.
const LATE_AFTER: Duration = Duration::from_secs(30);

const HELP_CRON: &str = r#"write five fields, as in cron = "30 3 * * 0", or a period, as in every = "10s""#;

const HELP_LATE: &str = r#"write it as in late = "run-once", or late = { policy = "run-all", max = 100 }"#;

/// One of `[schedules.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Where the schedule was written.
    pub origin: Origin,
    /// The kind of the job.
    pub job: String,
    /// The arguments of the job, from `args` or `with`; none by default.
    pub args: Map<String, Value>,
    /// The queue; by default the one of the kind's policy.
    pub queue: Option<String>,
    /// When it fires, from `cron` or `every`.
    pub when: When,
    /// The zone in which `cron` is meant; UTC by default.
    pub zone: TimeZone,
    /// By how much firings are spread at random; not at all by default.
    pub jitter: Duration,
    /// What becomes of firings that were missed; `run-once` by default.
    pub late: Late,
    /// How late a firing is missed; after 30 s by default, and 10 s at least.
    pub late_after: Duration,
    /// What becomes of a firing while the job of the last one is unfinished; `queue` by default.
    pub overlap: Overlap,
    /// Whether it fires at all; it does by default.
    pub paused: bool,
    /// How long the job may run; by default as in the kind's policy.
    pub timeout: Option<Duration>,
    /// How often the job is tried; by default as in the kind's policy.
    pub attempts: Option<u32>,
}

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// `cron`: at the times of a crontab, in the schedule's zone.
    Cron(Crontab),
    /// `every`: at the multiples of a period, in whole milliseconds and at least a second.
    Every(Duration),
}

impl When {
    /// The first instant after `after`. Periods count from 1970, so that every scheduler sees the same ones.
    pub fn next_after(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(crontab) => crontab.next_after(after, zone),
            Self::Every(period) => {
                let period_ms = i64::try_from(period.as_millis()).ok().filter(|period| *period > 0)?;
                let next = (after.as_millisecond().div_euclid(period_ms) + 1).checked_mul(period_ms)?;
                Timestamp::from_millisecond(next).ok()
            }
        }
    }
}

/// What becomes of firings that were missed, because no scheduler ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// `skip`: they are left out.
    Skip,
    /// `run-once`: the last one is made up for.
    RunOnce,
    /// `run-all`: all are made up for, the latest `max` of them at most.
    RunAll {
        /// How many; 100 by default.
        max: u32,
    },
}

/// What becomes of a firing while the job of the last one is unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// `queue`: its job is enqueued as well.
    Queue,
    /// `skip`: it is left out.
    Skip,
    /// `replace`: the unfinished job is cancelled.
    Replace,
}

const LATE: &[(&str, Late)] =
    &[("run-once", Late::RunOnce), ("run-all", Late::RunAll { max: RUN_ALL }), ("skip", Late::Skip)];

const OVERLAP: &[(&str, Overlap)] =
    &[("queue", Overlap::Queue), ("skip", Overlap::Skip), ("replace", Overlap::Replace)];

impl Schedule {
    pub(super) fn read(section: &mut Section<'_>, queues: &BTreeMap<String, Queue>) -> Option<Self> {
        let is_whole = section.reader().is_whole();
        let job = job(section);
        let when = When::read(section);
        // Every key is taken before the first `?`: what is not taken is unknown.
        let jitter = jitter(section, when.as_ref());
        let args = args(section);
        let queue = section.parsed("queue", |name| known_queue(name, queues, is_whole));
        let zone = section.parsed("zone", zone).unwrap_or(TimeZone::UTC);
        let late = Late::read(section);
        let late_after = section.duration("late_after", LATE_AFTER_MIN).unwrap_or(LATE_AFTER);
        let overlap = section.choice("overlap", OVERLAP).unwrap_or(Overlap::Queue);
        let paused = section.flag("paused").unwrap_or(false);
        let timeout = section.duration("timeout", TIMEOUT_MIN);
        let attempts = section.whole("attempts", 1..=ATTEMPTS_MAX);
        Some(Self {
            origin: section.origin(),
            job: job?,
            args,
            queue,
            when: when?,
            zone,
            jitter,
            late,
            late_after,
            overlap,
            paused,
            timeout,
            attempts,
        })
    }
}

impl When {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let cron = section.parsed("cron", |text| {
            Crontab::parse(text).map_err(|error| {
                Complaint::new(format!("`{}` is not a crontab: {error}", clip(text)), HELP_CRON)
            })
        });
        let every = section.duration("every", PERIOD_MIN);
        if !section.exactly_one("every", "cron") {
            return None;
        }
        cron.map(Self::Cron).or(every.map(Self::Every))
    }
}

impl Late {
    fn read(section: &mut Section<'_>) -> Self {
        if !section.has_table("late") {
            return section.choice("late", LATE).unwrap_or(Self::RunOnce);
        }
        let late = section.optional_table("late", r#"policy = "run-all", max = 100"#, |section| {
            let policy = section.choice("policy", LATE);
            let max = section.whole("max", 1..=RUN_ALL_MAX);
            if !section.has("policy") {
                section.report_missing("needs `policy`", HELP_LATE);
            }
            match (policy, max) {
                (Some(Self::RunAll { .. }), Some(max)) => Some(Self::RunAll { max }),
                (Some(_), Some(_)) => {
                    section.report("max", "`max` belongs to `run-all` only", HELP_LATE);
                    None
                }
                (policy, _) => policy,
            }
        });
        late.unwrap_or(Self::RunOnce)
    }
}

fn job(section: &mut Section<'_>) -> Option<String> {
    let job =
        section.parsed("job", |kind| check_name(kind).map(|()| kind.to_owned()).map_err(Complaint::from));
    if !section.has("job") {
        section.report_missing("needs `job`", r#"write the kind of the job, as in job = "db.analyze""#);
    }
    job
}

/// `with` is the other name of `args`.
fn args(section: &mut Section<'_>) -> Map<String, Value> {
    section.at_most_one("args", "with");
    let (args, with) = (section.json("args"), section.json("with"));
    args.or(with).unwrap_or_default()
}

fn jitter(section: &mut Section<'_>, when: Option<&When>) -> Duration {
    let jitter = section.duration("jitter", Duration::ZERO).unwrap_or_default();
    if let Some(When::Every(period)) = when
        && jitter >= *period
    {
        section.report("jitter", "the jitter is not shorter than `every`", "a tenth of the period is usual");
    }
    jitter
}

pub(super) fn zone(name: &str) -> Result<TimeZone, Complaint> {
    TimeZone::get(name).map_err(|_| {
        let help = match zone_like(name) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "write a name of the IANA database, as in zone = \"America/Bogota\"".to_owned(),
        };
        Complaint::new(format!("there is no time zone `{}`", clip(name)), help)
    })
}

/// The zone that is nearest by its name, or else by its city.
fn zone_like(name: &str) -> Option<String> {
    let database = TimeZoneDatabase::bundled();
    let zones: Vec<_> = database.available().collect();
    let names = || zones.iter().map(jiff::tz::TimeZoneName::as_str);
    let city_of = |zone: &str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
    nearest(name, names()).or_else(|| names().find(|zone| city_of(zone))).map(str::to_owned)
}
