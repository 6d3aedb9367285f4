//! What is left when processes die, stand still, or are told to end.
//!
//! Where a test is about a number of kills, `BRASA_LONG=1` runs it with as many as the project promises to
//! survive; the suite makes do with fewer.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use brasa_shared::queue::{Ending, JobView, Queue, State};
use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::ledger::{self, Ledger};
use brasa_tests::process::{Brasa, Running, Signal, is_long, within};
use serde_json::json;

/// How much later than its lease allows a job may run again.
const RERUN_SLACK: Duration = Duration::from_secs(5);
/// How long the queue may take to get through what is left when nobody is killed any more.
const DRAIN_LIMIT: Duration = Duration::from_mins(2);

/// A statement that does nothing for a while.
const NAP: &str = r#"
[sql.nap]
sql = "select pg_sleep($1)"
params = ["args.seconds"]
"#;

/// How many workers are killed over how many jobs, and by what they are judged.
struct Massacre {
    kills: u64,
    jobs: u32,
    workers: usize,
    lease: Duration,
}

/// Who was killed, by the number of the process, and when, ms since 1970.
type Killed = BTreeMap<u32, i64>;

impl Massacre {
    /// Kills, waits, judges; says what it came to.
    async fn run(&self) -> String {
        let world = World::new().await;
        let ledger = Ledger::create(&world.pool).await;
        let config = format!(
            "[worker]\nconcurrency = 10\nlease = \"{}ms\"\n\
             [queues.default]\nkeep_done = {{ count = {}, age = \"1h\" }}\n{}",
            self.lease.as_millis(),
            self.jobs,
            ledger::STATEMENT
        );
        let brasa = Brasa::configured(&world, &config);
        let queue = world.queue("default");
        Ledger::enqueue(&queue, self.jobs, 0.02).await.unwrap();

        let mut workers: Vec<Running> = (0..self.workers).map(|_| brasa.start(["worker"])).collect();
        let killed = self.kill(&world, &queue, &brasa, &mut workers).await;
        let last = Instant::now();
        drained(&queue).await;
        let drained_in = last.elapsed();

        assert!(workers.iter_mut().all(Running::is_running), "nobody but us ends a worker");
        let missing = ledger.missing(self.jobs).await;
        assert!(missing.is_empty(), "{} jobs never ran: {missing:?}", missing.len());
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.done, counts.dead), (u64::from(self.jobs), 0), "{counts:?}");
        let views = queue.list(State::Done, self.jobs as usize).await.unwrap();
        let figures = self.judge(&views, &killed, &ledger).await;
        assert!(drained_in < self.lease + RERUN_SLACK, "drained only {drained_in:?} after the last kill");
        format!(
            "{} kills over {} jobs, lease {:?}: {figures:?}; empty {drained_in:?} after the last kill",
            self.kills, self.jobs, self.lease
        )
    }

    /// Kills a random worker and starts another, again and again while the jobs last. Each kill waits for its
    /// share of the jobs to be done, and then for a random moment of theirs.
    async fn kill(&self, world: &World, queue: &Queue, brasa: &Brasa, workers: &mut [Running]) -> Killed {
        let mut killed = Killed::new();
        let share = u64::from(self.jobs) * 95 / 100 / self.kills;
        for kill in 0..self.kills {
            let due = share * kill + rand::random_range(0..share);
            within(DRAIN_LIMIT, "enough jobs are done for the next kill", async || {
                (queue.counts().await.unwrap().done >= due).then_some(())
            })
            .await;
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..25))).await;
            let victim = &mut workers[rand::random_range(0..self.workers)];
            victim.kill().await;
            killed.insert(victim.pid(), world.clock.now().as_millisecond());
            *victim = brasa.start(["worker"]);
        }
        killed
    }

    /// Holds what every job went through against who was killed when.
    async fn judge(&self, views: &[JobView], killed: &Killed, ledger: &Ledger) -> Figures {
        let mut figures = Figures::default();
        let mut runs: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for run in ledger.runs().await {
            runs.entry(run.job.clone()).or_default().push(run);
        }
        let limit_ms = i64::try_from((self.lease + RERUN_SLACK).as_millis()).unwrap();
        for view in views {
            let losses: Vec<Loss> = view.trail.iter().map(|line| Loss::read(line)).collect();
            // Every attempt but the last was lost, and lost because its worker was killed.
            assert_eq!(view.attempt as usize, losses.len() + 1, "{view:?}");
            let attempts: BTreeSet<u32> = runs[&view.id].iter().map(|run| run.attempt).collect();
            assert!(attempts.contains(&view.attempt) && attempts.len() <= losses.len() + 1, "{view:?}");
            for loss in &losses {
                let killed_ms = killed.get(&loss.pid).unwrap_or_else(|| panic!("not killed: {view:?}"));
                let back_ms = loss.at_ms - killed_ms;
                assert!((0..limit_ms).contains(&back_ms), "taken back after {back_ms} ms: {view:?}");
                figures.back_ms_max = figures.back_ms_max.max(back_ms);
                if let Some(again) = runs[&view.id].iter().find(|run| run.attempt == loss.attempt + 1) {
                    let again_ms = again.at_ms - killed_ms;
                    assert!((0..limit_ms).contains(&again_ms), "ran again after {again_ms} ms: {view:?}");
                    figures.again_ms_max = figures.again_ms_max.max(again_ms);
                }
            }
            figures.lost += losses.len() as u64;
            figures.ran_twice += attempts.len() - 1;
        }
        // A test whose victims had nothing in their hands would prove nothing.
        assert!(figures.lost > self.kills, "{figures:?}");
        figures
    }
}

/// What a massacre came to.
#[derive(Debug, Default)]
struct Figures {
    /// Attempts whose worker was killed.
    lost: u64,
    /// Of those, how many had their effect nevertheless.
    ran_twice: usize,
    /// The longest time from a kill until a job was taken back.
    back_ms_max: i64,
    /// The longest time from a kill until a job had run again.
    again_ms_max: i64,
}

/// A line of a job's trail that says that its worker was lost.
struct Loss {
    at_ms: i64,
    attempt: u32,
    pid: u32,
}

impl Loss {
    fn read(line: &str) -> Self {
        let fields: Vec<&str> = line.split(' ').collect();
        let [at_ms, attempt, "lost", worker] = fields[..] else { panic!("not a loss: {line}") };
        // HOST-PID-RANDOM
        let pid = worker.rsplit('-').nth(1).unwrap();
        Self { at_ms: at_ms.parse().unwrap(), attempt: attempt.parse().unwrap(), pid: pid.parse().unwrap() }
    }
}

/// Waits until nothing waits, is delayed or runs.
async fn drained(queue: &Queue) {
    within(DRAIN_LIMIT, "the queue is empty", async || {
        (queue.counts().await.unwrap().open() == 0).then_some(())
    })
    .await;
}

/// Waits until as many jobs of the queue run.
async fn running(queue: &Queue, count: u64) {
    eventually("the jobs run", async || queue.counts().await.unwrap().running == count).await;
}

async fn show(queue: &Queue, id: &str) -> JobView {
    queue.show(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn no_job_is_lost_and_only_jobs_in_flight_run_twice_when_workers_are_killed() {
    let massacre = if is_long() {
        Massacre { kills: 200, jobs: 20_000, workers: 3, lease: Duration::from_secs(5) }
    } else {
        Massacre { kills: 30, jobs: 3_000, workers: 2, lease: Duration::from_secs(2) }
    };
    println!("{}", massacre.run().await);
}

#[tokio::test]
async fn a_job_that_was_lost_runs_again_before_what_came_after_it() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, &format!("[worker]\nconcurrency = 1\nlease = \"1s\"\n{NAP}"));
    let queue = world.queue("default");
    let first = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 3 })).await;
    let mut worker = brasa.start(["worker"]);
    running(&queue, 1).await;
    for _ in 0..100 {
        world.enqueue("sql.run", json!({ "name": "nap", "seconds": 0.1 })).await;
    }

    worker.kill().await;
    let _worker = brasa.start(["worker"]);
    eventually("it runs again", async || {
        let view = show(&queue, &first).await;
        view.state == State::Running && view.attempt == 2
    })
    .await;

    assert!(queue.counts().await.unwrap().waiting > 0, "it overtook those that came after it");
}

#[tokio::test]
async fn a_job_that_takes_its_worker_down_three_times_is_quarantined_with_its_history() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, &format!("[worker]\nlease = \"1s\"\n{NAP}"));
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 25 })).await;
    let mut victims = Vec::new();
    for attempt in 1..=3 {
        let mut worker = brasa.start(["worker"]);
        eventually("the job is claimed", async || {
            let view = show(&queue, &id).await;
            view.state == State::Running && view.attempt == attempt
        })
        .await;
        worker.kill().await;
        victims.push(worker.pid());
    }

    let _witness = brasa.start(["worker"]);
    eventually("the job is in the dead letter", async || show(&queue, &id).await.state == State::Dead).await;

    let view = show(&queue, &id).await;
    let lost: Vec<u32> = view.trail.iter().map(|line| Loss::read(line).pid).collect();
    assert_eq!(lost, victims, "{view:?}");
    let reason = view.outcome.and_then(|outcome| outcome.reason).unwrap();
    assert!(reason.contains("quarantined"), "{reason}");
}

#[tokio::test]
async fn a_worker_that_stood_still_for_too_long_has_no_say_in_what_became_of_its_job() {
    let world = World::new().await;
    let ledger = Ledger::create(&world.pool).await;
    let brasa = Brasa::configured(&world, &format!("[worker]\nlease = \"1s\"\n{}", ledger::STATEMENT));
    let queue = world.queue("default");
    let late = brasa.start(["worker"]);
    let id = world.enqueue("sql.run", json!({ "name": "ledger", "n": 0, "seconds": 0.5 })).await;
    // Not only the job but its statement is under way, and will come to its end without its worker.
    let under_way = "select count(*) from pg_stat_activity
                     where datname = current_database() and state = 'active' and query like '%insert into ledger%'
                       and pid <> pg_backend_pid()";
    eventually("the statement is under way", async || {
        sqlx::query_scalar::<_, i64>(under_way).fetch_one(&world.pool).await.unwrap() == 1
    })
    .await;

    late.signal(Signal::Stop);
    let other = brasa.start(["worker"]);
    eventually("another worker does the job", async || show(&queue, &id).await.state == State::Done).await;
    let before = show(&queue, &id).await;
    late.signal(Signal::Continue);
    eventually("the late worker notices", async || {
        late.log().contains("the lease was lost") || late.log().contains("was not accepted")
    })
    .await;

    let after = show(&queue, &id).await;
    let outcome = after.outcome.unwrap();
    assert_eq!((after.attempt, outcome.ending, outcome.attempt), (2, Ending::Done, 2));
    assert!(outcome.worker.contains(&format!("-{}-", other.pid())), "{outcome:?}");
    assert_eq!(before.outcome, Some(outcome));
    assert_eq!(queue.counts().await.unwrap().totals["done"], 1);
    // Both had their effect: that is why handlers are given the attempt and the fence.
    assert_eq!(ledger.repeated().await[&id], 2);
}

#[tokio::test]
async fn a_worker_that_stood_still_works_on() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, &format!("[worker]\nlease = \"1s\"\n{NAP}"));
    let queue = world.queue("default");
    let mut worker = brasa.start(["worker"]);
    let nap = json!({ "name": "nap", "seconds": 0.1 });
    world.enqueue("sql.run", nap.clone()).await;
    drained(&queue).await;

    worker.signal(Signal::Stop);
    let id = world.enqueue("sql.run", nap).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(show(&queue, &id).await.state, State::Waiting);
    worker.signal(Signal::Continue);

    drained(&queue).await;
    assert_eq!(show(&queue, &id).await.attempt, 1);
    assert!(worker.is_running());
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_finishes_what_it_runs_and_claims_nothing_more() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let world = World::new().await;
        let brasa = Brasa::configured(&world, &format!("[worker]\nconcurrency = 1\n{NAP}"));
        let queue = world.queue("default");
        let worker = brasa.start(["worker"]);
        let running_one = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 1.5 })).await;
        running(&queue, 1).await;
        let waiting_one = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 0 })).await;

        worker.signal(signal);
        let ended = worker.ended(Duration::from_secs(10)).await.with_code(0);

        assert_eq!(show(&queue, &running_one).await.state, State::Done, "{ended:?}");
        let left = show(&queue, &waiting_one).await;
        assert_eq!((left.state, left.attempt), (State::Waiting, 0));
        assert!(world.fleet().workers().await.unwrap().is_empty(), "it signs off");
    }
}

#[tokio::test]
async fn a_job_that_outlasts_the_grace_period_is_handed_back_and_its_attempt_does_not_count() {
    let world = World::new().await;
    let config = format!("[worker]\nshutdown_grace = \"300ms\"\n{NAP}");
    let brasa = Brasa::configured(&world, &config);
    let queue = world.queue("default");
    let worker = brasa.start(["worker"]);
    let id = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 20 })).await;
    running(&queue, 1).await;

    worker.signal(Signal::Terminate);
    let begun = Instant::now();
    let _ended = worker.ended(Duration::from_secs(10)).await.with_code(0);

    assert!(begun.elapsed() > Duration::from_millis(300), "the grace is given: {:?}", begun.elapsed());
    let view = show(&queue, &id).await;
    assert_eq!((view.state, view.attempt, view.trail), (State::Waiting, 0, Vec::new()));
}

#[tokio::test]
async fn a_second_signal_ends_a_worker_at_once() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, NAP);
    let queue = world.queue("default");
    let worker = brasa.start(["worker"]);
    let id = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 20 })).await;
    running(&queue, 1).await;

    worker.signal(Signal::Terminate);
    eventually("the first signal is heard", async || worker.log().contains("once more ends at once")).await;
    worker.signal(Signal::Terminate);
    let _ended = worker.ended(Duration::from_secs(5)).await.with_code(0);

    let view = show(&queue, &id).await;
    assert_eq!((view.state, view.attempt), (State::Waiting, 0));
}

#[tokio::test]
async fn jobs_that_are_delayed_or_wait_for_their_next_attempt_outlive_every_worker() {
    let world = World::new().await;
    let ledger = Ledger::create(&world.pool).await;
    // A broken constraint may be mended by somebody else, so it is tried again.
    sqlx::raw_sql("alter table ledger add constraint not_at_once check (attempt > 1 or n < 20)")
        .execute(&world.pool)
        .await
        .unwrap();
    let brasa = Brasa::configured(&world, &format!("[worker]\nlease = \"1s\"\n{}", ledger::STATEMENT));
    let queue = world.queue("default");
    let mut jobs = Ledger::jobs(&queue, 60, 0.0);
    for job in &mut jobs[..20] {
        job.due = Some(world.clock.now().as_millisecond() + rand::random_range(500..3_000));
    }
    queue.enqueue_all(&jobs).await.unwrap();
    let mut worker = brasa.start(["worker"]);
    eventually("every job that can fail has failed", async || {
        queue.counts().await.unwrap().totals.get("retried") == Some(&40)
    })
    .await;

    for _ in 0..5 {
        worker.kill().await;
        worker = brasa.start(["worker"]);
        tokio::time::sleep(Duration::from_millis(rand::random_range(50..300))).await;
    }
    drained(&queue).await;

    assert_eq!(ledger.missing(60).await, Vec::<i64>::new());
    assert_eq!(queue.counts().await.unwrap().dead, 0);
}

/// Two schedulers, killed and started again at random for a while, and what their ticks must be in the end.
#[tokio::test]
async fn every_tick_fires_once_while_two_schedulers_are_killed_and_started_again() {
    let duration = Duration::from_secs(if is_long() { 60 } else { 8 });
    let world = World::new().await;
    let ledger = Ledger::create(&world.pool).await;
    let tick = r#"job = "sql.run"
args = { name = "ledger", n = 0, seconds = 0 }"#;
    let config = format!(
        "[schedules.by-period]\n{tick}\nevery = \"1s\"\n\
         [schedules.by-crontab]\n{tick}\ncron = \"* * * * * *\"\n{}",
        ledger::STATEMENT
    );
    let brasa = Brasa::configured(&world, &config);
    let queue = world.queue("default");
    let _worker = brasa.start(["worker"]);
    let mut schedulers = [brasa.start(["scheduler"]), brasa.start(["scheduler"])];
    eventually("both schedules fire", async || queue.ticks().await.unwrap().len() == 2).await;

    let (begun, mut kills) = (Instant::now(), 0);
    while begun.elapsed() < duration {
        tokio::time::sleep(Duration::from_millis(rand::random_range(50..1_500))).await;
        let victim = &mut schedulers[rand::random_range(0..2)];
        victim.kill().await;
        // Nobody at all is there for a moment, now and then.
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        *victim = brasa.start(["scheduler"]);
        kills += 1;
    }
    let end = world.clock.now();
    eventually("the last second has its ticks", async || {
        let ticks = queue.ticks().await.unwrap();
        ticks.iter().all(|(_, last)| *last > end)
    })
    .await;
    drop(schedulers);
    drained(&queue).await;

    let runs = ledger.runs().await;
    assert!(runs.iter().all(|run| run.attempt == 1), "no tick runs twice");
    for schedule in ["by-period", "by-crontab"] {
        let fired = runs.iter().filter_map(|run| run.job.strip_prefix(schedule)?.strip_prefix('@'));
        let fired: Vec<i64> = fired.map(|at| at.parse::<jiff::Timestamp>().unwrap().as_second()).collect();
        let (first, last) = (*fired.iter().min().unwrap(), *fired.iter().max().unwrap());
        let expected: Vec<i64> = (first..=last).collect();
        assert_eq!(fired, expected, "{schedule}: in the order of time, none is missing and none is double");
        println!("{schedule}: {} ticks, each once, through {kills} kills", fired.len());
    }
    let log = queue.tick_log(1_000).await.unwrap();
    assert!(log.iter().all(|line| line.verdict == "fired"), "{log:?}");
}
