//! Handing jobs out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{FromRedisValue, Value};

use crate::queue::lane::{class_of, is_suspect};
use crate::queue::scripts::{BURY, CLAIM, FINISH, HAND_BACK, RETRY};
use crate::queue::{BATCH_MAX, Queue, QueueError};
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
    /// Which lanes it is for.
    pub company: Company,
}

/// Which jobs a worker runs, by whether they are suspected of taking workers down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// All.
    Mixed,
    /// Those that are not.
    Trusted,
    /// Those that are.
    Suspects,
}

impl Claimant {
    /// Whether it can run the jobs of a lane.
    pub fn knows(&self, lane: &str) -> bool {
        let suspect = is_suspect(lane);
        let for_it = match self.company {
            Company::Mixed => true,
            Company::Trusted => !suspect,
            Company::Suspects => suspect,
        };
        for_it && self.classes.iter().any(|class| class == class_of(lane))
    }
}

/// A claim's answer.
#[derive(Debug, Default)]
pub struct Claimed {
    /// The jobs, in the order in which they are to start.
    pub jobs: Vec<ClaimedJob>,
    /// After how long something that is limited may go on, where a limit kept jobs back.
    pub look_again: Option<Duration>,
    /// The asking has had its jobs: it will never bring others than these, also where those have ended meanwhile.
    pub is_spent: bool,
}

/// One job that this worker holds now.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job.
    pub id: String,
    /// Secret of this claim; every later word about the job carries it.
    pub nonce: Arc<str>,
    /// The how-manieth attempt this is, from 1.
    pub attempt: u32,
    /// Quarters of a crash blamed on the job so far.
    pub blame: u32,
    /// A number that only grows from claim to claim of this queue, for the handler's own effects.
    pub fence: i64,
    /// What was enqueued, unread: whether it can be read is the dispatcher's affair.
    pub envelope: Vec<u8>,
    /// When it was handed out by the clock that judges it, ms since 1970.
    pub claimed_ms: i64,
    /// When the claim was asked for. The lease is counted from here by its holder, so that a slow answer
    /// shortens its trust and never lengthens it.
    pub asked: Instant,
}

/// Numbers the askings of this process, so that one that arrives late is known for it.
static ASKINGS: AtomicU64 = AtomicU64::new(0);

/// One asking for jobs: the nonce under which they are handed out, and when it was last asked in vain.
#[derive(Debug, Clone)]
pub struct Asking {
    nonce: Arc<str>,
    asked: Instant,
    /// How many jobs may be handed over later where there are none now.
    offer: usize,
}

impl Default for Asking {
    fn default() -> Self {
        let nonce =
            format!("{:012x}{:020x}", ASKINGS.fetch_add(1, Ordering::Relaxed), rand::random::<u128>() >> 48);
        Self { nonce: nonce.into(), asked: Instant::now(), offer: 0 }
    }
}

impl Asking {
    /// The same with so many jobs that may be handed over later, where there are none now.
    #[must_use]
    pub fn offering(mut self, jobs: usize) -> Self {
        self.offer = jobs;
        self
    }

    /// The same after an answer that had no jobs, to an asking that was sent at `asked`: what is handed over under it
    /// is handed over after that.
    #[must_use]
    pub fn in_vain(mut self, asked: Instant) -> Self {
        self.asked = asked;
        self
    }
}

/// What a claim says instead of when to look again, where it was answered before.
const SPENT: i64 = -2;

/// How long a worker that found nothing may be handed jobs without asking again.
pub const OFFER: Duration = Duration::from_millis(1_500);

impl Queue {
    /// The lanes that have been used and that the claimant can run.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn lanes_for(&self, claimant: &Claimant) -> Result<Vec<String>, QueueError> {
        let mut lanes = self.lanes().await?;
        lanes.retain(|lane| claimant.knows(lane));
        Ok(lanes)
    }

    /// All lanes that have been used.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn lanes(&self) -> Result<Vec<String>, QueueError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&self.keys().lanes);
        let mut lanes: Vec<String> = self.run("list lanes", &command).await?;
        lanes.sort_unstable();
        Ok(lanes)
    }

    /// Claims up to `most` jobs (at most [`BATCH_MAX`]). Nothing is claimed that the claimant cannot run.
    ///
    /// # Errors
    /// Redis is out of reach for longer than the store has patience. The claim may have happened all the
    /// same: see [`Self::claim_with`].
    pub async fn claim(&self, claimant: &Claimant, most: usize) -> Result<Claimed, QueueError> {
        let lanes = self.lanes_for(claimant).await?;
        self.claim_with(claimant, &lanes, most, &Asking::default()).await
    }

    /// The same out of lanes that the caller knows of, and with an asking of the caller's. One that failed is
    /// asked again until it is answered: where the jobs were handed out and only the answer was lost, the same
    /// jobs are given again.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub async fn claim_with(
        &self,
        claimant: &Claimant,
        lanes: &[String],
        most: usize,
        asking: &Asking,
    ) -> Result<Claimed, QueueError> {
        let mut call = self
            .calling(&CLAIM, lanes)
            .arg(self.clock().for_scripts())
            .arg(i64::try_from(claimant.lease.as_millis()).unwrap_or(i64::MAX))
            .arg(most.min(BATCH_MAX))
            .arg(&claimant.worker)
            .arg(&*asking.nonce)
            .arg(self.inner.ageing_ms)
            .arg(asking.offer)
            .arg(u64::try_from(OFFER.as_millis()).unwrap_or(u64::MAX))
            .arg(self.keys().hand(&claimant.worker))
            .lanes(lanes);
        for limit in self.limits() {
            let (field, at_once, interval_ms, burst) = limit.words();
            call = call.arg(field).arg(at_once).arg(interval_ms).arg(burst);
        }
        let answer: Vec<Value> = self.call(&call).await?;
        Ok(read_claim(answer, asking))
    }
}

/// Jobs that were handed over to a worker that had asked in vain.
#[derive(Debug, Clone)]
pub struct HandedOver(Vec<u8>);

impl HandedOver {
    /// What was told by the channel of the worker.
    pub(crate) fn new(message: Vec<u8>) -> Self {
        Self(message)
    }

    /// The jobs, if they are handed over under this asking. It may have been answered in another way meanwhile, and
    /// then these are those of that answer.
    pub fn to(&self, asking: &Asking) -> Option<Claimed> {
        let (head, mut rest) = line(&self.0)?;
        let mut words = head.split(' ');
        if words.next()? != &*asking.nonce {
            return None;
        }
        let (fence, claimed_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let handed = Handed { asking, claimed_ms, fence };
        let mut jobs = Vec::new();
        while !rest.is_empty() {
            let (head, behind) = line(rest)?;
            let (id, bytes) = head.split_once(' ')?;
            let (envelope, behind) = behind.split_at_checked(bytes.parse().ok()?)?;
            jobs.push(handed.job(jobs.len(), id.to_owned(), envelope.to_vec()));
            rest = behind;
        }
        Some(Claimed { jobs, look_again: None, is_spent: true })
    }
}

/// The first line, and what is behind it.
fn line(text: &[u8]) -> Option<(&str, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&text[..end]).ok()?, &text[end + 1..]))
}

/// What the jobs of a claim have in common.
struct Handed<'a> {
    asking: &'a Asking,
    claimed_ms: i64,
    /// The fence of the first.
    fence: i64,
}

impl Handed<'_> {
    fn job(&self, place: usize, id: String, envelope: Vec<u8>) -> ClaimedJob {
        ClaimedJob {
            id,
            nonce: Arc::clone(&self.asking.nonce),
            attempt: 1,
            blame: 0,
            fence: self.fence + i64::try_from(place).unwrap_or_default(),
            envelope,
            claimed_ms: self.claimed_ms,
            asked: self.asking.asked,
        }
    }
}

fn number<T: FromRedisValue + Default>(value: &Value) -> T {
    T::from_redis_value_ref(value).unwrap_or_default()
}

fn read_claim(answer: Vec<Value>, asking: &Asking) -> Claimed {
    let Ok([now, wait, fence, ids, envelopes, before]) = <[Value; 6]>::try_from(answer) else {
        return Claimed::default();
    };
    let wait_ms: i64 = number(&wait);
    let handed = Handed { asking, claimed_ms: number(&now), fence: number(&fence) };
    let mut jobs: Vec<ClaimedJob> = list(ids)
        .into_iter()
        .zip(list(envelopes))
        .enumerate()
        .map(|(place, (id, envelope))| {
            handed.job(place, String::from_redis_value(id).unwrap_or_default(), bytes(envelope))
        })
        .collect();
    // The few that were handed out before.
    for told in list(before).chunks_exact(3) {
        let [place, attempt, blame] = told else { continue };
        if let Some(job) = number::<usize>(place).checked_sub(1).and_then(|place| jobs.get_mut(place)) {
            (job.attempt, job.blame) = (number(attempt), number(blame));
        }
    }
    // Of a claim that is answered again: those that have ended meanwhile.
    jobs.retain(|job| !job.id.is_empty());
    let is_spent = wait_ms == SPENT || !jobs.is_empty();
    Claimed { jobs, look_again: u64::try_from(wait_ms).ok().map(Duration::from_millis), is_spent }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes,
        _ => Vec::new(),
    }
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
        let k = self.keys();
        let mut pipe = redis::pipe();
        for key in [&k.held, &k.calls, &k.offered, &k.said] {
            pipe.cmd("HKEYS").arg(key);
        }
        let (mut workers, calls, offered, said): (Vec<String>, Vec<String>, Vec<String>, Vec<String>) =
            self.run_all("list claimants", &pipe).await?;
        workers.extend(calls.into_iter().chain(offered));
        let voices = said.iter().filter_map(|voice| voice.rsplit_once(':'));
        workers.extend(voices.map(|(worker, _)| worker.to_owned()));
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
        let k = self.keys();
        let mut pipe = redis::pipe();
        pipe.cmd("ZREM").arg(&k.offers).arg(workers).ignore();
        for key in [&k.held, &k.calls, &k.offered] {
            pipe.cmd("HDEL").arg(key).arg(workers).ignore();
        }
        for lua in [&FINISH, &RETRY, &BURY, &HAND_BACK] {
            let voices: Vec<_> = workers.iter().map(|worker| format!("{worker}:{}", lua.name)).collect();
            pipe.cmd("HDEL").arg(&k.said).arg(voices).ignore();
        }
        self.run_all("forget claimants", &pipe).await
    }

    /// Says how many jobs a worker holds in all its queues. Within one queue scripts count for themselves;
    /// whether a job is lost in company depends on the others too.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn keep_company(&self, worker: &str, jobs: usize) -> Result<(), QueueError> {
        let mut command = redis::cmd("HSET");
        command.arg(&self.keys().held).arg(worker).arg(jobs);
        match self.run("say how many jobs are held", &command).await {
            // A full Redis keeps the older number, which will do.
            Err(error) if error.fault() == Some(Fault::OutOfMemory) => Ok(()),
            answer => answer,
        }
    }
}
