//! Keeping the queue in order: due jobs become ready, the inbox is admitted, old outcomes go.
//!
//! Each is two steps: read what is there, then move exactly that, in a script that looks again. Any number of
//! workers may do it at once.

use redis::{FromRedisValue, Value};

use crate::queue::envelope::Envelope;
use crate::queue::lane::{lane_after, lane_of};
use crate::queue::outcome::{Ending, Outcome};
use crate::queue::scripts::{DUE, INTAKE, PARK, PROMOTE, SWEEP};
use crate::queue::{BATCH_MAX, COSTLY_MAX, JobView, Lanes, Queue, QueueError};

/// A delayed job whose time has come.
struct Due {
    id: String,
    /// What it is, or why that cannot be said.
    envelope: Result<Envelope, String>,
    /// How many holders it was lost with.
    lost: u64,
}

impl Queue {
    /// Makes up to [`BATCH_MAX`] due jobs ready; returns how many were due. An entry that cannot be read is
    /// put into the dead letter alone.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn promote_due(&self) -> Result<usize, QueueError> {
        let (now, found) = self.due().await?;
        let due = found.len();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for Due { id, envelope, lost } in found {
            match envelope {
                Ok(envelope) => {
                    let (lane, share) = lane_after(&envelope, lost);
                    good.push((id, lane, share.to_owned()));
                }
                Err(reason) => bad.push((id, reason)),
            }
        }
        if !good.is_empty() {
            self.promote(good, &now.to_string()).await?;
        }
        if !bad.is_empty() {
            self.park(&bad).await?;
        }
        Ok(due)
    }

    /// Makes delayed jobs ready at once, and those that wait for others. Returns how many there were.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn promote_now(&self, jobs: &[Envelope]) -> Result<u64, QueueError> {
        let mut moved = 0;
        for batch in jobs.chunks(BATCH_MAX) {
            let ids: Vec<String> = batch.iter().map(|job| job.id.clone()).collect();
            let views = self.views(&ids).await?;
            let lost = |view: &Option<JobView>| view.as_ref().map_or(0, |view| u64::from(view.lost));
            let jobs = batch.iter().zip(&views).map(|(job, view)| {
                let (lane, share) = lane_after(job, lost(view));
                (job.id.clone(), lane, share.to_owned())
            });
            moved += self.promote(jobs.collect(), "+inf").await?;
        }
        Ok(moved)
    }

    async fn promote(&self, jobs: Vec<(String, String, String)>, latest: &str) -> Result<u64, QueueError> {
        let mut moved = 0;
        for jobs in jobs.chunks(COSTLY_MAX) {
            let mut lanes = Lanes::default();
            let places: Vec<_> = jobs.iter().map(|(_, lane, _)| lanes.place_of(lane)).collect();
            let mut call = self
                .calling(&PROMOTE, &lanes.0)
                .arg(self.clock().for_scripts())
                .arg(&self.keys().wake)
                .arg(latest)
                .lanes(&lanes.0);
            for ((id, _, share), place) in jobs.iter().zip(places) {
                call.push(id);
                call.push(place);
                call.push(share);
            }
            moved += self.call::<u64>(&call).await?;
        }
        Ok(moved)
    }

    async fn park(&self, entries: &[(String, String)]) -> Result<u64, QueueError> {
        let mut call = self.calling(&PARK, &[]).arg(self.clock().for_scripts());
        for (id, reason) in entries {
            call.push(id);
            call.push(self.dead(reason).to_json());
        }
        self.call(&call).await
    }

    /// Admits up to [`BATCH_MAX`] entries of the inbox; returns how many left it. What cannot be read goes
    /// into the dead letter as it was pushed. Where the queue is full or closed, they stay.
    ///
    /// # Errors
    /// Redis is out of reach or out of memory; the entries stay in the inbox.
    pub async fn drain_inbox(&self) -> Result<usize, QueueError> {
        let mut look = redis::cmd("LRANGE");
        look.arg(&self.keys().inbox).arg(0).arg(BATCH_MAX - 1);
        let entries: Vec<Vec<u8>> = self.run("read the inbox", &look).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let mut lanes = Lanes::default();
        let entries: Vec<_> = entries.into_iter().map(|raw| self.admit(raw, &mut lanes)).collect();
        let mut call = self
            .calling(&INTAKE, &lanes.0)
            .arg(self.clock().for_scripts())
            .arg(&self.keys().wake)
            .arg(self.budget().jobs)
            .arg(self.budget().bytes)
            .lanes(&lanes.0);
        for field in entries.into_iter().flatten() {
            call.push(field);
        }
        let (moved, _idle): (usize, usize) = self.call(&call).await?;
        Ok(moved)
    }

    /// The five fields that `intake.lua` takes for one entry.
    fn admit(&self, raw: Vec<u8>, lanes: &mut Lanes) -> [Vec<u8>; 5] {
        let read = Envelope::from_wire(&raw).and_then(|mut envelope| {
            if envelope.at == 0 {
                envelope.at = self.clock().now().as_millisecond();
            }
            let envelope = self.admitted(&envelope)?.into_owned();
            Ok((envelope.to_record()?, envelope))
        });
        match read {
            Ok((record, envelope)) => {
                let place = lanes.place(lane_of(&envelope)).to_string().into_bytes();
                let spec = envelope.spec().into_bytes();
                [raw, envelope.id.into_bytes(), place, spec, record]
            }
            Err(error) => {
                let id = format!("unreadable-{}", ulid::Ulid::generate());
                let outcome = self.dead(&format!("pushed to the inbox and parked: {error}")).to_json();
                [raw, id.into_bytes(), b"0".to_vec(), Vec::new(), outcome.into_bytes()]
            }
        }
    }

    /// Forgets ended jobs that the queue has no longer room or time for, [`BATCH_MAX`] for each reason;
    /// returns how many. Where jobs end this happens by itself; where none do any more, it takes this.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn sweep(&self) -> Result<usize, QueueError> {
        let (done, dead) = (self.inner.keep_done, self.inner.keep_dead);
        let call = self
            .calling(&SWEEP, &[])
            .arg(self.clock().for_scripts())
            .arg(done.count)
            .arg(done.bytes)
            .arg(dead.count)
            .arg(dead.bytes)
            .arg(dead.age_ms)
            .arg(BATCH_MAX);
        self.call(&call).await
    }

    pub(crate) fn dead(&self, reason: &str) -> Outcome {
        Outcome::new(Ending::Dead, self.clock().now().as_millisecond()).because(reason)
    }

    async fn due(&self) -> Result<(i64, Vec<Due>), QueueError> {
        let call = self.calling(&DUE, &[]).arg(self.clock().for_scripts()).arg(BATCH_MAX);
        let answer: Vec<Value> = self.call(&call).await?;
        let now = answer.first().and_then(|now| i64::from_redis_value_ref(now).ok()).unwrap_or_default();
        let found = answer.get(1..).unwrap_or_default().chunks_exact(3);
        Ok((now, found.filter_map(read_due).collect()))
    }
}

fn read_due(fields: &[Value]) -> Option<Due> {
    let [id, record, lost] = fields else { return None };
    let id = String::from_redis_value_ref(id).ok()?;
    let record = Vec::<u8>::from_redis_value_ref(record).ok()?;
    let envelope = Envelope::from_record(&id, &record).map_err(|error| error.to_string());
    Some(Due { id, envelope, lost: u64::from_redis_value_ref(lost).ok()? })
}
