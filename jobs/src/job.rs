//! What a kind of job is.

use std::time::Duration;

use brasa_shared::config::Config;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::JobContext;
use crate::verdict::JobResult;

/// A kind of job: its payload, how it is to be treated, and what it does.
///
/// The payload names things (a statement, a warmer) and never carries SQL or secrets. A job may run more
/// than once, whatever anybody promises: its effects must be safe to repeat, or guarded by
/// [`ThisJob::fence`](crate::ThisJob).
pub trait Job: DeserializeOwned + Send + Sync + 'static {
    /// The name of the kind, `family.verb`.
    const KIND: &'static str;
    /// One line for people.
    const ABOUT: &'static str;
    /// How it is treated.
    const POLICY: Policy;
    /// The newest version of the payload that this build reads. It claims no newer ones.
    const VERSION: u32 = 1;
    /// Former names, so that a rename loses nothing that still waits.
    const ALIASES: &'static [&'static str] = &[];

    /// What is wrong with this payload under this configuration; a warmer that does not exist, say.
    ///
    /// # Errors
    /// A sentence for people.
    #[expect(unused_variables, reason = "the name is what an implementation will see")]
    fn check(&self, config: &Config) -> Result<(), String> {
        Ok(())
    }

    /// Does the work. What it returns is kept with the job as its result.
    fn run(&self, ctx: &JobContext) -> impl Future<Output = JobResult<Value>> + Send;
}

/// How the jobs of a kind are treated where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The queue.
    pub queue: &'static str,
    /// How many attempts, the first included.
    pub attempts_max: u32,
    /// How long one attempt may run.
    pub timeout: Duration,
    /// The longest pause before the second attempt; it doubles from attempt to attempt.
    pub backoff_first: Duration,
    /// The longest pause before any attempt.
    pub backoff_max: Duration,
}

impl Policy {
    /// 25 attempts of 5 minutes in queue `default`, with pauses of up to 2 s at first and 1 h at most.
    pub const fn new() -> Self {
        Self {
            queue: "default",
            attempts_max: 25,
            timeout: Duration::from_mins(5),
            backoff_first: Duration::from_secs(2),
            backoff_max: Duration::from_hours(1),
        }
    }

    /// The same in another queue.
    #[must_use]
    pub const fn queue(mut self, queue: &'static str) -> Self {
        self.queue = queue;
        self
    }

    /// The same with another number of attempts.
    #[must_use]
    pub const fn attempts(mut self, most: u32) -> Self {
        self.attempts_max = most;
        self
    }

    /// The same with another time limit.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with other pauses.
    #[must_use]
    pub const fn backoff(mut self, first: Duration, max: Duration) -> Self {
        (self.backoff_first, self.backoff_max) = (first, max);
        self
    }

    /// The longest pause after failed attempt number `attempt` (from 1). The pause itself is drawn evenly
    /// from zero to this ("full jitter", M. Brooker, AWS Architecture Blog, 2015), so that jobs which
    /// failed together do not come back together.
    pub fn pause_max(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(30);
        self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_limit() {
        let policy = Policy::new();
        let seconds = [1, 2, 5, 12, 25].map(|attempt| policy.pause_max(attempt).as_secs());
        assert_eq!(seconds, [2, 4, 32, 3_600, 3_600]);
    }
}
