//! Making jobs known.

use std::borrow::Cow;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};

use crate::queue::envelope::Envelope;
use crate::queue::lane::lane_of;
use crate::queue::scripts::ENQUEUE;
use crate::queue::{BATCH_MAX, Budget, COSTLY_MAX, Lanes, Queue, QueueError};

/// How many calls of a bulk are on their way at once.
const CALLS_AHEAD: usize = 4;

/// What became of one job that was to be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// It is new.
    New,
    /// Its id is known already; nothing was changed.
    Known,
    /// Another live job holds its unique key; nothing was changed.
    Held {
        /// That job.
        by: String,
    },
    /// Another job that had not started has its unique key, and has been replaced or put off.
    Merged {
        /// That job, which keeps its id.
        into: String,
    },
}

/// What a queue said to one job.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Taken(Enqueued),
    /// It holds as much as it may: so many open jobs and bytes.
    Full(u64, u64),
    Closed,
}

/// A job in the words of `lua/enqueue.lua`.
#[derive(Debug, Clone)]
pub(crate) struct Worded {
    id: String,
    lane: String,
    spec: String,
    record: Vec<u8>,
}

impl Queue {
    /// Enqueues one job. Callers that do so at the same time share a round trip.
    ///
    /// # Errors
    /// The job breaks a rule, the queue is full or closed, or Redis is out of reach or out of memory.
    pub async fn enqueue(&self, job: &Envelope) -> Result<Enqueued, QueueError> {
        match self.enqueue_in_company(self.word(job)?).await {
            Ok(said) => self.accept(said, 0).await,
            Err(error) => Err(QueueError::Shared(error)),
        }
    }

    /// Enqueues many jobs, up to [`BATCH_MAX`] per round trip. All are checked before the first is sent; a fault
    /// in the middle leaves the earlier ones enqueued, and sending all again does no harm. Behind one that there
    /// is no room for nothing is taken, so that who waits is known before those it waits for.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn enqueue_all(&self, jobs: &[Envelope]) -> Result<Vec<Enqueued>, QueueError> {
        let worded = jobs.iter().map(|job| self.word(job)).collect::<Result<Vec<_>, _>>()?;
        let is_plain = worded.iter().all(|job| job.spec.is_empty());
        let batch = if is_plain { BATCH_MAX } else { COSTLY_MAX };
        let calls: Vec<BoxFuture<'_, _>> =
            worded.chunks(batch).map(|jobs| self.enqueue_worded(jobs, true).boxed()).collect();
        // While one call is on its way the next ones follow it: the connection keeps their order. Not where one
        // may be refused, for nothing is to be taken behind that; nor where jobs may wait for one another, for calls
        // that are sent again may change places.
        let ahead = if is_plain && self.budget() == Budget::default() { CALLS_AHEAD } else { 1 };
        let mut calls = futures_util::stream::iter(calls).buffered(ahead);
        let mut answers = Vec::with_capacity(jobs.len());
        while let Some(said) = calls.next().await {
            for said in said? {
                let taken = answers.len();
                answers.push(self.accept(said, taken).await?);
            }
        }
        Ok(answers)
    }

    /// The answer to a job, or why it was refused; `taken` jobs of the same call were not.
    async fn accept(&self, said: Said, taken: usize) -> Result<Enqueued, QueueError> {
        match said {
            Said::Taken(answer) => Ok(answer),
            Said::Closed => Err(self.closed(taken).await),
            Said::Full(jobs, bytes) => {
                let (queue, budget) = (self.name().to_owned(), self.budget());
                Err(QueueError::Full { queue, taken, jobs, bytes, budget })
            }
        }
    }

    /// The job as it is put into Redis, sealed where there are keys, and its bytes.
    pub(crate) fn record<'j>(&self, job: &'j Envelope) -> Result<(Cow<'j, Envelope>, Vec<u8>), QueueError> {
        let made = self.seal(job).and_then(|job| job.to_record().map(|record| (job, record)));
        made.map_err(|source| QueueError::Envelope {
            queue: self.name().to_owned(),
            id: job.id.clone(),
            source,
        })
    }

    fn word(&self, job: &Envelope) -> Result<Worded, QueueError> {
        let (job, record) = self.record(job)?;
        Ok(Worded { id: job.id.clone(), lane: lane_of(&job), spec: job.spec(), record })
    }

    /// One round trip; `in_order` where nothing is to be taken behind a job that there is no room for.
    pub(crate) async fn enqueue_worded(
        &self,
        jobs: &[Worded],
        in_order: bool,
    ) -> Result<Vec<Said>, QueueError> {
        let mut lanes = Lanes::default();
        let places: Vec<_> = jobs.iter().map(|job| lanes.place_of(&job.lane)).collect();
        let (k, budget) = (self.keys(), self.budget());
        let mut call = self
            .calling(&ENQUEUE, &lanes.0)
            .arg(self.clock().for_scripts())
            .arg(&k.wake)
            .arg(budget.jobs)
            .arg(budget.bytes)
            .arg(u8::from(in_order))
            .lanes(&lanes.0);
        for (job, place) in jobs.iter().zip(places) {
            call.push(&job.id);
            if job.spec.is_empty() {
                call.push(place);
            } else {
                call.push(format!("{place} {}", job.spec));
            }
            call.push(job.record.as_slice());
        }
        let said: Vec<redis::Value> = self.call(&call).await?;
        let [jobs_now, bytes_now, said @ ..] = said.as_slice() else { return Ok(Vec::new()) };
        let number = |value| redis::from_redis_value_ref::<u64>(value).unwrap_or_default();
        let full = Said::Full(number(jobs_now), number(bytes_now));
        Ok(said.iter().map(|said| read_answer(said, &full)).collect())
    }

    /// Why the door is closed.
    pub(crate) async fn closed(&self, taken: usize) -> QueueError {
        let by = self.door().await.ok().flatten();
        QueueError::Closed { queue: self.name().to_owned(), taken, by }
    }
}

fn read_answer(answer: &redis::Value, full: &Said) -> Said {
    match answer {
        redis::Value::Int(1..=3) => Said::Taken(Enqueued::New),
        redis::Value::Int(-1 | -2) => full.clone(),
        redis::Value::Int(-3) => Said::Closed,
        redis::Value::BulkString(said) => {
            let said = String::from_utf8_lossy(said);
            Said::Taken(match said.strip_prefix('=') {
                Some(id) => Enqueued::Merged { into: id.to_owned() },
                None => Enqueued::Held { by: said.into_owned() },
            })
        }
        _ => Said::Taken(Enqueued::Known),
    }
}
