//! Workers killed at random moments while they work, and what every job went through held against it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use brasa_shared::queue::{JobView, Queue, State};
use brasa_tests::World;
use brasa_tests::ledger::{self, Ledger};
use brasa_tests::process::{Brasa, Running, within};

use super::{DRAIN_LIMIT, drained};

/// How much later than its lease allows a job may be taken back.
const BACK_SLACK: Duration = Duration::from_secs(5);
/// How much later it may have run again, and everything be done after the last kill: that is for the machine to say, too.
const RERUN_SLACK: Duration = Duration::from_secs(20);

/// How many workers are killed over how many jobs, and by what they are judged.
pub(crate) struct Massacre {
    pub(crate) kills: u64,
    pub(crate) jobs: u32,
    pub(crate) workers: usize,
    pub(crate) lease: Duration,
}

/// Who was killed, by the number of the process, and when, ms since 1970.
type Killed = BTreeMap<u32, i64>;

impl Massacre {
    /// Kills, waits, judges; says what it came to.
    pub(crate) async fn run(&self) -> String {
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
        let [back_limit_ms, again_limit_ms] =
            [BACK_SLACK, RERUN_SLACK].map(|slack| i64::try_from((self.lease + slack).as_millis()).unwrap());
        for view in views {
            let losses: Vec<Loss> = view.trail.iter().filter_map(|line| Loss::read(line)).collect();
            // Every attempt but the last was lost, and lost because its worker was killed.
            assert_eq!(view.attempt as usize, losses.len() + 1, "{view:?}");
            let attempts: BTreeSet<u32> = runs[&view.id].iter().map(|run| run.attempt).collect();
            assert!(attempts.contains(&view.attempt) && attempts.len() <= losses.len() + 1, "{view:?}");
            for loss in &losses {
                let killed_ms = killed.get(&loss.pid).unwrap_or_else(|| panic!("not killed: {view:?}"));
                let back_ms = loss.at_ms - killed_ms;
                assert!((0..back_limit_ms).contains(&back_ms), "taken back after {back_ms} ms: {view:?}");
                figures.back_ms_max = figures.back_ms_max.max(back_ms);
                let again = runs[&view.id].iter().find(|run| run.attempt == loss.attempt + 1);
                // One that had to wait for a connection to Postgres meanwhile is not late because of its lease.
                if let Some(again) = again.filter(|_| losses.len() == view.trail.len()) {
                    let again_ms = again.at_ms - killed_ms;
                    assert!(
                        (0..again_limit_ms).contains(&again_ms),
                        "ran again after {again_ms} ms: {view:?}"
                    );
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
pub(crate) struct Loss {
    at_ms: i64,
    attempt: u32,
    pub(crate) pid: u32,
}

impl Loss {
    /// Reads a line; none if it tells of something else, such as a wait for a connection to Postgres.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [at_ms, attempt, "lost", worker] = fields[..] else { return None };
        // HOST-PID-RANDOM
        let pid = worker.rsplit('-').nth(1).unwrap();
        Some(Self {
            at_ms: at_ms.parse().unwrap(),
            attempt: attempt.parse().unwrap(),
            pid: pid.parse().unwrap(),
        })
    }
}
