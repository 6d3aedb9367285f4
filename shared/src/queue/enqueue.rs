//! Making jobs known.

use crate::queue::envelope::Envelope;
use crate::queue::scripts::ENQUEUE;
use crate::queue::{BATCH_MAX, Call, Classes, Queue, QueueError};

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
}

impl Queue {
    /// Enqueues one job.
    ///
    /// # Errors
    /// The job breaks a rule, or Redis is out of reach or out of memory.
    pub async fn enqueue(&self, job: &Envelope) -> Result<Enqueued, QueueError> {
        let answers = self.enqueue_all(std::slice::from_ref(job)).await?;
        Ok(answers.into_iter().next().unwrap_or(Enqueued::Known))
    }

    /// Enqueues many jobs, [`BATCH_MAX`] per round trip. All are checked before the first is sent; a fault
    /// in the middle leaves the earlier ones enqueued, and sending all again does no harm.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn enqueue_all(&self, jobs: &[Envelope]) -> Result<Vec<Enqueued>, QueueError> {
        let wires = jobs.iter().map(|job| self.wire(job)).collect::<Result<Vec<_>, _>>()?;
        let mut answers = Vec::with_capacity(jobs.len());
        for (jobs, wires) in jobs.chunks(BATCH_MAX).zip(wires.chunks(BATCH_MAX)) {
            answers.extend(self.enqueue_batch(jobs, wires).await?);
        }
        Ok(answers)
    }

    fn wire(&self, job: &Envelope) -> Result<Vec<u8>, QueueError> {
        job.to_wire().map_err(|source| QueueError::Envelope {
            queue: self.name.clone(),
            id: job.id.clone(),
            source,
        })
    }

    async fn enqueue_batch(&self, jobs: &[Envelope], wires: &[Vec<u8>]) -> Result<Vec<Enqueued>, QueueError> {
        let mut classes = Classes::default();
        let places: Vec<_> = jobs.iter().map(|job| classes.place(job.class())).collect();
        let k = &self.keys;
        let call = Call::on(&[&k.jobs, &k.delayed, &k.done, &k.dead, &k.unique, &k.classes, &k.stats])
            .arg(self.clock.for_scripts())
            .arg(&k.wake);
        let mut call = classes.into_call(k, call);
        for ((job, wire), place) in jobs.iter().zip(wires).zip(places) {
            call.push(&job.id);
            call.push(job.due.unwrap_or(0));
            call.push(place);
            call.push(job.unique.as_deref().unwrap_or_default());
            call.push(wire.as_slice());
        }
        let answers: Vec<redis::Value> = self.call(&ENQUEUE, &call).await?;
        Ok(answers.into_iter().map(read_answer).collect())
    }
}

fn read_answer(answer: redis::Value) -> Enqueued {
    match answer {
        redis::Value::Int(1) => Enqueued::New,
        redis::Value::BulkString(holder) => {
            Enqueued::Held { by: String::from_utf8_lossy(&holder).into_owned() }
        }
        _ => Enqueued::Known,
    }
}
