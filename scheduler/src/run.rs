//! The scheduler's loop: sleep until the next tick, judge what is due, bid to lead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brasa_shared::clock::Clock;
use brasa_shared::jiff::Timestamp;
use brasa_shared::queue::{Fleet, Leadership, QueueError, Verdict};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::server::Pulse;
use tokio_util::sync::CancellationToken;

use crate::due::due;
use crate::fire::fire;
use crate::plan::Plan;

/// How long a leader leads without renewing. Ticks that fall into a change of leader fire this much late at
/// most, which is less than `late_after` can be.
const TERM: Duration = Duration::from_secs(4);
/// How often leadership is renewed or bid for.
const BID_EVERY: Duration = Duration::from_secs(1);
/// The longest sleep: a clock that is set, or a plan of years, must not matter.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How often it is told for how long schedules have been paused.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What a scheduler needs to know.
pub struct Settings {
    /// What to fire.
    pub plans: Vec<Plan>,
    /// What the processes know of one another.
    pub fleet: Fleet,
    /// The time.
    pub clock: Clock,
    /// How it says that it makes progress.
    pub pulse: Pulse,
    /// Counts the ticks that this scheduler fired.
    pub fired: Arc<AtomicU64>,
    /// Whether it leads, for those who do what one of all is to do.
    pub leading: Arc<AtomicBool>,
}

/// A plan, and the last instant that has its verdict.
struct Followed {
    plan: Plan,
    last: Timestamp,
}

/// Fires until told to stop, whatever Redis does.
pub async fn run(settings: Settings, stop: CancellationToken) {
    let me = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
    tracing::info!(schedules = settings.plans.len(), "scheduler starts");
    let (mut leading, mut heard) = (false, false);
    let mut bid = None::<Instant>;
    let mut told = None::<Instant>;
    let mut followed: Vec<Followed> = Vec::new();
    while !stop.is_cancelled() {
        if bid.is_none_or(|bid| bid.elapsed() >= BID_EVERY) {
            let was = leading;
            let answer = settings.fleet.lead(&me, TERM).await;
            leading = matches!(answer, Ok(Leadership::Leading));
            heard = answer.is_ok();
            if let Err(error) = answer {
                fault(&error, "cannot bid to lead");
            }
            bid = Some(Instant::now());
            settings.leading.store(leading, Ordering::Relaxed);
            metrics::scheduler_leading().set(f64::from(u8::from(leading)));
            if leading && !was {
                tracing::info!("leading");
                followed.clear();
            }
            if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                tell_pauses(&settings, leading).await;
                told = Some(Instant::now());
            }
        }
        let sleep = if leading { round(&settings, &mut followed).await } else { rested(&settings, heard) };
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = stop.cancelled() => {}
        }
    }
    settings.leading.store(false, Ordering::Relaxed);
    if let Err(error) = settings.fleet.resign(&me).await {
        tracing::debug!(error = %chain(&error), "could not resign");
    }
    tracing::info!("scheduler ended");
}

/// One who follows makes progress by being there and hearing that another leads.
fn rested(settings: &Settings, heard: bool) -> Duration {
    if heard {
        settings.pulse.beat();
    }
    BID_EVERY
}

/// Judges everything that is due; returns how long to sleep.
async fn round(settings: &Settings, followed: &mut Vec<Followed>) -> Duration {
    if followed.is_empty() && !settings.plans.is_empty() {
        match follow(settings).await {
            Ok(all) => *followed = all,
            Err(error) => {
                fault(&error, "cannot read the last ticks");
                return SLEEP_MAX.mul_f64(rand::random::<f64>());
            }
        }
    }
    let mut healthy = true;
    for item in followed.iter_mut() {
        match catch_up(settings, item).await {
            Ok(()) => {}
            // The scheduler is well; it is the queue that takes nothing.
            Err(error) if error.is_refusal() => tracing::warn!(error = %chain(&error), "the tick waits"),
            Err(error) => {
                fault(&error, "cannot fire; the tick waits");
                healthy = false;
            }
        }
    }
    if healthy {
        settings.pulse.beat();
    }
    let now = settings.clock.now();
    let next = followed.iter().filter_map(|item| item.plan.next_after(item.last)).min();
    let until = next.map(|next| next.duration_since(now));
    let until = until.map_or(SLEEP_MAX, |until| Duration::try_from(until).unwrap_or(Duration::ZERO));
    if healthy { until.min(SLEEP_MAX) } else { SLEEP_MAX }
}

async fn follow(settings: &Settings) -> Result<Vec<Followed>, QueueError> {
    let now = settings.clock.now();
    let mut all = Vec::with_capacity(settings.plans.len());
    for plan in &settings.plans {
        let last = plan.queue.follow(&plan.name, &plan.identity(), now).await?;
        all.push(Followed { plan: plan.clone(), last });
    }
    Ok(all)
}

async fn catch_up(settings: &Settings, item: &mut Followed) -> Result<(), QueueError> {
    let (now, schedule) = (settings.clock.now(), &item.plan.schedule);
    let ticks =
        due(|after| item.plan.next_after(after), item.last, now, item.plan.late(), schedule.late_after);
    for tick in ticks {
        if fire(&item.plan, &tick, &settings.fleet, &settings.clock).await? == Verdict::Fired {
            settings.fired.fetch_add(1, Ordering::Relaxed);
        }
        item.last = tick.instant;
    }
    Ok(())
}

/// Tells for how long schedules have been paused; only who leads tells, so that nobody tells what was.
async fn tell_pauses(settings: &Settings, leading: bool) {
    let paused = if leading { settings.fleet.paused_schedules().await } else { Ok(BTreeMap::new()) };
    let Ok(paused) = paused else { return };
    let now_ms = settings.clock.now().as_millisecond();
    for plan in &settings.plans {
        let since_ms = paused.get(&plan.name).map_or(now_ms, |pause| pause.at);
        let lasting = Duration::from_millis((now_ms - since_ms).max(0).unsigned_abs());
        metrics::schedule_paused_seconds(&plan.name).set(lasting.as_secs_f64());
    }
}

fn fault(error: &(dyn std::error::Error + 'static), what: &'static str) {
    metrics::redis_faults_total("schedule").increment(1);
    tracing::warn!(error = %chain(error), "{what}");
}
