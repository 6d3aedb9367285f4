//! Jobs that follow one another: chains, and groups with a callback.
//!
//! A job that waits for others is made known before them, with the number of jobs that must end; each of these
//! knows who waits for it, and its end counts once, in the script that records it. Ids are made from the id of
//! the whole, so that a flow which was sent half is completed by sending it again.

use crate::queue::envelope::{Envelope, Link};
use crate::queue::lane::lane_of;
use crate::queue::{Enqueued, Queue, QueueError};

/// Why jobs cannot follow one another as asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FlowError {
    /// There are none.
    #[error("a flow has at least one job")]
    Empty,
    /// There are too many.
    #[error("a flow has at most {FLOW_MAX} jobs, not {0}")]
    TooMany(usize),
}

/// The most jobs of a flow.
pub const FLOW_MAX: usize = 100_000;

/// Jobs that follow one another, in the order in which they are to be made known.
#[derive(Debug, Clone)]
pub struct Flow(Vec<Envelope>);

impl Flow {
    /// Jobs that run one after the other: `id.1`, `id.2`, ... Each starts when the one before it is done; where
    /// one dies or is cancelled the rest waits, and goes on when it is retried and done.
    ///
    /// # Errors
    /// See [`FlowError`].
    pub fn chain(id: &str, steps: Vec<Envelope>) -> Result<Self, FlowError> {
        let mut steps = numbered(id, steps)?;
        for place in (1..steps.len()).rev() {
            let link = link_to(&steps[place], false);
            steps[place].parents = 1;
            steps[place - 1].next.push(link);
        }
        // Who waits is known before whom it waits for.
        steps.reverse();
        Ok(Self(steps))
    }

    /// Jobs that run beside one another, `id.1`, `id.2`, ..., and one that runs when all of them are done, or
    /// with `always` when all of them have ended: `id.then`.
    ///
    /// # Errors
    /// See [`FlowError`].
    pub fn group(
        id: &str,
        members: Vec<Envelope>,
        mut callback: Envelope,
        always: bool,
    ) -> Result<Self, FlowError> {
        let mut members = numbered(id, members)?;
        callback.id = format!("{id}.then");
        callback.parents = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let link = link_to(&callback, always);
        for member in &mut members {
            member.next.push(link.clone());
        }
        members.insert(0, callback);
        Ok(Self(members))
    }

    /// The jobs, in the order in which they are to be made known.
    pub fn jobs(&self) -> &[Envelope] {
        &self.0
    }
}

fn numbered(id: &str, mut jobs: Vec<Envelope>) -> Result<Vec<Envelope>, FlowError> {
    if jobs.is_empty() {
        return Err(FlowError::Empty);
    }
    if jobs.len() > FLOW_MAX {
        return Err(FlowError::TooMany(jobs.len()));
    }
    jobs.iter_mut().enumerate().for_each(|(n, job)| job.id = format!("{id}.{}", n + 1));
    Ok(jobs)
}

fn link_to(job: &Envelope, always: bool) -> Link {
    Link { id: job.id.clone(), lane: lane_of(job), share: job.share.clone(), always }
}

impl Queue {
    /// Enqueues a flow. One that breaks off in the middle is completed by enqueuing it again.
    ///
    /// # Errors
    /// As [`Queue::enqueue_all`].
    pub async fn enqueue_flow(&self, flow: &Flow) -> Result<Vec<Enqueued>, QueueError> {
        self.enqueue_all(flow.jobs()).await
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn jobs(count: usize) -> Vec<Envelope> {
        (0..count).map(|n| Envelope::new("a.b", &json!({ "n": n }), Timestamp::UNIX_EPOCH).unwrap()).collect()
    }

    #[test]
    fn in_a_chain_each_waits_for_the_one_before() {
        let flow = Flow::chain("c", jobs(3)).unwrap();
        let said: Vec<_> =
            flow.jobs().iter().map(|job| (job.id.as_str(), job.parents, job.next.len())).collect();
        assert_eq!(said, [("c.3", 1, 0), ("c.2", 1, 1), ("c.1", 0, 1)]);
    }

    #[test]
    fn a_callback_waits_for_all_members() {
        let flow = Flow::group("g", jobs(2), jobs(1).remove(0), true).unwrap();
        assert_eq!((flow.jobs()[0].id.as_str(), flow.jobs()[0].parents), ("g.then", 2));
        assert!(flow.jobs()[1].next[0].always);
    }

    #[test]
    fn nothing_is_no_flow() {
        assert_eq!(Flow::chain("c", Vec::new()).unwrap_err(), FlowError::Empty);
    }
}
