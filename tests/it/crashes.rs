//! What is left when processes die, stand still, or are told to end.
//!
//! Where a test is about a number of kills, `BRASA_LONG=1` runs it with as many as the project promises to
//! survive; the suite makes do with fewer.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

mod massacre;

use std::time::{Duration, Instant};

use brasa_shared::queue::{Ending, JobView, Queue, State};
use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::ledger::{self, Ledger};
use brasa_tests::process::{Brasa, Signal, is_long, within};
use serde_json::json;

use massacre::{Loss, Massacre};

/// How long the queue may take to get through what is left when nobody is killed any more.
const DRAIN_LIMIT: Duration = Duration::from_mins(2);

/// A statement that does nothing for a while.
const NAP: &str = r#"
[sql.nap]
sql = "select pg_sleep($1)"
params = ["args.seconds"]
"#;

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

/// Waits until a job runs for the how-manieth time.
async fn claimed(queue: &Queue, id: &str, attempt: u32) {
    eventually("the job is claimed", async || {
        let view = show(queue, id).await;
        view.state == State::Running && view.attempt == attempt
    })
    .await;
}

#[tokio::test]
async fn no_job_is_lost_and_only_jobs_in_flight_run_twice_when_workers_are_killed() {
    let massacre = if is_long() {
        Massacre { kills: 200, jobs: 20_000, workers: 3, lease: Duration::from_secs(5) }
    } else {
        Massacre { kills: 20, jobs: 1_600, workers: 2, lease: Duration::from_secs(2) }
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
    let brasa = Brasa::configured(&world, &format!("[worker]\nlease = \"1s\"\nisolate = false\n{NAP}"));
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 25 })).await;
    let mut victims = Vec::new();
    for attempt in 1..=3 {
        let mut worker = brasa.start(["worker"]);
        claimed(&queue, &id, attempt).await;
        worker.kill().await;
        victims.push(worker.pid());
    }

    let _witness = brasa.start(["worker"]);
    eventually("the job is in the dead letter", async || show(&queue, &id).await.state == State::Dead).await;

    let view = show(&queue, &id).await;
    let lost: Vec<u32> = view.trail.iter().filter_map(|line| Loss::read(line)).map(|loss| loss.pid).collect();
    assert_eq!(lost, victims, "{view:?}");
    let reason = view.outcome.and_then(|outcome| outcome.reason).unwrap();
    assert!(reason.contains("quarantined"), "{reason}");
}

#[tokio::test]
async fn a_process_whose_log_cannot_be_written_goes_on_and_ends_when_it_is_told_to() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, &format!("[web]\nlisten = \"127.0.0.1:0\"\n{NAP}"));
    drop(brasa.run(["migrate"]).await.with_code(0));
    let queue = world.queue("default");
    let process = brasa.with_a_full_log().start(["run"]);

    // What fails is told by a line of the log each time, and so is what ends.
    for name in ["nothing", "nap"] {
        let job = json!({ "name": name, "seconds": 0.1 });
        let id = world.enqueue("sql.run", job).await;
        let end = if name == "nap" { State::Done } else { State::Dead };
        eventually("a job ends", async || show(&queue, &id).await.state == end).await;
    }
    process.signal(Signal::Terminate);
    drop(process.ended(DRAIN_LIMIT).await.with_code(0));
}

#[tokio::test]
async fn a_job_that_runs_apart_is_handed_back_when_nobody_is_left_to_see_it_crash() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, &format!("[worker]\nlease = \"1s\"\n{NAP}"));
    let queue = world.queue("default");
    let id = world.enqueue("sql.run", json!({ "name": "nap", "seconds": 25 })).await;
    for attempt in 1..=2 {
        let mut worker = brasa.start(["worker"]);
        claimed(&queue, &id, attempt).await;
        worker.kill().await;
    }
    let mut parent = brasa.start(["worker"]);
    eventually("a child runs it", async || {
        let view = show(&queue, &id).await;
        let is_parents = view.worker.contains(&format!("-{}-", parent.pid()));
        view.state == State::Running && view.attempt == 3 && !is_parents
    })
    .await;

    parent.kill().await;
    eventually("it waits again", async || show(&queue, &id).await.state == State::Waiting).await;

    let view = show(&queue, &id).await;
    assert_eq!((view.attempt, view.lost), (2, 2), "{view:?}");
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
    // A claim that was on its way when it stopped may have taken the job, but nobody runs it.
    assert_ne!(show(&queue, &id).await.state, State::Done);
    worker.signal(Signal::Continue);

    drained(&queue).await;
    assert_eq!(show(&queue, &id).await.state, State::Done);
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
