//! What happened lately, for the overview and for programs: what was done and how long it took, and how machines were.

use std::collections::BTreeMap;

use brasa_shared::minutes::{Histogram, Minutes, Span, Vitals, Work};
use serde::Serialize;
use utoipa::ToSchema;

use crate::desk::Desk;
use crate::error::Refused;

/// From which share on too much is in use, where the configuration does not say otherwise. Those of the alerts.
const CPU: f64 = 0.8;
const MEMORY: f64 = 0.85;
const DISK: f64 = 0.9;
const POOL: f64 = 0.8;

/// How long things took, in ms.
#[expect(clippy::struct_field_names, reason = "programs read the unit in the name")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct Times {
    /// Half of them no longer than this.
    pub(crate) p50_ms: f64,
    /// 95 of a hundred no longer than this.
    pub(crate) p95_ms: f64,
    /// 99 of a hundred no longer than this.
    pub(crate) p99_ms: f64,
}

/// What was done in a step of time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Step {
    /// When it begins, ms since 1970.
    pub(crate) at_ms: i64,
    /// Jobs that were done.
    pub(crate) done: u64,
    /// Attempts that failed, whether the job is tried again or is dead.
    pub(crate) failed: u64,
    /// How long runs took; none where nothing ran.
    pub(crate) ran: Option<Times>,
    /// How long jobs waited from when they could start, at their first attempt; none where none started.
    pub(crate) waited: Option<Times>,
}

/// How a machine was in a minute; shares are from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Moment {
    /// When the minute begins, ms since 1970.
    pub(crate) at_ms: i64,
    /// How busy its processors were.
    pub(crate) cpu: Option<f64>,
    /// How much of its memory was in use.
    pub(crate) memory: Option<f64>,
    /// How full its fullest disk was.
    pub(crate) disk: Option<f64>,
    /// How much of the busiest pool for Postgres of a process there was in use, at most.
    pub(crate) pool: Option<f64>,
    /// Which share of its processors all processes of Brasa there used.
    pub(crate) own_cpu: Option<f64>,
    /// How much memory they held together, in bytes.
    pub(crate) own_memory_bytes: Option<u64>,
    /// How many they were.
    pub(crate) processes: u64,
}

/// A machine that processes of Brasa run on.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// Minute by minute, for an hour at most, the oldest first; minutes without a word of it are left out.
    pub(crate) minutes: Vec<Moment>,
}

/// How much memory Redis used in a minute.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RedisMemory {
    /// When the minute begins, ms since 1970.
    pub(crate) at_ms: i64,
    /// How much it used, in bytes.
    pub(crate) used_bytes: u64,
    /// How much it may use, in bytes; 0 where it has no limit of its own.
    pub(crate) max_bytes: u64,
}

/// From which share on too much is in use.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Thresholds {
    /// Of the processors.
    pub(crate) cpu: f64,
    /// Of the memory.
    pub(crate) memory: f64,
    /// Of a disk.
    pub(crate) disk: f64,
    /// Of a pool for Postgres.
    pub(crate) pool: f64,
    /// Of the memory that Redis may use.
    pub(crate) redis_memory: f64,
}

/// What happened lately.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Lately {
    /// How long a step of `work` is, in ms.
    pub(crate) step_ms: i64,
    /// What was done, step by step, the oldest first; the last one goes on.
    pub(crate) work: Vec<Step>,
    /// All of it together.
    pub(crate) whole: Step,
    /// The machines, by name.
    pub(crate) hosts: Vec<Host>,
    /// Minute by minute, for an hour at most, the oldest first; minutes without a word of it are left out.
    pub(crate) redis: Vec<RedisMemory>,
    /// From which share on too much is in use.
    pub(crate) thresholds: Thresholds,
}

impl Times {
    fn of(histogram: &Histogram) -> Option<Self> {
        let at = |share| histogram.quantile_ms(share);
        Some(Self { p50_ms: at(0.5)?, p95_ms: at(0.95)?, p99_ms: at(0.99)? })
    }
}

impl Step {
    fn of(work: &Work) -> Self {
        let (ran, waited) = (Times::of(&work.ran), Times::of(&work.waited));
        Self { at_ms: work.at_ms, done: work.done, failed: work.failed, ran, waited }
    }
}

impl Moment {
    fn add(&mut self, told: &Vitals) {
        let most = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::max);
        self.cpu = most(self.cpu, told.cpu);
        self.memory = most(self.memory, told.memory);
        self.disk = most(self.disk, told.disk);
        self.pool = most(self.pool, told.pool);
        self.own_cpu = self.own_cpu.into_iter().chain(told.own_cpu).reduce(|sum, own| sum + own);
        self.own_memory_bytes =
            self.own_memory_bytes.into_iter().chain(told.own_memory).reduce(u64::saturating_add);
        self.processes += 1;
    }
}

/// What happened in the last hour or day.
pub(crate) async fn look(desk: &Desk, span: Span) -> Result<Lately, Refused> {
    let site = &desk.site;
    let minutes = Minutes::new(site.store.clone(), &site.config.redis.prefix, site.clock.clone());
    let (work, vitals) = tokio::join!(minutes.work(span), minutes.vitals());
    let (work, vitals) = (work?, vitals?);
    Ok(Lately {
        step_ms: span.step_s() * 1_000,
        whole: whole(&work),
        work: work.iter().map(Step::of).collect(),
        hosts: hosts(&vitals),
        redis: vitals.iter().filter_map(|(at_ms, told)| redis(*at_ms, told)).collect(),
        thresholds: thresholds(desk),
    })
}

fn whole(work: &[Work]) -> Step {
    let mut sum = Work { at_ms: work.first().map_or(0, |first| first.at_ms), ..Work::default() };
    for step in work {
        sum.done += step.done;
        sum.failed += step.failed;
        sum.ran.merge(&step.ran);
        sum.waited.merge(&step.waited);
    }
    Step::of(&sum)
}

/// All processes of a machine see the same machine: what they say of it differs by the moment, and the most of it
/// counts.
fn hosts(vitals: &[(i64, Vec<Vitals>)]) -> Vec<Host> {
    let mut hosts: BTreeMap<&str, BTreeMap<i64, Moment>> = BTreeMap::new();
    for (at_ms, told) in vitals.iter().flat_map(|(at_ms, all)| all.iter().map(move |told| (*at_ms, told))) {
        let moment = hosts.entry(&told.host).or_default().entry(at_ms);
        moment.or_insert_with(|| Moment { at_ms, ..Moment::default() }).add(told);
    }
    let host = |(name, minutes): (&str, BTreeMap<i64, Moment>)| Host {
        name: name.to_owned(),
        minutes: minutes.into_values().collect(),
    };
    hosts.into_iter().map(host).collect()
}

fn redis(at_ms: i64, told: &[Vitals]) -> Option<RedisMemory> {
    let used_bytes = told.iter().filter_map(|told| told.redis).max()?;
    let max_bytes = told.iter().filter_map(|told| told.redis_max).max().unwrap_or(0);
    Some(RedisMemory { at_ms, used_bytes, max_bytes })
}

fn thresholds(desk: &Desk) -> Thresholds {
    let limits = &desk.site.config.alerts.limits;
    Thresholds {
        cpu: CPU,
        memory: MEMORY,
        disk: DISK,
        pool: limits.database_pool.unwrap_or(POOL),
        redis_memory: limits.redis_memory.unwrap_or(MEMORY),
    }
}
