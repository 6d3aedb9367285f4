//! What people do to a queue: pause, resume, cancel, revive, delete.

use serde::{Deserialize, Serialize};

use crate::queue::envelope::Envelope;
use crate::queue::outcome::{Ending, Outcome};
use crate::queue::scripts::{CANCEL, FORGET, PAUSE, REVIVE};
use crate::queue::{BATCH_MAX, Call, Classes, Queue, QueueError};

/// Who paused a queue, and why.
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
        let at = self.clock.now().as_millisecond();
        let paused = Paused { by: by.to_owned(), reason: reason.to_owned(), at };
        let text = serde_json::to_string(&paused).unwrap_or_default();
        self.call::<()>(&PAUSE, &Call::on(&[&self.keys.paused]).arg(text)).await?;
        Ok(paused)
    }

    /// Hands out jobs again; true if the queue was paused.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn resume(&self) -> Result<bool, QueueError> {
        let mut pipe = redis::pipe();
        pipe.cmd("DEL").arg(&self.keys.paused);
        pipe.cmd("PUBLISH").arg(&self.keys.wake).arg("resumed").ignore();
        let (gone,): (u64,) = self.run_all("resume the queue", &pipe).await?;
        Ok(gone > 0)
    }

    /// Who paused the queue, if anybody did.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn paused(&self) -> Result<Option<Paused>, QueueError> {
        let mut command = redis::cmd("GET");
        command.arg(&self.keys.paused);
        let text: Option<String> = self.run("look whether the queue is paused", &command).await?;
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
        let envelope = self.envelope(id).await?;
        let (class, unique) = match &envelope {
            Some(Ok(envelope)) => (envelope.class(), envelope.unique.clone().unwrap_or_default()),
            _ => (self.class_that_has(id).await?, String::new()),
        };
        let said = if reason.is_empty() { format!("by {by}") } else { format!("by {by}: {reason}") };
        let outcome =
            Outcome::new(Ending::Cancelled, self.clock.now().as_millisecond()).because(said.as_str());
        let k = &self.keys;
        let ready = k.ready(&class);
        let keys = [
            &k.jobs,
            &k.delayed,
            &k.leases,
            &k.cancels,
            &k.done,
            &k.dead,
            &k.outcomes,
            &k.unique,
            &k.stats,
            &ready,
        ];
        let call = Call::on(&keys)
            .arg(self.clock.for_scripts())
            .arg(id)
            .arg(&said)
            .arg(outcome.to_json())
            .arg(self.keep_done.age_ms)
            .arg(&unique)
            .arg(&k.control);
        let answer: String = self.call(&CANCEL, &call).await?;
        Ok(match answer.as_str() {
            "cancelled" => Cancelled::Cancelled,
            "asked" => Cancelled::Asked,
            "done" => Cancelled::Done,
            "dead" => Cancelled::Dead,
            _ => Cancelled::Unknown,
        })
    }

    /// The class whose ready set has a job that cannot be asked for it; empty where none has.
    async fn class_that_has(&self, id: &str) -> Result<String, QueueError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&self.keys.classes);
        let classes: Vec<String> = self.run("list classes", &command).await?;
        for class in classes {
            let mut look = redis::cmd("ZSCORE");
            look.arg(self.keys.ready(&class)).arg(id);
            if self.run::<Option<f64>>("look for a job", &look).await?.is_some() {
                return Ok(class);
            }
        }
        Ok(String::new())
    }

    /// Who asked a running job to stop, in words.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn cancel_reason(&self, id: &str) -> Result<Option<String>, QueueError> {
        let mut command = redis::cmd("HGET");
        command.arg(&self.keys.cancels).arg(id);
        self.run("read who cancelled a job", &command).await
    }

    /// Makes dead jobs ready again with a clean count; per job, whether it was dead, can be read, and
    /// no other job has taken its unique key since.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn revive(&self, ids: &[String]) -> Result<Vec<bool>, QueueError> {
        let k = &self.keys;
        let mut answers = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH_MAX) {
            let mut classes = Classes::default();
            let envelopes = self.envelopes(ids).await?;
            let places: Vec<_> = envelopes
                .into_iter()
                .map(|found| {
                    let envelope = found?.ok()?;
                    Some((classes.place(envelope.class()), envelope.unique.unwrap_or_default()))
                })
                .collect();
            if classes.0.is_empty() {
                answers.extend(ids.iter().map(|_| false));
                continue;
            }
            let keys = [&k.dead, &k.outcomes, &k.claims, &k.classes, &k.stats, &k.jobs, &k.done, &k.unique];
            let call = Call::on(&keys).arg(self.clock.for_scripts()).arg(&k.wake);
            let mut call = classes.into_call(k, call);
            for (id, place) in ids.iter().zip(&places) {
                let Some((place, unique)) = place else { continue };
                call.push(id);
                call.push(place);
                call.push(unique);
            }
            let mut said = self.call::<Vec<bool>>(&REVIVE, &call).await?.into_iter();
            answers.extend(places.iter().map(|place| place.is_some() && said.next().unwrap_or(false)));
        }
        Ok(answers)
    }

    /// Deletes jobs from the dead letter; per job, whether it was there.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn forget(&self, ids: &[String]) -> Result<Vec<bool>, QueueError> {
        let k = &self.keys;
        let mut answers = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH_MAX) {
            let mut call = Call::on(&[&k.dead, &k.jobs, &k.outcomes, &k.claims, &k.trail, &k.stats]);
            for id in ids {
                call.push(id);
            }
            answers.extend(self.call::<Vec<bool>>(&FORGET, &call).await?);
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
        command.arg(&self.keys.jobs).arg(ids);
        let wires: Vec<Option<Vec<u8>>> = self.run("read jobs", &command).await?;
        let read = |wire: Vec<u8>| Envelope::from_wire(&wire).map_err(|error| error.to_string());
        Ok(wires.into_iter().map(|wire| wire.map(read)).collect())
    }
}
