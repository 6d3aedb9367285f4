//! What was enqueued, instead of enqueuing it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brasa_shared::queue::{Enqueued, Envelope};
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::enqueue::{EnqueueError, Enqueuer};
use crate::job::Job;

/// A job that was to be enqueued.
#[derive(Debug, Clone)]
pub struct CapturedJob {
    /// Into which queue.
    pub queue: String,
    /// The job.
    pub job: Envelope,
}

impl CapturedJob {
    /// Its arguments.
    pub fn args(&self) -> Value {
        serde_json::from_str(self.job.args.get()).unwrap_or_default()
    }
}

/// Takes jobs in place of the queues and keeps them, in order, for a test to look at. Clones share what was
/// taken, so one can be given away.
///
/// It answers as a queue does: an id that is known and a unique key that is taken change nothing, and a job
/// that breaks a rule is refused. Nothing ends here, so a unique key is taken until [`Self::take`].
///
/// ```
/// use brasa_jobs::testing::Captured;
/// use brasa_jobs::{Clock, Enqueuer, Job, job_of};
/// # use brasa_jobs::{JobContext, JobResult, Policy};
/// # use serde::Deserialize;
/// use serde_json::json;
/// # #[derive(Deserialize)]
/// # struct Settle { invoice: i64 }
/// # impl Job for Settle {
/// #     const KIND: &'static str = "invoice.settle";
/// #     const ABOUT: &'static str = "Marks an invoice as settled";
/// #     const POLICY: Policy = Policy::new();
/// #     async fn run(&self, _: &JobContext) -> JobResult<serde_json::Value> { Ok(json!(self.invoice)) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let jobs = Captured::default();
/// let job = job_of::<Settle>(&json!({ "invoice": 7 }), &Clock::System).unwrap();
/// jobs.enqueue("default", job).await.unwrap();
///
/// jobs.assert_enqueued::<Settle>(&json!({ "invoice": 7 }));
/// jobs.refute_enqueued::<Settle>(&json!({ "invoice": 8 }));
/// assert_eq!(jobs.all()[0].queue, "default");
/// # });
/// ```
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<CapturedJob>>>);

impl Captured {
    /// All that were enqueued, oldest first.
    pub fn all(&self) -> Vec<CapturedJob> {
        self.jobs().clone()
    }

    /// Those of one kind.
    pub fn of<J: Job>(&self) -> Vec<CapturedJob> {
        self.jobs().iter().filter(|captured| captured.job.kind == J::KIND).cloned().collect()
    }

    /// All of them, and forgets them: to run each with [`Inline`](super::Inline), say, and see what those
    /// enqueue.
    pub fn take(&self) -> Vec<CapturedJob> {
        std::mem::take(&mut *self.jobs())
    }

    /// A job of this kind was enqueued whose arguments hold these. What is left out does not matter, on
    /// every level: `json!({})` is any job of the kind.
    ///
    /// # Panics
    /// None was; the message lists what was.
    #[track_caller]
    pub fn assert_enqueued<J: Job>(&self, args: &Value) {
        assert!(self.has::<J>(args), "no `{}` with {args} was enqueued; {}", J::KIND, self.told());
    }

    /// No job of this kind was enqueued whose arguments hold these.
    ///
    /// # Panics
    /// One was; the message lists what was.
    #[track_caller]
    pub fn refute_enqueued<J: Job>(&self, args: &Value) {
        assert!(!self.has::<J>(args), "a `{}` with {args} was enqueued; {}", J::KIND, self.told());
    }

    /// Nothing was enqueued.
    ///
    /// # Panics
    /// Something was; the message lists it.
    #[track_caller]
    pub fn assert_nothing_enqueued(&self) {
        assert!(self.jobs().is_empty(), "something was enqueued; {}", self.told());
    }

    fn has<J: Job>(&self, args: &Value) -> bool {
        self.of::<J>().iter().any(|captured| holds(&captured.args(), args))
    }

    fn told(&self) -> String {
        let line = |CapturedJob { queue, job }: &CapturedJob| {
            format!("\n  {} into {queue}: {}", job.kind, job.args.get())
        };
        let lines: String = self.jobs().iter().map(line).collect();
        if lines.is_empty() { "nothing was".to_owned() } else { format!("what was enqueued:{lines}") }
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<CapturedJob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, queue: &str, job: Envelope) -> Result<Enqueued, EnqueueError> {
        // What a queue would refuse.
        let _wire = job.to_wire()?;
        let mut jobs = self.jobs();
        let mut here = jobs.iter().filter(|captured| captured.queue == queue);
        if here.any(|captured| captured.job.id == job.id) {
            return Ok(Enqueued::Known);
        }
        let mut here = jobs.iter().filter(|captured| captured.queue == queue);
        let holder = here.find(|captured| job.unique.is_some() && captured.job.unique == job.unique);
        if let Some(holder) = holder {
            return Ok(Enqueued::Held { by: holder.job.id.clone() });
        }
        jobs.push(CapturedJob { queue: queue.to_owned(), job });
        Ok(Enqueued::New)
    }
}

impl Enqueuer for Captured {
    fn enqueue<'a>(&'a self, queue: &'a str, job: Envelope) -> BoxFuture<'a, Result<Enqueued, EnqueueError>> {
        Box::pin(async move { self.admit(queue, job) })
    }
}

/// Whether a value holds another: objects field by field, everything else as it is.
fn holds(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(name, part)| value.get(name).is_some_and(|value| holds(value, part)))
        }
        _ => value == part,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_does_not_matter_and_what_is_named_must_be_the_same() {
        let value = json!({ "a": 1, "b": { "c": [1, 2], "d": null } });
        for part in [json!({}), json!({ "a": 1 }), json!({ "b": { "c": [1, 2] } }), json!({ "b": {} })] {
            assert!(holds(&value, &part), "{part}");
        }
        for part in [json!({ "a": 2 }), json!({ "b": { "c": [1] } }), json!({ "e": null })] {
            assert!(!holds(&value, &part), "{part}");
        }
    }
}
