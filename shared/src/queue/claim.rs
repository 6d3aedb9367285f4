//! Handing jobs out.

use std::time::{Duration, Instant};

use redis::{FromRedisValue, Value};

use crate::queue::scripts::CLAIM;
use crate::queue::{BATCH_MAX, Call, Queue, QueueError};
use crate::store::Fault;

/// Who claims, and what it can run.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// Names the worker process for the whole of its life, and no other.
    pub worker: String,
    /// The classes that it can run.
    pub classes: Vec<String>,
    /// How long a lease lasts before it must be renewed.
    pub lease: Duration,
}

/// A claim's answer.
#[derive(Debug, Default)]
pub struct Claimed {
    /// The jobs, oldest first.
    pub jobs: Vec<ClaimedJob>,
}

/// One job that this worker holds now.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job.
    pub id: String,
    /// Secret of this claim; every later word about the job carries it.
    pub nonce: String,
    /// The how-manieth attempt this is, from 1.
    pub attempt: u32,
    /// Quarters of a crash blamed on the job so far.
    pub blame: u32,
    /// A number that only grows from claim to claim of this queue, for the handler's own effects.
    pub fence: i64,
    /// What was enqueued, unread: whether it can be read is the dispatcher's affair.
    pub envelope: Vec<u8>,
    /// When the claim was asked for. The lease is counted from here by its holder, so that a slow answer
    /// shortens its trust and never lengthens it.
    pub asked: Instant,
}

/// One asking for jobs: the nonce under which they are handed out, and when it was first asked.
#[derive(Debug, Clone)]
pub struct Asking {
    nonce: String,
    asked: Instant,
}

impl Default for Asking {
    fn default() -> Self {
        Self { nonce: fresh_nonce(), asked: Instant::now() }
    }
}

impl Queue {
    /// Claims up to `most` jobs (at most [`BATCH_MAX`]). Nothing is claimed that the claimant cannot run.
    ///
    /// # Errors
    /// Redis is out of reach for longer than the store has patience. The claim may have happened all the
    /// same: see [`Self::claim_with`].
    pub async fn claim(&self, claimant: &Claimant, most: usize) -> Result<Claimed, QueueError> {
        self.claim_with(claimant, most, &Asking::default()).await
    }

    /// The same with an asking of the caller's. One that failed is asked again until it is answered: where
    /// the jobs were handed out and only the answer was lost, the same jobs are given again.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub async fn claim_with(
        &self,
        claimant: &Claimant,
        most: usize,
        asking: &Asking,
    ) -> Result<Claimed, QueueError> {
        let Asking { nonce, asked } = asking;
        let k = &self.keys;
        let mut call = Call::on(&[&k.jobs, &k.leases, &k.claims, &k.held, &k.calls, &k.fence, &k.paused])
            .arg(self.clock.for_scripts())
            .arg(i64::try_from(claimant.lease.as_millis()).unwrap_or(i64::MAX))
            .arg(most.min(BATCH_MAX))
            .arg(&claimant.worker)
            .arg(nonce);
        call.keys.extend(claimant.classes.iter().map(|class| k.ready(class)));
        let answer: Vec<Value> = self.call(&CLAIM, &call).await?;
        let jobs = answer.get(1..).unwrap_or_default().chunks_exact(5);
        let jobs = jobs.filter_map(|fields| read_job(fields, nonce, *asked)).collect();
        Ok(Claimed { jobs })
    }
}

fn read_job(fields: &[Value], nonce: &str, asked: Instant) -> Option<ClaimedJob> {
    let [id, attempt, blame, fence, envelope] = fields else { return None };
    Some(ClaimedJob {
        id: String::from_redis_value_ref(id).ok()?,
        nonce: nonce.to_owned(),
        attempt: u32::from_redis_value_ref(attempt).ok()?,
        blame: u32::from_redis_value_ref(blame).ok()?,
        fence: i64::from_redis_value_ref(fence).ok()?,
        envelope: Vec::<u8>::from_redis_value_ref(envelope).ok()?,
        asked,
    })
}

/// 128 random bits, in hexadecimal.
pub(crate) fn fresh_nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Queue {
    /// The workers that this queue remembers claims of.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn claimants(&self) -> Result<Vec<String>, QueueError> {
        let mut pipe = redis::pipe();
        pipe.cmd("HKEYS").arg(&self.keys.held).cmd("HKEYS").arg(&self.keys.calls);
        let (mut workers, calls): (Vec<String>, Vec<String>) = self.run_all("list claimants", &pipe).await?;
        workers.extend(calls);
        workers.sort();
        workers.dedup();
        Ok(workers)
    }

    /// Forgets what is remembered of workers that are gone for good.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn forget_claimants(&self, workers: &[String]) -> Result<(), QueueError> {
        if workers.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        pipe.cmd("HDEL").arg(&self.keys.held).arg(workers).ignore();
        pipe.cmd("HDEL").arg(&self.keys.calls).arg(workers).ignore();
        self.run_all("forget claimants", &pipe).await
    }

    /// Says how many jobs a worker holds in all its queues. Within one queue scripts count for themselves;
    /// whether a job is lost in company depends on the others too.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn keep_company(&self, worker: &str, jobs: usize) -> Result<(), QueueError> {
        let mut command = redis::cmd("HSET");
        command.arg(&self.keys.held).arg(worker).arg(jobs);
        match self.run("say how many jobs are held", &command).await {
            // A full Redis keeps the older number, which will do.
            Err(error) if error.fault() == Some(Fault::OutOfMemory) => Ok(()),
            answer => answer,
        }
    }
}
