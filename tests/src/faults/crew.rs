//! The workers of a case: several processes, each of which is replaced when it is gone.

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::process::{Brasa, Running, Signal};

/// Workers that run.
pub(super) struct Crew {
    brasa: Brasa,
    pub(super) workers: Vec<Running>,
}

impl Crew {
    /// Starts as many.
    pub(super) fn start(brasa: Brasa, count: usize) -> Self {
        let workers = (0..count).map(|_| brasa.start(["worker"])).collect();
        Self { brasa, workers }
    }

    /// One of them, by chance.
    pub(super) fn any(&mut self, dice: &mut StdRng) -> &mut Running {
        let place = dice.random_range(0..self.workers.len());
        &mut self.workers[place]
    }

    /// Ends one of them with SIGKILL and starts another in its place.
    pub(super) async fn kill_any(&mut self, dice: &mut StdRng) {
        let victim = dice.random_range(0..self.workers.len());
        self.workers[victim].kill().await;
        self.workers[victim] = self.brasa.start(["worker"]);
    }

    /// Asks one of them to end, with another in its place already, and waits until it has.
    pub(super) async fn relieve_any(&mut self, dice: &mut StdRng) {
        let next = self.brasa.start(["worker"]);
        let leaving = std::mem::replace(self.any(dice), next);
        leaving.signal(Signal::Terminate);
        drop(leaving.ended(super::LIMIT).await);
    }

    /// Replaces those that have ended; says how many had.
    pub(super) fn replace_the_fallen(&mut self) -> usize {
        let mut fallen = 0;
        for worker in &mut self.workers {
            if !worker.is_running() {
                *worker = self.brasa.start(["worker"]);
                fallen += 1;
            }
        }
        fallen
    }

    /// What is wrong with those that nobody has ended, and that have ended all the same.
    pub(super) fn fallen(&mut self) -> Vec<String> {
        let fallen = self.workers.iter_mut().filter_map(|worker| {
            let log = (!worker.is_running()).then(|| worker.log())?;
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            Some(format!("worker {} ended by itself: {}", worker.pid(), last.join(" | ")))
        });
        fallen.collect()
    }

    /// Asks all of them to end, and waits until they have.
    pub(super) async fn dismiss(self) {
        for mut worker in self.workers {
            if worker.is_running() {
                worker.signal(Signal::Terminate);
            }
            drop(worker.ended(super::LIMIT).await);
        }
    }
}
