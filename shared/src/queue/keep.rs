//! Keeping the queue in order: due jobs become ready, lost ones come back, the inbox is admitted.
//!
//! Each is two steps: read what is due, then move exactly that, in a script that looks again. Any number of
//! workers may do it at once.

use redis::{FromRedisValue, Value};

use crate::queue::envelope::Envelope;
use crate::queue::outcome::{Ending, Outcome};
use crate::queue::scripts::{DUE, INTAKE, PARK, PROMOTE, RECLAIM, SWEEP};
use crate::queue::{BATCH_MAX, Call, Classes, QUARTERS_PER_CRASH, Queue, QueueError};

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

/// An id, with the envelope that belongs to it or the reason why there is none.
type Found = (String, Result<Envelope, String>);

impl Queue {
    /// Makes up to [`BATCH_MAX`] due jobs ready; returns how many were due. An entry that cannot be read is
    /// put into the dead letter alone.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn promote_due(&self) -> Result<usize, QueueError> {
        let (now, found) = self.due(&self.keys.delayed).await?;
        let due = found.len();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (id, envelope) in found {
            match envelope {
                Ok(envelope) => good.push((id, envelope.class())),
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

    /// Makes delayed jobs ready at once, given as id and class. Returns how many were delayed.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn promote_now(&self, jobs: Vec<(String, String)>) -> Result<u64, QueueError> {
        self.promote(jobs, "+inf").await
    }

    async fn promote(&self, jobs: Vec<(String, String)>, latest: &str) -> Result<u64, QueueError> {
        let k = &self.keys;
        let mut classes = Classes::default();
        let jobs: Vec<_> = jobs.into_iter().map(|(id, class)| (id, classes.place(class))).collect();
        let call = Call::on(&[&k.delayed, &k.classes, &k.claims])
            .arg(&k.wake)
            .arg(latest)
            .arg(self.clock.for_scripts());
        let mut call = classes.into_call(k, call);
        for (id, place) in jobs {
            call.push(id);
            call.push(place);
        }
        self.call(&PROMOTE, &call).await
    }

    async fn park(&self, entries: &[(String, String)]) -> Result<u64, QueueError> {
        let k = &self.keys;
        let mut call =
            Call::on(&[&k.jobs, &k.delayed, &k.dead, &k.outcomes, &k.stats]).arg(self.clock.for_scripts());
        for (id, reason) in entries {
            call.push(id);
            call.push(self.dead(reason).to_json());
        }
        self.call(&PARK, &call).await
    }

    /// Takes up to [`BATCH_MAX`] jobs back whose leases have run out. `crashes_max` crashes that are surely a
    /// job's own put it into the dead letter.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn reclaim_lost(&self, crashes_max: u32) -> Result<Reclaimed, QueueError> {
        let (_, found) = self.due(&self.keys.leases).await?;
        if found.is_empty() {
            return Ok(Reclaimed::default());
        }
        let k = &self.keys;
        let keys = [
            &k.leases,
            &k.claims,
            &k.held,
            &k.trail,
            &k.delayed,
            &k.dead,
            &k.outcomes,
            &k.stats,
            &k.jobs,
            &k.unique,
            &k.cancels,
            &k.done,
        ];
        let cancelled = Outcome::new(Ending::Cancelled, self.clock.now().as_millisecond());
        let mut call = Call::on(&keys)
            .arg(self.clock.for_scripts())
            .arg(crashes_max.saturating_mul(QUARTERS_PER_CRASH))
            .arg(self.keep_done.age_ms)
            .arg(cancelled.because("cancelled; its worker was lost meanwhile").to_json());
        let outcome = self.dead("quarantined: its worker died while running it, again and again").to_json();
        for (id, envelope) in found {
            call.push(id);
            call.push(rand::random_range(0..SPREAD_MS));
            call.push(envelope.ok().and_then(|envelope| envelope.unique).unwrap_or_default());
            call.push(&outcome);
        }
        let (returned, quarantined, cancelled) = self.call(&RECLAIM, &call).await?;
        Ok(Reclaimed { returned, quarantined, cancelled })
    }

    /// Admits up to [`BATCH_MAX`] entries of the inbox; returns how many left it. What cannot be read goes
    /// into the dead letter as it was pushed.
    ///
    /// # Errors
    /// Redis is out of reach or out of memory; the entries stay in the inbox.
    pub async fn drain_inbox(&self) -> Result<usize, QueueError> {
        let k = &self.keys;
        let mut look = redis::cmd("LRANGE");
        look.arg(&k.inbox).arg(0).arg(BATCH_MAX - 1);
        let entries: Vec<Vec<u8>> = self.run("read the inbox", &look).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let mut classes = Classes::default();
        let entries: Vec<_> = entries.into_iter().map(|raw| self.admit(raw, &mut classes)).collect();
        let keys =
            [&k.jobs, &k.delayed, &k.done, &k.dead, &k.unique, &k.classes, &k.stats, &k.inbox, &k.outcomes];
        let call = Call::on(&keys).arg(self.clock.for_scripts()).arg(&k.wake);
        let mut call = classes.into_call(k, call);
        for field in entries.into_iter().flatten() {
            call.push(field);
        }
        self.call(&INTAKE, &call).await
    }

    /// The six fields that `intake.lua` takes for one entry.
    fn admit(&self, raw: Vec<u8>, classes: &mut Classes) -> [Vec<u8>; 6] {
        let read = Envelope::from_wire(&raw).and_then(|mut envelope| {
            if envelope.at == 0 {
                envelope.at = self.clock.now().as_millisecond();
            }
            Ok((envelope.to_wire()?, envelope))
        });
        match read {
            Ok((wire, envelope)) => {
                let place = classes.place(envelope.class()).to_string().into_bytes();
                let due = envelope.due.unwrap_or(0).to_string().into_bytes();
                let unique = envelope.unique.unwrap_or_default().into_bytes();
                [raw, envelope.id.into_bytes(), due, place, unique, wire]
            }
            Err(error) => {
                let id = format!("unreadable-{}", ulid::Ulid::generate());
                let outcome = self.dead(&format!("pushed to the inbox and parked: {error}")).to_json();
                [raw, id.into_bytes(), b"0".to_vec(), b"0".to_vec(), Vec::new(), outcome.into_bytes()]
            }
        }
    }

    /// Forgets ended jobs that the queue has no longer room or time for, [`BATCH_MAX`] for each reason;
    /// returns how many. Where jobs end this happens by itself; where none do any more, it takes this.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn sweep(&self) -> Result<usize, QueueError> {
        let k = &self.keys;
        let keys = [&k.jobs, &k.outcomes, &k.claims, &k.trail, &k.done, &k.dead, &k.stats];
        let call = Call::on(&keys)
            .arg(self.clock.for_scripts())
            .arg(self.keep_done.count)
            .arg(self.keep_dead.count)
            .arg(self.keep_dead.age_ms)
            .arg(BATCH_MAX);
        self.call(&SWEEP, &call).await
    }

    fn dead(&self, reason: &str) -> Outcome {
        Outcome::new(Ending::Dead, self.clock.now().as_millisecond()).because(reason)
    }

    async fn due(&self, set: &String) -> Result<(i64, Vec<Found>), QueueError> {
        let call = Call::on(&[set, &self.keys.jobs]).arg(self.clock.for_scripts()).arg(BATCH_MAX);
        let answer: Vec<Value> = self.call(&DUE, &call).await?;
        let now = answer.first().and_then(|now| i64::from_redis_value_ref(now).ok()).unwrap_or_default();
        let pairs = answer.get(1..).unwrap_or_default().chunks_exact(2);
        Ok((now, pairs.filter_map(read_pair).collect()))
    }
}

fn read_pair(pair: &[Value]) -> Option<Found> {
    let [id, wire] = pair else { return None };
    let id = String::from_redis_value_ref(id).ok()?;
    let wire = Vec::<u8>::from_redis_value_ref(wire).ok()?;
    Some((id, Envelope::from_wire(&wire).map_err(|error| error.to_string())))
}
