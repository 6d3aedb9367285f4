//! From the configuration to what is to be fired. No clock, no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_jobs::Catalog;
use brasa_shared::config::{Config, Late, Overlap, Schedule, When};
use brasa_shared::hash::fnv1a;
use brasa_shared::jiff::Timestamp;
use brasa_shared::queue::Queue;

/// A schedule, with the queue that its jobs go to.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// When, what, and how.
    pub schedule: Schedule,
    /// The version of the payload, as the kind counts it in this build.
    pub payload_version: u32,
    /// Where to.
    pub queue: Queue,
}

/// A schedule that cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Its kind is not one of this build.
    #[error("schedule `{schedule}` fires `{kind}`, and this build knows no such kind")]
    Kind {
        /// The schedule.
        schedule: String,
        /// The kind.
        kind: String,
    },
    /// Its queue is not configured.
    #[error("schedule `{schedule}` enqueues into `{queue}`, which is no queue of this configuration")]
    Queue {
        /// The schedule.
        schedule: String,
        /// The queue.
        queue: String,
    },
}

/// The plans of a configuration, by name.
///
/// # Errors
/// A kind or queue does not exist; `brasa check` says it with file and line.
pub fn plans(
    config: &Config,
    catalog: &Catalog,
    queues: &BTreeMap<String, Queue>,
) -> Result<Vec<Plan>, PlanError> {
    let plan = |(name, schedule): (&String, &Schedule)| {
        let kind = catalog.get(&schedule.job);
        let kind =
            kind.ok_or_else(|| PlanError::Kind { schedule: name.clone(), kind: schedule.job.clone() })?;
        let wanted = schedule.queue.as_deref().unwrap_or(kind.policy.queue);
        let queue = queues.get(wanted);
        let queue =
            queue.ok_or_else(|| PlanError::Queue { schedule: name.clone(), queue: wanted.to_owned() })?;
        let schedule = schedule.clone();
        Ok(Plan { name: name.clone(), schedule, payload_version: kind.version, queue: queue.clone() })
    };
    config.schedules.iter().map(plan).collect()
}

impl Plan {
    /// The first instant after `after`, if there ever is one.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.when.next_after(&self.schedule.zone, after)
    }

    /// Says when it fires, and nothing else: the same for as long as its times are the same.
    pub(crate) fn identity(&self) -> String {
        let when = match &self.schedule.when {
            When::Cron(crontab) => crontab.text().to_owned(),
            When::Every(period) => format!("every {}", period.as_millis()),
        };
        let zone = self.schedule.zone.iana_name().unwrap_or("UTC");
        format!("{:016x}", fnv1a(&format!("{when} {zone}")))
    }

    /// How much later than its instant a tick starts: drawn from the schedule and the instant alone, so
    /// that every scheduler draws the same.
    pub fn jitter_at(&self, instant: Timestamp) -> Duration {
        let hash = fnv1a(&format!("{}@{}", self.name, instant.as_millisecond()));
        #[expect(clippy::cast_precision_loss, reason = "53 bits are plenty for a draw")]
        let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        self.schedule.jitter.mul_f64(share)
    }

    /// What the overlap policy is called in the script.
    pub(crate) fn overlap(&self) -> &'static str {
        match self.schedule.overlap {
            Overlap::Queue => "queue",
            Overlap::Skip => "skip",
            Overlap::Replace => "replace",
        }
    }

    /// The late policy.
    pub(crate) fn late(&self) -> Late {
        self.schedule.late
    }
}
