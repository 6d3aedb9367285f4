//! A corner of a real Redis that belongs to one test, with a time of its own.

use std::time::Duration;

use brasa_shared::clock::{Clock, Manual};
use brasa_shared::queue::Queue;
use brasa_shared::store::{Store, StoreError};
use jiff::Timestamp;

use super::drain::{DrainError, Drained, drain};
use super::inline::Inline;
use crate::enqueue::Queues;

/// Where the time of a sandbox begins: 2026-01-01T00:00:00Z.
const BEGINNING: Timestamp = Timestamp::constant(1_767_225_600, 0);
/// How many keys are asked for at a time when a sandbox is cleared.
const KEYS_MAX: usize = 1_000;

/// Queues under a prefix that nobody else has, on a clock that stands still until [`Self::advance`] moves it.
/// Tests beside one another on one Redis see nothing of each other.
///
/// ```no_run
/// # use brasa_jobs::{Enqueuer, Job, JobContext, JobResult, Policy, job_of};
/// use brasa_jobs::testing::{Inline, Sandbox};
/// # use serde::Deserialize;
/// use serde_json::json;
/// # use std::time::Duration;
/// # #[derive(Deserialize)]
/// # struct Remind { customer: i64 }
/// # impl Job for Remind {
/// #     const KIND: &'static str = "customer.remind";
/// #     const ABOUT: &'static str = "Reminds a customer";
/// #     const POLICY: Policy = Policy::new();
/// #     async fn run(&self, _: &JobContext) -> JobResult<serde_json::Value> { Ok(json!(self.customer)) }
/// # }
/// # async fn test() -> Result<(), Box<dyn std::error::Error>> {
/// let sandbox = Sandbox::on("redis://127.0.0.1:6379/")?;
/// let mut job = job_of::<Remind>(&json!({ "customer": 7 }), &sandbox.clock())?;
/// job.due = Some((sandbox.clock().now() + Duration::from_secs(3600)).as_millisecond());
/// sandbox.queues().enqueue("default", job).await?;
///
/// let inline = Inline::of::<Remind>();
/// assert_eq!(sandbox.drain("default", &inline).await?.runs.len(), 0);
/// sandbox.advance(Duration::from_secs(3600));
/// sandbox.drain("default", &inline).await?.assert_all_done();
/// sandbox.clear().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sandbox {
    store: Store,
    prefix: String,
    time: Manual,
}

impl Sandbox {
    /// A fresh one on the Redis at `url`; connects when first used.
    ///
    /// # Errors
    /// The address cannot be understood.
    pub fn on(url: &str) -> Result<Self, StoreError> {
        let prefix = format!("test-{:016x}", rand::random::<u64>());
        Ok(Self { store: Store::open(url)?, prefix, time: Manual::at(BEGINNING) })
    }

    /// What its keys begin with, for programs that are to meet it there (`[redis] prefix`).
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Its time.
    pub fn clock(&self) -> Clock {
        Clock::Manual(self.time.clone())
    }

    /// Moves its time on, and so makes due what is delayed until then.
    pub fn advance(&self, by: Duration) {
        self.time.advance(by);
    }

    /// Its queues, for the code under test.
    pub fn queues(&self) -> Queues {
        Queues::new(self.store.clone(), &self.prefix, self.clock())
    }

    /// One of its queues.
    pub fn queue(&self, name: &str) -> Queue {
        self.queues().queue(name)
    }

    /// Runs everything that is due in one of its queues, see [`drain`].
    ///
    /// # Errors
    /// As [`drain`].
    pub async fn drain(&self, queue: &str, inline: &Inline) -> Result<Drained, DrainError> {
        drain(&self.queue(queue), inline).await
    }

    /// Deletes its keys. What a test leaves behind that fails before it comes here lies under a prefix that
    /// begins with `test-`.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn clear(self) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{}:*", self.prefix)).arg("COUNT").arg(KEYS_MAX);
            let (next, keys): (u64, Vec<String>) = self.store.run("list keys", &scan).await?;
            if !keys.is_empty() {
                self.store.run::<()>("delete keys", redis::cmd("UNLINK").arg(&keys)).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}
