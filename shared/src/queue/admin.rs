//! What people do to a queue: pause, resume, close, cancel, revive, delete.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::queue::envelope::Envelope;
use crate::queue::lane::{lane_of, share_of};
use crate::queue::outcome::{Ending, Outcome};
use crate::queue::scripts::{CANCEL, FORGET, PAUSE, REVIVE};
use crate::queue::settle::places;
use crate::queue::{BATCH_MAX, Lanes, Queue, QueueError};

/// Who paused a queue or closed it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// When, ms since 1970.
    pub at: i64,
}

/// What a cancel found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancelled {
    /// The job had not started, and will not.
    Cancelled,
    /// It runs, and has been asked to stop.
    Asked,
    /// It is done already.
    Done,
    /// It is in the dead letter already.
    Dead,
    /// There is no such job.
    Unknown,
}

impl Queue {
    /// Stops handing out jobs of this queue, on every worker. Running ones go on.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn pause(&self, by: &str, reason: &str) -> Result<Paused, QueueError> {
        self.write_down("paused", by, reason).await
    }

    /// Hands out jobs again; true if the queue was paused.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn resume(&self) -> Result<bool, QueueError> {
        let mut pipe = redis::pipe();
        pipe.cmd("DEL").arg(&self.keys().paused);
        pipe.cmd("PUBLISH").arg(&self.keys().wake).arg("").ignore();
        let (gone,): (u64,) = self.run_all("resume the queue", &pipe).await?;
        Ok(gone > 0)
    }

    /// Who paused the queue, if anybody did.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn paused(&self) -> Result<Option<Paused>, QueueError> {
        self.read_up(&self.keys().paused).await
    }

    /// Takes no new jobs any more, by whichever door. What is there runs to its end, retries included.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn close(&self, by: &str, reason: &str) -> Result<Paused, QueueError> {
        self.write_down("door", by, reason).await
    }

    /// Takes new jobs again; true if the queue was closed.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn reopen(&self) -> Result<bool, QueueError> {
        let mut command = redis::cmd("DEL");
        command.arg(&self.keys().door);
        let gone: u64 = self.run("open the queue", &command).await?;
        Ok(gone > 0)
    }

    /// Who closed the queue, if anybody did.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn door(&self) -> Result<Option<Paused>, QueueError> {
        self.read_up(&self.keys().door).await
    }

    async fn write_down(&self, what: &str, by: &str, reason: &str) -> Result<Paused, QueueError> {
        let at = self.clock().now().as_millisecond();
        let paused = Paused { by: by.to_owned(), reason: reason.to_owned(), at };
        let text = serde_json::to_string(&paused).unwrap_or_default();
        self.call::<()>(&self.calling(&PAUSE, &[]).arg(what).arg(text)).await?;
        Ok(paused)
    }

    async fn read_up(&self, key: &str) -> Result<Option<Paused>, QueueError> {
        let mut command = redis::cmd("GET");
        command.arg(key);
        let text: Option<String> = self.run("look whether the queue was stopped", &command).await?;
        Ok(text.map(|text| {
            let unknown = || Paused { by: "somebody".to_owned(), reason: text.clone(), at: 0 };
            serde_json::from_str(&text).unwrap_or_else(|_| unknown())
        }))
    }

    /// Stops a job wherever it is.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn cancel(&self, id: &str, by: &str, reason: &str) -> Result<Cancelled, QueueError> {
        let envelope = self.envelope(id).await?.and_then(Result::ok);
        let said = if reason.is_empty() { format!("by {by}") } else { format!("by {by}: {reason}") };
        let outcome =
            Outcome::new(Ending::Cancelled, self.clock().now().as_millisecond()).because(said.as_str());
        let mut lanes = Lanes::default();
        let next = envelope.as_ref().map(|job| job.next.as_slice()).unwrap_or_default();
        let links = places(next, &mut lanes);
        let k = self.keys();
        let mut call = self
            .calling(&CANCEL, &lanes.0)
            .arg(self.clock().for_scripts())
            .arg(id)
            .arg(&said)
            .arg(outcome.to_json())
            .arg(self.inner.keep_done.age_ms)
            .arg(envelope.and_then(|job| job.unique).unwrap_or_default())
            .arg(&k.control)
            .arg(&k.wake)
            .arg(&k.ended);
        for (_, link) in links.into_iter().filter(|(always, _)| *always) {
            call.push(link);
        }
        let answer: String = self.call(&call).await?;
        Ok(match answer.as_str() {
            "cancelled" => Cancelled::Cancelled,
            "asked" => Cancelled::Asked,
            "done" => Cancelled::Done,
            "dead" => Cancelled::Dead,
            _ => Cancelled::Unknown,
        })
    }

    /// Who asked a running job to stop, in words.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn cancel_reason(&self, id: &str) -> Result<Option<String>, QueueError> {
        let mut command = redis::cmd("HGET");
        command.arg(&self.keys().cancels).arg(id);
        self.run("read who cancelled a job", &command).await
    }

    /// Makes dead jobs ready again with a clean count; per job, whether it was dead, can be read, and
    /// no other job has taken its unique key since.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn revive(&self, ids: &[String]) -> Result<Vec<bool>, QueueError> {
        self.revive_every(ids, Duration::ZERO).await
    }

    /// The same with so much time between one job and the next, so that they do not fail all at once.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn revive_every(&self, ids: &[String], every: Duration) -> Result<Vec<bool>, QueueError> {
        let mut answers = Vec::with_capacity(ids.len());
        for (batch, ids) in ids.chunks(BATCH_MAX).enumerate() {
            let readable: Vec<_> = self.envelopes(ids).await?.into_iter().map(|found| found?.ok()).collect();
            let mut lanes = Lanes::default();
            let places: Vec<_> =
                readable.iter().map(|job| job.as_ref().map(|job| lanes.place(lane_of(job)))).collect();
            let mut call = self
                .calling(&REVIVE, &lanes.0)
                .arg(self.clock().for_scripts())
                .arg(&self.keys().wake)
                .lanes(&lanes.0);
            for (n, (job, place)) in readable.iter().zip(&places).enumerate() {
                let (Some(job), Some(place)) = (job, place) else { continue };
                let turn = u32::try_from(batch * BATCH_MAX + n).unwrap_or(u32::MAX);
                call.push(&job.id);
                call.push(place);
                call.push(job.unique.as_deref().unwrap_or_default());
                call.push(share_of(job));
                call.push(u64::try_from(every.saturating_mul(turn).as_millis()).unwrap_or(u64::MAX));
            }
            let mut said =
                if lanes.0.is_empty() { Vec::new() } else { self.call::<Vec<bool>>(&call).await? }
                    .into_iter();
            answers.extend(places.iter().map(|place| place.is_some() && said.next().unwrap_or(false)));
        }
        Ok(answers)
    }

    /// Deletes jobs from the dead letter; per job, whether it was there.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn forget(&self, ids: &[String]) -> Result<Vec<bool>, QueueError> {
        let mut answers = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH_MAX) {
            let mut call = self.calling(&FORGET, &[]);
            for id in ids {
                call.push(id);
            }
            answers.extend(self.call::<Vec<bool>>(&call).await?);
        }
        Ok(answers)
    }

    /// The envelope of a job: none if it is unknown, an error if it cannot be read.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn envelope(&self, id: &str) -> Result<Option<Result<Envelope, String>>, QueueError> {
        let found = self.envelopes(std::slice::from_ref(&id.to_owned())).await?;
        Ok(found.into_iter().next().flatten())
    }

    pub(crate) async fn envelopes(
        &self,
        ids: &[String],
    ) -> Result<Vec<Option<Result<Envelope, String>>>, QueueError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(&self.keys().jobs).arg(ids);
        let records: Vec<Option<Vec<u8>>> = self.run("read jobs", &command).await?;
        let read = |(id, record): (&String, Option<Vec<u8>>)| {
            Some(Envelope::from_record(id, &record?).map_err(|error| error.to_string()))
        };
        Ok(ids.iter().zip(records).map(read).collect())
    }
}
