//! What loaders may take of the application's database.
//!
//! There is one budget in a process, and all warmers share it. It is a window of batches that may run at once, which
//! grows while they take no longer than they did, and is halved as soon as they do: that the loaders' own batches
//! become slow is the first that is seen of the application's becoming slow. Where nobody else is at work, that says
//! nothing. Below one, the window is the share of the time that a single batch may run.
//!
//! A budget has no task of its own. Whoever is first in line waits for what it takes, the others wait for their turn.

mod busy;
mod latency;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod window;

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until};

use self::state::{End, Report, State, Wait};
pub use self::terms::{Brake, BudgetState, Caps, Signs};

/// The budget. Clones share it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    caps: Caps,
    /// Whoever holds it is first in line. Tokio hands it on in the order of asking.
    first: Mutex<()>,
    /// Tells the first in line that a batch has ended.
    ended: Notify,
    /// Those who are kept waiting by batches only.
    ended_soon: Notify,
    state: std::sync::Mutex<State>,
}

impl Budget {
    /// A budget that has seen nothing yet: one batch may run.
    pub fn new(caps: Caps) -> Self {
        let state = std::sync::Mutex::new(State::new(Instant::now()));
        Self(Arc::new(Inner {
            caps,
            first: Mutex::new(()),
            ended: Notify::new(),
            ended_soon: Notify::new(),
            state,
        }))
    }

    /// Waits until a batch may run. Callers are served in the order in which they ask; one that no longer waits is
    /// out of the line.
    pub async fn enter(&self) -> Permit {
        let _waiting = Waiting::new(&self.0);
        let _first = self.0.first.lock().await;
        loop {
            let admitted = self.0.state().admit(&self.0.caps, Instant::now());
            match admitted {
                Ok((began, round)) => {
                    return Permit { budget: Arc::clone(&self.0), began, round, has_ended: false };
                }
                Err(Wait::ForAnEnd) => self.0.ended.notified().await,
                Err(Wait::Until(at)) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.0.ended.notified() => {}
                },
            }
        }
    }

    /// The same for a batch that somebody waits for, or without which values would end: it is kept waiting by other
    /// batches, and by no pause. Without it the application would ask the database by itself.
    pub async fn enter_soon(&self) -> Permit {
        let _waiting = Waiting::new(&self.0);
        loop {
            let mut ended = std::pin::pin!(self.0.ended_soon.notified());
            ended.as_mut().enable();
            if let Some((began, round)) = self.0.state().admit_soon(&self.0.caps, Instant::now()) {
                return Permit { budget: Arc::clone(&self.0), began, round, has_ended: false };
            }
            ended.await;
        }
    }

    /// How many batches may ever run at once.
    pub fn most(&self) -> usize {
        self.0.caps.most()
    }

    /// How the budget stands.
    pub fn state(&self) -> BudgetState {
        self.0.state().sum_up(Instant::now())
    }
}

/// The right to run one batch. To drop it is to say that the batch failed.
#[must_use = "the batch may run for as long as this is held"]
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Inner>,
    began: Instant,
    round: u64,
    has_ended: bool,
}

impl Permit {
    /// The batch has ended. `took` is how long the database was at it, without the wait for a connection and what was
    /// done with the answer.
    pub fn done(mut self, warmer: &str, keys: usize, took: Duration, signs: &Signs) {
        self.has_ended = true;
        self.budget.end(self.began, self.round, &End::Told(Report { warmer, keys, took, signs }));
    }

    /// The batch failed by its own fault: its statement does not fit, or its parameters. The database was at it for so
    /// long; how others fare, and how long batches take, this does not say.
    pub fn faulty(mut self, took: Duration) {
        self.has_ended = true;
        self.budget.end(self.began, self.round, &End::Faulty(took));
    }

    /// There was nothing to run after all. The budget is as if nobody had asked.
    pub fn unused(mut self) {
        self.has_ended = true;
        self.budget.end(self.began, self.round, &End::Unused);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.has_ended {
            self.budget.end(self.began, self.round, &End::Lost);
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, began: Instant, round: u64, end: &End<'_>) {
        self.state().end(&self.caps, began, round, end, Instant::now());
        self.ended_soon.notify_waiters();
        self.ended.notify_one();
    }
}

/// A caller that waits, for as long as it does.
struct Waiting<'b>(&'b Inner);

impl<'b> Waiting<'b> {
    fn new(budget: &'b Inner) -> Self {
        budget.state().waiting += 1;
        Self(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}
