//! Changing keys while jobs wait: what is sealed with which key, and sealing it with the active one.
//!
//! A walk reads the jobs of a queue, a few at a time, and puts each back that it sealed anew, if it is still what was
//! read. So any number of workers may run meanwhile, and the walk may break off anywhere.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::queue::envelope::Envelope;
use crate::queue::outcome::Outcome;
use crate::queue::scripts::RESEAL;
use crate::queue::{BATCH_MAX, COSTLY_MAX, Queue, QueueError};
use crate::seal::Keyring;

/// How many bytes one call puts back at most; one job is always let through.
const BYTES_MAX: usize = 1 << 20;

/// How much is sealed with which key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Jobs, by the key that their arguments are sealed with.
    pub jobs: BTreeMap<String, u64>,
    /// Results that are kept, by the same.
    pub results: BTreeMap<String, u64>,
    /// Jobs that are not sealed.
    pub plain: u64,
    /// Jobs that cannot be read.
    pub unreadable: u64,
}

/// What came of a walk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Resealed {
    /// Sealed with the active key now.
    pub anew: u64,
    /// Left, for somebody runs them.
    pub running: u64,
    /// Left, for they are done and go by themselves.
    pub done: u64,
    /// The same of those that were never sealed: no key has to stay for them.
    pub done_plain: u64,
    /// Left, for they were changed meanwhile: another walk finds them.
    pub changed: u64,
    /// Left, for they do not open here.
    pub unopened: u64,
    /// Left, for they are not sealed, and it is required that they are: who would vouch for them?
    pub plain: u64,
}

/// A job that is to be put back.
struct Anew {
    id: String,
    was_sealed: bool,
    envelope: (Vec<u8>, Vec<u8>),
    outcome: (Vec<u8>, Vec<u8>),
}

impl Anew {
    fn bytes(&self) -> usize {
        [&self.envelope, &self.outcome].iter().map(|(was, anew)| was.len() + anew.len()).sum()
    }
}

impl Census {
    /// The same of another queue, too.
    pub fn add(&mut self, other: &Self) {
        for (all, some) in [(&mut self.jobs, &other.jobs), (&mut self.results, &other.results)] {
            for (key, count) in some {
                *all.entry(key.clone()).or_default() += count;
            }
        }
        self.plain += other.plain;
        self.unreadable += other.unreadable;
    }

    fn count(&mut self, job: Option<Envelope>) {
        match job.map(|job| job.sealed) {
            None => self.unreadable += 1,
            Some(None) => self.plain += 1,
            Some(Some(sealed)) => *self.jobs.entry(sealed.key().to_owned()).or_default() += 1,
        }
    }
}

impl Resealed {
    /// The same of another walk, too.
    pub fn add(&mut self, other: &Self) {
        let Self { anew, running, done, done_plain, changed, unopened, plain } = other;
        self.anew += anew;
        self.running += running;
        self.done += done;
        self.done_plain += done_plain;
        self.changed += changed;
        self.unopened += unopened;
        self.plain += plain;
    }

    /// Whether nothing is left that another key has sealed.
    pub fn is_whole(&self) -> bool {
        let Self { anew, plain, done_plain, .. } = *self;
        *self == Self { anew, done_plain, plain, ..Self::default() }
    }
}

impl Queue {
    /// How much is sealed with which key, of all that waits, runs, is kept, or is in the inbox.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn census(&self) -> Result<Census, QueueError> {
        let mut census = Census::default();
        let mut cursor = 0;
        loop {
            let (next, jobs) = self.scan(&self.keys().jobs, cursor).await?;
            for (id, record) in &jobs {
                let id = String::from_utf8_lossy(id);
                census.count(Envelope::from_record(&id, record).ok());
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        loop {
            let (next, outcomes) = self.scan(&self.keys().outcomes, cursor).await?;
            let read = |json: &Vec<u8>| serde_json::from_slice::<Outcome>(json).ok()?.sealed;
            for sealed in outcomes.iter().filter_map(|(_, json)| read(json)) {
                *census.results.entry(sealed.key().to_owned()).or_default() += 1;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.count_inbox(&mut census).await?;
        Ok(census)
    }

    async fn count_inbox(&self, census: &mut Census) -> Result<(), QueueError> {
        let mut from = 0;
        loop {
            let mut look = redis::cmd("LRANGE");
            look.arg(&self.keys().inbox).arg(from).arg(from + BATCH_MAX - 1);
            let entries: Vec<Vec<u8>> = self.run("read the inbox", &look).await?;
            for raw in &entries {
                census.count(Envelope::from_wire(raw).ok());
            }
            from += entries.len();
            if entries.len() < BATCH_MAX {
                return Ok(());
            }
        }
    }

    /// Seals everything with the active key that another one has sealed, and what is not sealed at all where that is
    /// not required. Nothing where there are no keys.
    ///
    /// # Errors
    /// Redis is out of reach or out of memory. What was sealed anew by then is.
    pub async fn reseal(&self) -> Result<Resealed, QueueError> {
        let mut all = Resealed::default();
        let Some(keyring) = self.keyring() else { return Ok(all) };
        let mut cursor = 0;
        loop {
            let (next, jobs) = self.scan(&self.keys().jobs, cursor).await?;
            // A small hash comes all at once.
            for jobs in jobs.chunks(BATCH_MAX) {
                self.reseal_some(keyring, jobs, &mut all).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(all);
            }
        }
    }

    async fn reseal_some(
        &self,
        keyring: &Keyring,
        jobs: &[(Vec<u8>, Vec<u8>)],
        all: &mut Resealed,
    ) -> Result<(), QueueError> {
        let mut read = redis::cmd("HMGET");
        read.arg(&self.keys().outcomes);
        for (id, _) in jobs {
            read.arg(id);
        }
        let outcomes: Vec<Option<Vec<u8>>> = self.run("read outcomes", &read).await?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for ((id, record), outcome) in jobs.iter().zip(outcomes) {
            let Some(anew) = self.anew(keyring, id, record, outcome, all) else { continue };
            if batch.len() == COSTLY_MAX || (!batch.is_empty() && bytes + anew.bytes() > BYTES_MAX) {
                self.put_back(&batch, all).await?;
                (batch, bytes) = (Vec::new(), 0);
            }
            bytes += anew.bytes();
            batch.push(anew);
        }
        if batch.is_empty() { Ok(()) } else { self.put_back(&batch, all).await }
    }

    /// A job and its outcome sealed anew; nothing where there is nothing to do, or nothing can be done.
    fn anew(
        &self,
        keyring: &Keyring,
        id: &[u8],
        record: &[u8],
        outcome: Option<Vec<u8>>,
        all: &mut Resealed,
    ) -> Option<Anew> {
        let id = String::from_utf8_lossy(id).into_owned();
        // What cannot be read is in the dead letter, or will be.
        let mut job = Envelope::from_record(&id, record).ok()?;
        let was_sealed = job.sealed.is_some();
        let envelope = match self.seal_anew(keyring, &mut job) {
            Ok(true) => job.to_record().ok()?,
            Ok(false) => record.to_vec(),
            Err(_) => {
                *(if was_sealed { &mut all.unopened } else { &mut all.plain }) += 1;
                return None;
            }
        };
        let told = outcome.unwrap_or_default();
        let told_anew = self.outcome_anew(keyring, &id, &told).unwrap_or_else(|| told.clone());
        let anew = Anew { id, was_sealed, envelope: (record.to_vec(), envelope), outcome: (told, told_anew) };
        let is_as_it_was = anew.envelope.0 == anew.envelope.1 && anew.outcome.0 == anew.outcome.1;
        (!is_as_it_was).then_some(anew)
    }

    async fn put_back(&self, batch: &[Anew], all: &mut Resealed) -> Result<(), QueueError> {
        let mut call = self.calling(&RESEAL, &[]);
        for job in batch {
            call.push(&job.id);
            for bytes in [&job.envelope.0, &job.envelope.1, &job.outcome.0, &job.outcome.1] {
                call.push(bytes.as_slice());
            }
        }
        for (digit, job) in self.call::<String>(&call).await?.bytes().zip(batch) {
            *match digit {
                b'1' => &mut all.anew,
                b'2' => &mut all.running,
                b'3' if job.was_sealed => &mut all.done,
                b'3' => &mut all.done_plain,
                _ => &mut all.changed,
            } += 1;
        }
        Ok(())
    }

    async fn scan(&self, hash: &str, cursor: u64) -> Result<(u64, Vec<(Vec<u8>, Vec<u8>)>), QueueError> {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(hash).arg(cursor).arg("COUNT").arg(BATCH_MAX);
        self.run("walk through jobs", &scan).await
    }
}
