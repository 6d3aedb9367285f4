//! Taking jobs back whose holders are gone.

use redis::{FromRedisValue, Value};

use crate::queue::envelope::Envelope;
use crate::queue::outcome::{Ending, Outcome};
use crate::queue::scripts::{LOST, RECLAIM};
use crate::queue::settle::places;
use crate::queue::{BATCH_MAX, Held, Lanes, QUARTERS_PER_CRASH, Queue, QueueError};

/// Jobs lost in company come back within this many ms of one another; see `lua/reclaim.lua`.
const SPREAD_MS: u64 = 1_500;

/// What a reclaim found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Jobs that will be handed out again.
    pub returned: u64,
    /// Jobs that went into the dead letter, for they have taken too many workers down.
    pub quarantined: u64,
    /// Jobs that had been asked to stop, and are now recorded as cancelled.
    pub cancelled: u64,
}

/// A process that ran one job and nothing else was seen to die.
#[derive(Debug, Clone)]
pub struct Witnessed {
    /// The job's claim.
    pub held: Held,
    /// How the process ended, in a few words.
    pub how: String,
}

/// A job that is to be taken back.
struct Lost {
    id: String,
    envelope: Option<Envelope>,
    witness: Option<Witnessed>,
}

impl Queue {
    /// Takes up to [`BATCH_MAX`] jobs back whose leases have run out. `crashes_max` crashes that are surely a
    /// job's own put it into the dead letter.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn reclaim_lost(&self, crashes_max: u32) -> Result<Reclaimed, QueueError> {
        let call = self.calling(&LOST, &[]).arg(self.clock().for_scripts()).arg(BATCH_MAX);
        let answer: Vec<Value> = self.call(&call).await?;
        let text = |value: &Value| String::from_redis_value_ref(value).unwrap_or_default();
        let over = answer.first().and_then(|count| usize::from_redis_value_ref(count).ok()).unwrap_or(0);
        let nonces: Vec<String> = answer.iter().skip(1).take(over).map(text).collect();
        let pairs = answer.get(1 + over..).unwrap_or_default().chunks_exact(2);
        let lost: Vec<Lost> = pairs
            .filter_map(|pair| {
                let [id, record] = pair else { return None };
                let (id, record) = (text(id), Vec::<u8>::from_redis_value_ref(record).ok()?);
                Some(Lost { envelope: Envelope::from_record(&id, &record).ok(), id, witness: None })
            })
            .collect();
        if lost.is_empty() && nonces.is_empty() {
            return Ok(Reclaimed::default());
        }
        self.take_back(crashes_max, &nonces, lost).await
    }

    /// Takes a job back at once whose process was seen to die. Whose fault it was is certain then.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn reclaim_witnessed(
        &self,
        crashes_max: u32,
        seen: Witnessed,
    ) -> Result<Reclaimed, QueueError> {
        let envelope = self.envelope(&seen.held.id).await?.and_then(Result::ok);
        let lost = Lost { id: seen.held.id.clone(), envelope, witness: Some(seen) };
        self.take_back(crashes_max, &[], vec![lost]).await
    }

    async fn take_back(
        &self,
        crashes_max: u32,
        nonces: &[String],
        lost: Vec<Lost>,
    ) -> Result<Reclaimed, QueueError> {
        let cancelled = Outcome::new(Ending::Cancelled, self.clock().now().as_millisecond());
        let mut lanes = Lanes::default();
        let next = |job: &Lost| job.envelope.as_ref().map(|job| job.next.clone()).unwrap_or_default();
        let links: Vec<_> = lost.iter().map(|job| places(&next(job), &mut lanes)).collect();
        let mut call = self
            .calling(&RECLAIM, &lanes.0)
            .arg(self.clock().for_scripts())
            .arg(crashes_max.saturating_mul(QUARTERS_PER_CRASH))
            .arg(crashes_max)
            .arg(self.inner.keep_done.age_ms)
            .arg(cancelled.because("cancelled; its worker was lost meanwhile").to_json())
            .arg(&self.keys().wake)
            .arg(&self.keys().ended)
            .arg(nonces.len())
            .arg(nonces)
            .arg(lost.len());
        for job in lost {
            let how = job.witness.as_ref().map_or_else(String::new, |seen| format!(": {}", seen.how));
            let reason = format!("quarantined: its worker died while running it, again and again{how}");
            call.push(job.id);
            call.push(rand::random_range(0..SPREAD_MS));
            call.push(job.envelope.and_then(|envelope| envelope.unique).unwrap_or_default());
            call.push(self.dead(&reason).to_json());
            call.push(job.witness.as_ref().map(|seen| &*seen.held.nonce).unwrap_or_default());
            call.push(job.witness.as_ref().map(|seen| seen.how.as_str()).unwrap_or_default());
        }
        for (place, links) in links.into_iter().enumerate() {
            for (_, link) in links.into_iter().filter(|(always, _)| *always) {
                call.push(place + 1);
                call.push(link);
            }
        }
        let (returned, quarantined, cancelled) = self.call(&call).await?;
        Ok(Reclaimed { returned, quarantined, cancelled })
    }
}
