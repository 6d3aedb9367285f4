//! Enqueuing ticks under the id `schedule@instant`, so that firing twice is firing once.

use brasa_shared::clock::Clock;
use brasa_shared::jiff::Timestamp;
use brasa_shared::queue::{Envelope, EnvelopeError, Fleet, QueueError, Tick, Verdict};
use brasa_shared::telemetry::metrics;
use serde_json::Value;

use crate::due::Due;
use crate::plan::Plan;

/// The job of one tick of a plan.
///
/// # Errors
/// The arguments cannot be put into an envelope.
pub fn job_for(plan: &Plan, id: String, now: Timestamp) -> Result<Envelope, EnvelopeError> {
    let schedule = &plan.schedule;
    let mut job = Envelope::new(&schedule.job, &Value::Object(schedule.args.clone()), now)?;
    job.id = id;
    job.kv = plan.payload_version;
    job.schedule = Some(plan.name.clone());
    job.attempts = schedule.attempts;
    job.timeout_ms = schedule.timeout.and_then(|limit| u64::try_from(limit.as_millis()).ok());
    Ok(job)
}

/// Judges one due tick. Whether somebody has paused the schedule is asked now, and not remembered from before.
pub(crate) async fn fire(
    plan: &Plan,
    due: &Due,
    fleet: &Fleet,
    clock: &Clock,
) -> Result<Verdict, QueueError> {
    let away = |source| QueueError::Store { queue: plan.queue.name().to_owned(), source };
    let pause = fleet.last_pause(&plan.name).await.map_err(away)?;
    let now = clock.now();
    let pause = pause.filter(|pause| pause.withholds(due.instant, now));
    let id = format!("{}@{}", plan.name, due.instant);
    let envelope =
        |source| QueueError::Envelope { queue: plan.queue.name().to_owned(), id: id.clone(), source };
    let mut job = job_for(plan, id.clone(), now).map_err(envelope)?;
    let starts = due.instant.saturating_add(plan.jitter_at(due.instant)).unwrap_or(due.instant);
    if starts > now {
        job.due = Some(starts.as_millisecond());
    }
    let is_paused = plan.schedule.paused || pause.is_some();
    let tick = Tick {
        schedule: &plan.name,
        instant: due.instant,
        overlap: plan.overlap(),
        job: &job,
        withheld: if is_paused { Some("paused") } else { due.withheld },
        why: &pause.map(|pause| pause.told()).unwrap_or_default(),
    };
    let verdict = plan.queue.tick(&tick).await?;
    let said = match &verdict {
        Verdict::Fired => "fired",
        Verdict::Already => "already",
        Verdict::Overlap => "overlap",
        Verdict::Withheld(why) => why,
    };
    if verdict != Verdict::Already {
        tracing::debug!(schedule = plan.name, instant = %due.instant, verdict = said, "tick");
        metrics::ticks_total(&plan.name, said).increment(1);
    }
    Ok(verdict)
}

/// Enqueues a job of the plan at once, beside its ticks. Returns the job's id.
///
/// # Errors
/// Redis is out of reach or out of memory.
pub async fn fire_now(plan: &Plan, clock: &Clock) -> Result<String, QueueError> {
    let now = clock.now();
    let id = format!("{}@now-{:08x}", plan.name, rand::random::<u32>());
    let envelope =
        |source| QueueError::Envelope { queue: plan.queue.name().to_owned(), id: id.clone(), source };
    let job = job_for(plan, id.clone(), now).map_err(envelope)?;
    plan.queue.enqueue(&job).await?;
    Ok(id)
}
