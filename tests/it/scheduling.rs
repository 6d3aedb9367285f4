//! Schedulers: each tick once, in order, whoever leads, and late ones by their policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brasa_scheduler::{Plan, Settings, fire_now, plans, run};
use brasa_shared::queue::{Fleet, Queue, State};
use brasa_shared::telemetry::server::Pulse;
use brasa_tests::hand::Hand;
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const EVERY_SECOND: &str = "[schedules.each]\njob = \"test.echo\"\nevery = \"1s\"";

/// A scheduler that runs.
pub(crate) struct Scheduler {
    stop: CancellationToken,
    fired: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Scheduler {
    pub(crate) fn start(world: &World, config: &str) -> Self {
        Self::led_by(world, config, world.fleet())
    }

    /// One that believes what this fleet says about who leads.
    pub(crate) fn led_by(world: &World, config: &str, fleet: Fleet) -> Self {
        let (stop, fired) = (CancellationToken::new(), Arc::<AtomicU64>::default());
        let settings = Settings {
            plans: planned(world, config),
            fleet,
            clock: world.clock.clone(),
            pulse: Pulse::default(),
            fired: Arc::clone(&fired),
            leading: Arc::default(),
        };
        let task = tokio::spawn(run(settings, stop.clone()));
        Self { stop, fired, task }
    }

    pub(crate) fn fired(&self) -> u64 {
        self.fired.load(Ordering::SeqCst)
    }

    /// Ends it in good order; returns how many ticks it fired.
    pub(crate) async fn end(self) -> u64 {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.expect("it ends").unwrap();
        self.fired.load(Ordering::SeqCst)
    }
}

pub(crate) fn planned(world: &World, config: &str) -> Vec<Plan> {
    let config = world.config(config);
    let queues: BTreeMap<String, Queue> =
        config.known_queues().map(|name| (name.to_owned(), world.queue(name))).collect();
    plans(&config, &kinds(), &queues).unwrap()
}

/// The instants of the jobs of a schedule that wait, in order.
pub(crate) async fn instants(world: &World, schedule: &str) -> Vec<Timestamp> {
    let waiting = world.queue("default").list(State::Waiting, 1_000).await.unwrap();
    let of_schedule = waiting.iter().filter_map(|view| view.id.split_once('@'));
    let of_schedule = of_schedule.filter(|(name, _)| *name == schedule);
    of_schedule.map(|(_, instant)| instant.parse().unwrap()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Makes sure that every second from the first to the last is there.
fn assert_no_second_is_missing(instants: &[Timestamp]) {
    let seconds: Vec<_> = instants.iter().map(|instant| instant.as_second()).collect();
    let all: Vec<_> = (seconds[0]..=seconds[seconds.len() - 1]).collect();
    assert_eq!(seconds, all);
}

/// Waits until a scheduler has looked at its schedules for the first time.
pub(crate) async fn seen(world: &World, schedules: usize) {
    let queue = world.queue("default");
    eventually("the schedules are seen", async || queue.ticks().await.unwrap().len() == schedules).await;
}

/// The verdicts on a schedule, oldest first.
pub(crate) async fn verdicts(world: &World) -> Vec<String> {
    let log = world.queue("default").tick_log(1_000).await.unwrap();
    log.into_iter().rev().map(|line| line.verdict).collect()
}

/// Each believes that it leads, which the lock only makes rare and the queue has to bear.
#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_that_both_believe_to_lead_fire_each_tick_once() {
    let world = World::of_queues();
    let elsewhere = Fleet::new(world.store.clone(), &format!("{}-other", world.prefix), world.clock.clone());
    let one = Scheduler::start(&world, EVERY_SECOND);
    let two = Scheduler::led_by(&world, EVERY_SECOND, elsewhere);
    eventually("three seconds are fired", async || instants(&world, "each").await.len() >= 3).await;

    let fired = one.end().await + two.end().await;

    let instants = instants(&world, "each").await;
    assert_no_second_is_missing(&instants);
    assert_eq!(fired, instants.len() as u64);
    assert_eq!(world.counts().await.totals["enqueued"], fired);
    assert_eq!(verdicts(&world).await.len() as u64, fired);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_schedulers_one_leads_and_the_other_takes_over_when_it_ends() {
    let world = World::of_queues();
    let first = Scheduler::start(&world, EVERY_SECOND);
    eventually("the first fires", async || first.fired() >= 1).await;
    let second = Scheduler::start(&world, EVERY_SECOND);
    let before = first.fired();
    eventually("the first goes on", async || first.fired() > before).await;
    assert_eq!(second.fired(), 0);

    first.end().await;
    eventually("the second fires", async || second.fired() >= 2).await;

    second.end().await;
    assert_no_second_is_missing(&instants(&world, "each").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_that_fell_into_a_change_of_leader_are_fired_late() {
    let world = World::of_queues();
    // A leader that died a moment ago, and the last tick that it fired.
    let last = world.clock.now() - Duration::from_secs(5);
    world.queue("default").last_tick("each", last).await.unwrap();
    world.fleet().lead("died", Duration::from_millis(1_500)).await.unwrap();

    let scheduler = Scheduler::start(&world, EVERY_SECOND);
    eventually("the missed ticks are fired", async || scheduler.fired() >= 6).await;

    scheduler.end().await;
    let instants = instants(&world, "each").await;
    assert_eq!(instants[0].as_second(), last.as_second() + 1);
    assert_no_second_is_missing(&instants);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_starts_again_goes_on_where_the_last_one_ended() {
    let world = World::of_queues();
    let first = Scheduler::start(&world, EVERY_SECOND);
    eventually("the first fires", async || first.fired() >= 1).await;
    first.end().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    let second = Scheduler::start(&world, EVERY_SECOND);
    eventually("the second fires", async || second.fired() >= 2).await;
    second.end().await;

    assert_no_second_is_missing(&instants(&world, "each").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_schedule_fires_for_the_future_only() {
    let world = World::with_manual_clock();
    let scheduler = Scheduler::start(
        &world,
        "[schedules.hourly]\njob = \"test.echo\"\nevery = \"1h\"\nlate = \"run-once\"",
    );
    seen(&world, 1).await;
    world.advance(Duration::from_mins(59));
    // It looks once a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(scheduler.fired(), 0);

    world.advance(Duration::from_mins(1));

    eventually("it fires", async || scheduler.fired() == 1).await;
    scheduler.end().await;
    assert_eq!(instants(&world, "hourly").await, ["2026-01-01T01:00:00Z".parse().unwrap()]);
}

/// What a schedule of every minute fires after nobody looked for an hour and 45 seconds.
async fn after_an_outage(late: &str) -> (Vec<String>, Vec<String>) {
    let world = World::with_manual_clock();
    let config = format!("[schedules.minutely]\njob = \"test.echo\"\nevery = \"1m\"\nlate = {late}");
    let scheduler = Scheduler::start(&world, &config);
    seen(&world, 1).await;
    world.advance(Duration::from_secs(3_645));
    let last: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
    let queue = world.queue("default");
    eventually("all ticks have their verdict", async || queue.ticks().await.unwrap()[0].1 == last).await;
    scheduler.end().await;
    let fired = instants(&world, "minutely").await.iter().map(ToString::to_string).collect();
    (fired, verdicts(&world).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn late_skip_fires_nothing_of_an_outage() {
    let (fired, verdicts) = after_an_outage("\"skip\"").await;

    assert!(fired.is_empty(), "{fired:?}");
    assert_eq!(verdicts, ["late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_run_once_fires_the_last_tick_of_an_outage() {
    let (fired, verdicts) = after_an_outage("\"run-once\"").await;

    assert_eq!(fired, ["2026-01-01T01:00:00Z"]);
    assert_eq!(verdicts, ["late", "fired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_run_all_fires_the_last_ticks_of_an_outage_up_to_its_limit() {
    let (fired, verdicts) = after_an_outage("{ policy = \"run-all\", max = 3 }").await;

    assert_eq!(fired, ["2026-01-01T00:58:00Z", "2026-01-01T00:59:00Z", "2026-01-01T01:00:00Z"]);
    assert_eq!(verdicts, ["late", "fired", "fired", "fired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_schedule_fires_nothing_and_its_ticks_say_so() {
    let world = World::with_manual_clock();
    let config = "[schedules.off]\njob = \"test.echo\"\nevery = \"1m\"\npaused = true";
    let scheduler = Scheduler::start(&world, config);
    seen(&world, 1).await;
    world.advance(Duration::from_mins(1));

    eventually("the tick has its verdict", async || verdicts(&world).await == ["paused"]).await;

    assert_eq!(scheduler.end().await, 0);
    assert_eq!(world.counts().await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn overlap_skip_leaves_a_tick_out_while_the_last_job_is_unfinished() {
    let world = World::with_manual_clock();
    let config = "[schedules.slow]\njob = \"test.echo\"\nevery = \"1m\"\noverlap = \"skip\"";
    let scheduler = Scheduler::start(&world, config);
    seen(&world, 1).await;
    world.advance(Duration::from_mins(1));
    eventually("it fires", async || scheduler.fired() == 1).await;
    world.advance(Duration::from_mins(1));

    eventually("the tick is left out", async || verdicts(&world).await == ["fired", "overlap"]).await;

    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crontab_fires_at_the_times_of_its_zone() {
    let world = World::with_manual_clock();
    let config = "[schedules.nightly]\njob = \"test.echo\"\ncron = \"30 3 * * *\"\nzone = \"America/Bogota\"";
    let scheduler = Scheduler::start(&world, config);
    seen(&world, 1).await;
    world.advance(Duration::from_hours(9));

    eventually("it fires", async || scheduler.fired() == 1).await;

    scheduler.end().await;
    assert_eq!(instants(&world, "nightly").await, ["2026-01-01T08:30:00Z".parse().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_schedule_says_about_its_job_travels_with_it() {
    let world = World::with_manual_clock();
    let config = r#"
        [queues.low]
        [schedules.full]
        job = "test.echo"
        args = { n = 7, deep = { x = [1, 2] } }
        every = "1m"
        queue = "low"
        attempts = 2
        timeout = "90s"
    "#;
    let queue = world.queue("low");
    let scheduler = Scheduler::start(&world, config);
    eventually("the schedule is seen", async || !queue.ticks().await.unwrap().is_empty()).await;
    world.advance(Duration::from_mins(1));
    eventually("it fires", async || scheduler.fired() == 1).await;
    scheduler.end().await;

    let job = queue.envelope("full@2026-01-01T00:01:00Z").await.unwrap().unwrap().unwrap();

    assert_eq!(
        (job.attempts, job.timeout_ms, job.schedule.as_deref()),
        (Some(2), Some(90_000), Some("full"))
    );
    let args: serde_json::Value = serde_json::from_str(job.args.get()).unwrap();
    assert_eq!(args, json!({ "n": 7, "deep": { "x": [1, 2] } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_the_version_of_the_payload_that_its_kind_reads() {
    let world = World::with_manual_clock();
    let scheduler = Scheduler::start(&world, "[schedules.second]\njob = \"test.second\"\nevery = \"1m\"");
    seen(&world, 1).await;
    world.advance(Duration::from_mins(1));
    eventually("it fires", async || scheduler.fired() == 1).await;
    scheduler.end().await;

    assert_eq!(world.counts().await.waiting_by_class["test.second@2"], 1);
    let worker = Worker::start(world.settings(kinds(), ""));
    eventually("a worker of this build runs it", async || world.counts().await.done == 1).await;
    worker.drain().await;
}

#[tokio::test]
async fn jitter_is_the_same_for_all_who_draw_it_and_within_its_limit() {
    let world = World::of_queues();
    let config = "[schedules.spread]\njob = \"test.echo\"\nevery = \"1h\"\njitter = \"10m\"";
    let (one, two) = (planned(&world, config).remove(0), planned(&world, config).remove(0));
    let mut instant = Timestamp::UNIX_EPOCH;
    let mut drawn = BTreeSet::new();
    for _ in 0..100 {
        instant = one.next_after(instant).unwrap();
        assert_eq!(one.jitter_at(instant), two.jitter_at(instant));
        drawn.insert(one.jitter_at(instant));
    }

    assert!(drawn.len() > 90 && drawn.iter().all(|late| *late < Duration::from_mins(10)));
    assert!(drawn.first().unwrap() < &Duration::from_mins(2));
    assert!(drawn.last().unwrap() > &Duration::from_mins(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_with_jitter_has_its_verdict_on_time_and_starts_later() {
    let world = World::with_manual_clock();
    let config = "[schedules.spread]\njob = \"test.echo\"\nevery = \"1h\"\njitter = \"10m\"";
    let plan = planned(&world, config).remove(0);
    let scheduler = Scheduler::start(&world, config);
    seen(&world, 1).await;
    world.advance(Duration::from_hours(1));
    eventually("it fires", async || scheduler.fired() == 1).await;
    scheduler.end().await;

    let view = world.show("spread@2026-01-01T01:00:00Z").await;

    let instant = world.clock.now();
    assert_eq!(view.state, State::Delayed);
    assert_eq!(view.state_ms, (instant + plan.jitter_at(instant)).as_millisecond());
}

#[tokio::test]
async fn a_schedule_can_be_fired_beside_its_ticks() {
    let world = World::of_queues();
    let plan = planned(&world, "[schedules.hourly]\njob = \"test.echo\"\nevery = \"1h\"").remove(0);

    let (one, two) =
        (fire_now(&plan, &world.clock).await.unwrap(), fire_now(&plan, &world.clock).await.unwrap());

    assert_ne!(one, two);
    assert!(one.starts_with("hourly@now-"));
    let claimed = Hand::new("w", &["test.echo"]).claim(&world.queue("default"), 5).await;
    assert_eq!(claimed.len(), 2);
    assert!(world.queue("default").ticks().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_schedule_of_an_unknown_kind_is_refused_before_anything_is_fired() {
    let world = World::of_queues();
    let config = world.config("[schedules.odd]\njob = \"team.invent\"\nevery = \"1h\"");
    let queues = BTreeMap::from([("default".to_owned(), world.queue("default"))]);

    let error = plans(&config, &kinds(), &queues).unwrap_err().to_string();

    assert_eq!(error, "schedule `odd` fires `team.invent`, and this build knows no such kind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_without_schedules_waits_and_ends_when_told_to() {
    let world = World::of_queues();
    let scheduler = Scheduler::start(&world, "");
    let begun = Instant::now();

    assert_eq!(scheduler.end().await, 0);

    assert!(begun.elapsed() < Duration::from_secs(3));
}
