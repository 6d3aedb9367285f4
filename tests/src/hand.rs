//! A worker as the queue sees one: a name, what it can run, and what it says about jobs it holds. It runs
//! nothing, so a test decides when it dies.

use std::time::Duration;

use brasa_shared::queue::{
    Asking, Burial, Claimant, Claimed, ClaimedJob, Company, Ending, Finish, HandBack, Held, Outcome, Queue,
    Retry,
};

/// How long the leases of a [`Hand`] last.
pub const LEASE: Duration = Duration::from_secs(30);
/// A moment after the end of a lease that began now.
pub const LEASE_OVER: Duration = Duration::from_millis(30_001);
/// After how many crashes tests quarantine a job, as the default configuration does.
pub const CRASHES_MAX: u32 = 3;

/// A worker that runs nothing.
#[derive(Debug, Clone)]
pub struct Hand(Claimant);

impl Hand {
    /// The worker `name`, which can run `classes`.
    pub fn new(name: &str, classes: &[&str]) -> Self {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        Self(Claimant { worker: name.to_owned(), classes, lease: LEASE, company: Company::Mixed })
    }

    /// The same for these jobs only, by whether they are suspected of taking workers down.
    #[must_use]
    pub fn in_company(mut self, company: Company) -> Self {
        self.0.company = company;
        self
    }

    /// Asks for up to `most` jobs, and is told all that there is to be told.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn ask(&self, queue: &Queue, most: usize) -> Claimed {
        queue.claim(&self.0, most).await.expect("a claim")
    }

    /// Asks in vain, and offers to be handed up to `most` jobs later under that asking.
    ///
    /// # Panics
    /// It was not in vain, or Redis does not answer.
    pub async fn offer(&self, queue: &Queue, most: usize) -> Asking {
        let asking = Asking::default().offering(most);
        assert!(self.ask_again(queue, most, &asking).await.jobs.is_empty());
        asking
    }

    /// Asks for up to `most` jobs with an asking that it has had.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn ask_again(&self, queue: &Queue, most: usize, asking: &Asking) -> Claimed {
        let lanes = queue.lanes_for(&self.0).await.expect("the lanes");
        queue.claim_with(&self.0, &lanes, most, asking).await.expect("a claim")
    }

    /// Claims up to `most` jobs.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn claim(&self, queue: &Queue, most: usize) -> Vec<ClaimedJob> {
        self.ask(queue, most).await.jobs
    }

    /// Claims the one job that there is for it.
    ///
    /// # Panics
    /// There is none.
    pub async fn claim_one(&self, queue: &Queue) -> ClaimedJob {
        self.claim(queue, 1).await.pop().expect("a job to claim")
    }
}

/// What proves a claim.
pub fn held(job: &ClaimedJob) -> Held {
    Held { id: job.id.clone(), nonce: job.nonce.clone() }
}

/// "It is done."
pub fn done(job: &ClaimedJob) -> Finish {
    Finish {
        held: held(job),
        unique: None,
        keep_ms: None,
        envelope_bytes: job.envelope.len(),
        next: Vec::new(),
        outcome: Outcome::new(Ending::Done, 0),
        line: String::new(),
    }
}

/// "It is done", and frees its unique key.
pub fn done_freeing(job: &ClaimedJob, unique: &str) -> Finish {
    Finish { unique: Some(unique.to_owned()), ..done(job) }
}

/// "It is hopeless."
pub fn dead(job: &ClaimedJob, reason: &str) -> Burial {
    Burial {
        held: held(job),
        unique: None,
        outcome: Outcome::new(Ending::Dead, 0).because(reason),
        next: Vec::new(),
        line: String::new(),
    }
}

/// "It failed; again in `delay`."
pub fn again(job: &ClaimedJob, delay: Duration, note: &str) -> Retry {
    Retry { held: held(job), delay, snooze: false, note: note.to_owned() }
}

/// "Not now; again in `delay`, and this does not count."
pub fn snoozed(job: &ClaimedJob, delay: Duration) -> Retry {
    Retry { snooze: true, ..again(job, delay, "") }
}

/// "I did not run it."
pub fn back(job: &ClaimedJob, lane: &str) -> HandBack {
    HandBack { held: held(job), lane: lane.to_owned(), share: None }
}

/// The holder dies, and the lease of its job ends: what all workers do about it together. The queue's clock
/// must stand behind the end of the lease.
///
/// # Panics
/// Redis does not answer.
pub async fn reclaim(queue: &Queue) {
    queue.reclaim_lost(CRASHES_MAX).await.expect("a reclaim");
    queue.promote_due().await.expect("due jobs become ready");
}
