//! Deciding about jobs that are held: renew, finish, retry, bury, hand back.
//!
//! Every call takes many jobs and answers for each; one refusal never concerns the others.

use std::time::Duration;

use crate::queue::outcome::Outcome;
use crate::queue::scripts::{BURY, FINISH, HAND_BACK, RENEW, RETRY};
use crate::queue::{BATCH_MAX, Call, Classes, Queue, QueueError};

/// The part of a claim that proves it.
#[derive(Debug, Clone)]
pub struct Held {
    /// The job.
    pub id: String,
    /// The claim's nonce.
    pub nonce: String,
}

/// What came of renewing one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It lasts longer now.
    Renewed,
    /// The job is somebody else's; stop it.
    Lost,
    /// It lasts longer, and somebody asked for the job to be stopped.
    StopAsked,
}

/// What came of settling one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was accepted, now or when it was first sent.
    Accepted,
    /// The claim was lost to another worker; nothing was changed.
    Refused,
    /// Only for a retry: a cancel came first, and the job is still held.
    CancelFirst,
}

/// A job that has ended, done or cancelled.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Whose claim.
    pub held: Held,
    /// Its unique key, to be freed.
    pub unique: Option<String>,
    /// How long the outcome is kept, ms, instead of the queue's own time.
    pub keep_ms: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A job that is to be tried again later.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Whose claim.
    pub held: Held,
    /// How much later, by the server's clock.
    pub delay: Duration,
    /// True where the attempt does not count.
    pub snooze: bool,
    /// One line for the trail of the job.
    pub note: String,
}

/// A job that is given up.
#[derive(Debug, Clone)]
pub struct Burial {
    /// Whose claim.
    pub held: Held,
    /// Its unique key, to be freed.
    pub unique: Option<String>,
    /// Why.
    pub outcome: Outcome,
}

/// A job that did not run and goes back to its place.
#[derive(Debug, Clone)]
pub struct HandBack {
    /// Whose claim.
    pub held: Held,
    /// The class that it came from.
    pub class: String,
}

impl Queue {
    /// Lengthens leases by `lease` from now.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn renew(&self, held: &[Held], lease: Duration) -> Result<Vec<Renewal>, QueueError> {
        let k = &self.keys;
        let mut answers = Vec::with_capacity(held.len());
        for batch in held.chunks(BATCH_MAX) {
            let mut call = Call::on(&[&k.leases, &k.claims, &k.cancels])
                .arg(self.clock.for_scripts())
                .arg(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
            for held in batch {
                call.push_held(held);
            }
            let said: Vec<u8> = self.call(&RENEW, &call).await?;
            answers.extend(said.into_iter().map(|code| match code {
                1 => Renewal::Renewed,
                3 => Renewal::StopAsked,
                _ => Renewal::Lost,
            }));
        }
        Ok(answers)
    }

    /// Records jobs as done or cancelled.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn finish(&self, jobs: &[Finish]) -> Result<Vec<Settled>, QueueError> {
        let k = &self.keys;
        let keys = [
            &k.jobs,
            &k.leases,
            &k.claims,
            &k.held,
            &k.trail,
            &k.done,
            &k.outcomes,
            &k.cancels,
            &k.unique,
            &k.stats,
        ];
        let mut answers = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH_MAX) {
            let mut call = Call::on(&keys).arg(self.clock.for_scripts()).arg(self.keep_done.count);
            for item in batch {
                call.push_held(&item.held);
                call.push(item.keep_ms.unwrap_or(self.keep_done.age_ms));
                call.push(item.unique.as_deref().unwrap_or_default());
                call.push(match item.outcome.ending {
                    crate::queue::Ending::Cancelled => "cancelled",
                    _ => "done",
                });
                call.push(item.outcome.to_json());
            }
            answers.extend(read(self.call(&FINISH, &call).await?));
        }
        Ok(answers)
    }

    /// Puts jobs into the delayed set.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn retry(&self, jobs: &[Retry]) -> Result<Vec<Settled>, QueueError> {
        let k = &self.keys;
        let keys = [&k.leases, &k.claims, &k.held, &k.trail, &k.delayed, &k.cancels, &k.stats];
        let mut answers = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH_MAX) {
            let mut call = Call::on(&keys).arg(self.clock.for_scripts());
            for item in batch {
                call.push_held(&item.held);
                call.push(u64::try_from(item.delay.as_millis()).unwrap_or(u64::MAX));
                call.push(u8::from(item.snooze));
                call.push(&item.note);
            }
            answers.extend(read(self.call(&RETRY, &call).await?));
        }
        Ok(answers)
    }

    /// Puts jobs into the dead letter.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn bury(&self, jobs: &[Burial]) -> Result<Vec<Settled>, QueueError> {
        let k = &self.keys;
        let keys = [
            &k.jobs,
            &k.leases,
            &k.claims,
            &k.held,
            &k.trail,
            &k.dead,
            &k.outcomes,
            &k.cancels,
            &k.unique,
            &k.stats,
        ];
        let mut answers = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH_MAX) {
            let mut call = Call::on(&keys)
                .arg(self.clock.for_scripts())
                .arg(self.keep_dead.count)
                .arg(self.keep_dead.age_ms);
            for item in batch {
                call.push_held(&item.held);
                call.push(item.unique.as_deref().unwrap_or_default());
                call.push(item.outcome.to_json());
            }
            answers.extend(read(self.call(&BURY, &call).await?));
        }
        Ok(answers)
    }

    /// Returns jobs that did not run, without using an attempt.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn hand_back(&self, batch: &[HandBack]) -> Result<Vec<Settled>, QueueError> {
        let k = &self.keys;
        let mut answers = Vec::with_capacity(batch.len());
        for batch in batch.chunks(BATCH_MAX) {
            let mut classes = Classes::default();
            let mut call = Call::on(&[&k.leases, &k.claims, &k.held, &k.cancels]).arg(&k.wake);
            for item in batch {
                call.push_held(&item.held);
                call.push(classes.place(item.class.clone()));
            }
            call.keys.extend(classes.0.iter().map(|class| k.ready(class)));
            answers.extend(read(self.call(&HAND_BACK, &call).await?));
        }
        Ok(answers)
    }
}

impl Call {
    fn push_held(&mut self, held: &Held) {
        self.push(&held.id);
        self.push(&held.nonce);
    }
}

fn read(codes: Vec<u8>) -> Vec<Settled> {
    codes
        .into_iter()
        .map(|code| match code {
            1 | 2 => Settled::Accepted,
            3 => Settled::CancelFirst,
            _ => Settled::Refused,
        })
        .collect()
}
