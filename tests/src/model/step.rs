//! Making an operation, on the queue and on the model.

use brasa_shared::queue::{
    Burial, Cancelled, ClaimedJob, Enqueued, Envelope, Finish, Flow, HandBack, OnConflict, QueueError,
    Reclaimed, Renewal, Settled, UniqueUntil,
};

use super::op::{Op, Put};
use super::state::{KEEP_MS, Known, Lock, Model, Place};
use crate::hand::{CRASHES_MAX, LEASE, again, back, dead, done, held};

type Judged = Result<(), String>;

fn must<T: PartialEq + std::fmt::Debug>(is: &T, expected: &T, what: &str) -> Judged {
    if is == expected { Ok(()) } else { Err(format!("{what}: it is {is:?} and not {expected:?}")) }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
fn failed(error: QueueError) -> String {
    format!("{error:?}")
}

impl Model {
    pub(crate) async fn make(&mut self, op: &Op) -> Judged {
        match op {
            Op::Enqueue(puts) => self.enqueue(puts).await,
            Op::EnqueueKnown(pick) => self.enqueue_known(*pick).await,
            Op::Chain(kind, steps) => self.flow(*kind, *steps, None).await,
            Op::Group(kind, members, always) => self.flow(*kind, *members, Some(*always)).await,
            Op::Claim { hand, most } => self.claim(*hand, *most).await.map(drop),
            Op::Finish(picks) => self.finish(picks).await,
            Op::Retry { pick, delay, snooze } => self.retry(*pick, *delay, *snooze).await,
            Op::Bury(pick) => self.bury(*pick).await,
            Op::HandBack(pick) => self.hand_back(*pick).await,
            Op::Renew(pick) => self.renew(*pick).await,
            Op::StaleWords(pick) => self.stale_words(*pick).await,
            Op::Cancel(pick) => self.cancel(*pick).await,
            Op::Revive(pick) => self.revive(*pick).await,
            Op::Forget(pick) => self.forget(*pick).await,
            Op::PromoteNow(pick) => self.promote_now(*pick).await,
            Op::PromoteDue => self.promote_due().await,
            Op::Reclaim => self.reclaim().await,
            Op::Advance(ms) => {
                self.advance(*ms);
                Ok(())
            }
            Op::Pause(stop) => self.pause(*stop).await,
            Op::Close(shut) => self.close(*shut).await,
            Op::Sweep => self.queue.sweep().await.map(drop).map_err(failed),
        }
    }

    async fn enqueue(&mut self, puts: &[Put]) -> Judged {
        let jobs: Vec<Envelope> = puts.iter().map(|put| self.envelope(put)).collect();
        let answers = match self.queue.enqueue_all(&jobs).await {
            Ok(answers) => answers,
            Err(QueueError::Closed { .. }) if self.is_closed => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        must(&self.is_closed, &false, "an enqueue behind a closed door")?;
        for (job, answer) in jobs.into_iter().zip(answers) {
            let expected = self.put(job);
            must(&answer, &expected, "the answer to an enqueue")?;
        }
        Ok(())
    }

    /// What becomes of a job that comes.
    fn put(&mut self, job: Envelope) -> Enqueued {
        let now = self.now();
        if let Some(holder) = job.unique.as_ref().and_then(|key| self.holder(key)) {
            let merged = job.on_conflict != OnConflict::Keep && self.override_by(&holder, &job);
            return if merged { Enqueued::Merged { into: holder } } else { Enqueued::Held { by: holder } };
        }
        if let Some(key) = job.unique.clone() {
            let ends = job.unique_for_ms.map_or(0, |ms| now + ms.cast_signed());
            self.unique.insert(key.clone(), Lock { id: job.id.clone(), ends });
            if job.unique_for_ms.is_none() && job.unique_until == UniqueUntil::Started {
                self.locks.insert(job.id.clone(), key);
            }
        }
        for link in &job.next {
            self.links.insert((job.id.clone(), link.id.clone(), link.always));
        }
        let place = match job.due {
            _ if job.parents > 0 => Place::Blocked(job.parents),
            Some(due) if due > now => Place::Delayed(due),
            _ => Place::Waiting,
        };
        let known = Known { place, attempt: 0, lost: 0, stop_asked: false, claim: None, envelope: job };
        self.jobs.insert(known.envelope.id.clone(), known);
        Enqueued::New
    }

    /// Replaces a job that has not started, or puts it off; false if it has.
    fn override_by(&mut self, holder: &str, job: &Envelope) -> bool {
        let now = self.now();
        let Some(known) = self.jobs.get_mut(holder) else { return false };
        if !matches!(known.place, Place::Waiting | Place::Delayed(_)) {
            return false;
        }
        let due = job.due.unwrap_or(0);
        if job.on_conflict == OnConflict::Replace {
            known.envelope = Envelope { id: holder.to_owned(), ..job.clone() };
        } else if due <= 0 {
            return true;
        }
        known.place = Place::Delayed(due.max(now + 1));
        true
    }

    async fn enqueue_known(&mut self, pick: u8) -> Judged {
        let Some(id) = Self::pick(self.ids(|_| true), pick) else { return Ok(()) };
        let answer = self.queue.enqueue(&self.jobs[&id].envelope).await.map_err(failed)?;
        must(&answer, &Enqueued::Known, "the answer to a job that is known")
    }

    async fn flow(&mut self, kind: usize, count: u8, group: Option<bool>) -> Judged {
        let put = Put { kind, delay: 0, priority: 1, share: None, unique: None, size: 0 };
        let name = self.fresh();
        let jobs: Vec<_> = (0..count).map(|_| self.envelope(&put)).collect();
        let flow = match group {
            None => Flow::chain(&name, jobs),
            Some(always) => Flow::group(&name, jobs, self.envelope(&put), always),
        };
        let flow = flow.map_err(|error| error.to_string())?;
        match self.queue.enqueue_flow(&flow).await {
            Err(QueueError::Closed { .. }) if self.is_closed => return Ok(()),
            answer => drop(answer.map_err(failed)?),
        }
        for job in flow.jobs() {
            must(&self.put(job.clone()), &Enqueued::New, "a job of a flow")?;
        }
        Ok(())
    }

    /// Claims, and judges what was handed out; returns how much that was.
    pub(crate) async fn claim(&mut self, hand: usize, most: usize) -> Result<usize, String> {
        let (worker, classes) = self.hands[hand].clone();
        let claimed = worker.claim(&self.queue, most).await;
        let count = claimed.len();
        if count > most || (count > 0 && self.is_paused) {
            return Err(format!("{count} were handed out"));
        }
        for job in claimed {
            self.hand_out(job, &classes)?;
        }
        if count < most && !self.is_paused {
            self.nothing_was_left_out(&classes)?;
        }
        Ok(count)
    }

    fn hand_out(&mut self, job: ClaimedJob, classes: &[&str]) -> Judged {
        let id = job.id.clone();
        let known = self.jobs.get(&id).ok_or_else(|| format!("`{id}` was handed out and is not known"))?;
        must(&known.place, &Place::Waiting, &format!("the place of `{id}`, which was handed out"))?;
        must(&classes.contains(&known.envelope.kind.as_str()), &true, "the kind is one that was asked for")?;
        must(&job.attempt, &(known.attempt + 1), &format!("the attempt of `{id}`"))?;
        let tags = self.tags(&known.envelope, known.lost >= 2);
        let counted = self.counted();
        for tag in &tags {
            let running = counted.get(tag).copied().unwrap_or(0);
            must(&(running < self.most_of(tag)), &true, &format!("there was a slot under `{tag}`"))?;
        }
        if self.locks.remove(&id).is_some() {
            self.free(&id);
        }
        let until = self.now() + i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
        if let Some(known) = self.jobs.get_mut(&id) {
            known.attempt += 1;
            known.place = Place::Running(until, tags);
            self.stale.extend(known.claim.replace(job));
        }
        Ok(())
    }

    /// Who got less than was asked for has left nothing that might have started, but for keys at their limit: they
    /// are looked at again a moment later.
    fn nothing_was_left_out(&self, classes: &[&str]) -> Judged {
        let counted = self.counted();
        for (id, job) in &self.jobs {
            if job.place != Place::Waiting || !classes.contains(&job.envelope.kind.as_str()) {
                continue;
            }
            let tags = self.tags(&job.envelope, job.lost >= 2);
            let full = |tag: &String| counted.get(tag).copied().unwrap_or(0) >= self.most_of(tag);
            if !tags.iter().any(|tag| full(tag) || tag.starts_with('g')) {
                return Err(format!("`{id}` could have been handed out, and was not"));
            }
        }
        Ok(())
    }

    fn claim_of(&self, id: &str) -> Result<ClaimedJob, String> {
        self.jobs.get(id).and_then(|job| job.claim.clone()).ok_or_else(|| format!("no claim of `{id}`"))
    }

    async fn finish(&mut self, picks: &[u8]) -> Judged {
        let mut ids: Vec<_> = picks.iter().filter_map(|pick| Self::pick(self.running(), *pick)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut words = Vec::new();
        for id in &ids {
            let job = &self.jobs[id].envelope;
            let (unique, next) = (job.unique.clone(), job.next.clone());
            let keep_ms = job.unique_for_ms;
            words.push(Finish { unique, next, keep_ms, ..done(&self.claim_of(id)?) });
        }
        let answers = self.queue.finish(&words).await.map_err(failed)?;
        for (id, answer) in ids.iter().zip(answers) {
            must(&answer, &Settled::Accepted, &format!("the answer to the end of `{id}`"))?;
            let keep = self.jobs[id].envelope.unique_for_ms.map_or(KEEP_MS, u64::cast_signed);
            self.end(id, Place::Done(self.now() + keep), true);
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, id: &str, place: Place, is_done: bool) {
        self.free(id);
        self.locks.remove(id);
        if let Some(job) = self.jobs.get_mut(id) {
            (job.place, job.stop_asked) = (place, false);
        }
        self.follow(id, is_done);
    }

    async fn retry(&mut self, pick: u8, delay: u64, snooze: bool) -> Judged {
        let Some(id) = Self::pick(self.running(), pick) else { return Ok(()) };
        let mut word = again(&self.claim_of(&id)?, std::time::Duration::from_millis(delay), "it failed");
        word.snooze = snooze;
        let answer = self.queue.retry(&[word]).await.map_err(failed)?;
        let due = self.now() + delay.cast_signed();
        self.let_go(&id, answer[0], Place::Delayed(due), snooze)
    }

    async fn hand_back(&mut self, pick: u8) -> Judged {
        let Some(id) = Self::pick(self.running(), pick) else { return Ok(()) };
        let job = &self.jobs[&id];
        let (lane, share) = job.envelope.lane_after(job.lost.into());
        let word = HandBack { share, ..back(&self.claim_of(&id)?, &lane) };
        let answer = self.queue.hand_back(&[word]).await.map_err(failed)?;
        self.let_go(&id, answer[0], Place::Waiting, true)
    }

    /// A job goes back, unless somebody asked for it to be stopped.
    fn let_go(&mut self, id: &str, answer: Settled, place: Place, uncounted: bool) -> Judged {
        let Some(job) = self.jobs.get_mut(id) else { return Ok(()) };
        let expected = if job.stop_asked { Settled::CancelFirst } else { Settled::Accepted };
        must(&answer, &expected, &format!("the answer to letting `{id}` go"))?;
        if answer == Settled::Accepted {
            job.place = place;
            job.attempt -= u32::from(uncounted);
        }
        Ok(())
    }

    async fn bury(&mut self, pick: u8) -> Judged {
        let Some(id) = Self::pick(self.running(), pick) else { return Ok(()) };
        let job = &self.jobs[&id].envelope;
        let (unique, next) = (job.unique.clone(), job.next.clone());
        let word = Burial { unique, next, ..dead(&self.claim_of(&id)?, "why") };
        let answer = self.queue.bury(&[word]).await.map_err(failed)?;
        must(&answer[0], &Settled::Accepted, "the answer to a burial")?;
        self.end(&id, Place::Dead, false);
        Ok(())
    }

    async fn renew(&mut self, pick: u8) -> Judged {
        let Some(id) = Self::pick(self.running(), pick) else { return Ok(()) };
        let answer = self.queue.renew(&[held(&self.claim_of(&id)?)], LEASE).await.map_err(failed)?;
        let until = self.now() + i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        let expected = if job.stop_asked { Renewal::StopAsked } else { Renewal::Renewed };
        if let Place::Running(ends, _) = &mut job.place {
            *ends = until;
        }
        must(&answer[0], &expected, "the answer to a renewal")
    }

    /// Whoever holds a job no longer is refused, whatever is said.
    async fn stale_words(&mut self, pick: u8) -> Judged {
        let mut stale = self.stale.clone();
        stale.extend(
            self.jobs
                .values()
                .filter(|job| !matches!(job.place, Place::Running(..)))
                .filter_map(|job| job.claim.clone()),
        );
        let Some(claim) = stale.get(usize::from(pick) % stale.len().max(1)) else { return Ok(()) };
        let queue = &self.queue;
        let answers = [
            queue.finish(&[done(claim)]).await,
            queue.retry(&[again(claim, LEASE, "late")]).await,
            queue.bury(&[dead(claim, "late")]).await,
            queue.hand_back(&[back(claim, &format!("{}!", super::op::KINDS[0]))]).await,
        ];
        for answer in answers {
            must(&answer.map_err(failed)?[0], &Settled::Refused, "the answer to a stale word")?;
        }
        must(
            &queue.renew(&[held(claim)], LEASE).await.map_err(failed)?[0],
            &Renewal::Lost,
            "a stale renewal",
        )?;
        must(&queue.note(&held(claim), None, "late\n").await.map_err(failed)?, &false, "a stale note")
    }

    async fn cancel(&mut self, pick: u8) -> Judged {
        let Some(id) = Self::pick(self.ids(|_| true), pick) else { return Ok(()) };
        let answer = self.queue.cancel(&id, "ana", "").await.map_err(failed)?;
        let expected = match self.jobs[&id].place {
            Place::Running(..) => Cancelled::Asked,
            Place::Done(_) => Cancelled::Done,
            Place::Dead => Cancelled::Dead,
            _ => Cancelled::Cancelled,
        };
        must(&answer, &expected, &format!("the answer to the cancel of `{id}`"))?;
        match answer {
            Cancelled::Cancelled => self.end(&id, Place::Done(self.now() + KEEP_MS), false),
            Cancelled::Asked => drop(self.jobs.entry(id).and_modify(|job| job.stop_asked = true)),
            _ => {}
        }
        Ok(())
    }

    async fn revive(&mut self, pick: u8) -> Judged {
        let Some(id) = Self::pick(self.ids(|place| *place == Place::Dead), pick) else { return Ok(()) };
        let answer = self.queue.revive(std::slice::from_ref(&id)).await.map_err(failed)?;
        let key = self.jobs[&id].envelope.unique.clone();
        let is_free = key.as_ref().and_then(|key| self.holder(key)).is_none_or(|holder| holder == id);
        must(&answer[0], &is_free, &format!("the answer to the revival of `{id}`"))?;
        if is_free {
            if let Some(key) = key {
                self.unique.insert(key, Lock { id: id.clone(), ends: 0 });
            }
            if let Some(job) = self.jobs.get_mut(&id) {
                (job.place, job.attempt, job.lost) = (Place::Waiting, 0, 0);
            }
        }
        Ok(())
    }

    async fn forget(&mut self, pick: u8) -> Judged {
        let Some(id) = Self::pick(self.ids(|place| *place == Place::Dead), pick) else { return Ok(()) };
        must(&self.queue.forget(std::slice::from_ref(&id)).await.map_err(failed)?[0], &true, "forgetting")?;
        self.jobs.remove(&id);
        Ok(())
    }

    async fn promote_now(&mut self, pick: u8) -> Judged {
        let ids = self.ids(|place| matches!(place, Place::Delayed(_) | Place::Blocked(_)));
        let Some(id) = Self::pick(ids, pick) else { return Ok(()) };
        self.advance(1); // nobody does so in the millisecond in which it was replaced
        let moved = self.queue.promote_now(&[self.jobs[&id].envelope.clone()]).await.map_err(failed)?;
        self.jobs.entry(id).and_modify(|job| job.place = Place::Waiting);
        must(&moved, &1, "how many were started by hand")
    }

    pub(crate) async fn promote_due(&mut self) -> Judged {
        self.queue.promote_due().await.map_err(failed)?;
        let now = self.now();
        for job in self.jobs.values_mut() {
            if matches!(job.place, Place::Delayed(due) if due <= now) {
                job.place = Place::Waiting;
            }
        }
        Ok(())
    }

    pub(crate) async fn reclaim(&mut self) -> Judged {
        while self.queue.reclaim_lost(CRASHES_MAX).await.map_err(failed)? != Reclaimed::default() {}
        let now = self.now();
        for id in self.ids(|place| matches!(place, Place::Running(until, _) if *until <= now)) {
            self.lose(&id).await?;
        }
        Ok(())
    }

    async fn pause(&mut self, stop: bool) -> Judged {
        if stop {
            self.queue.pause("ana", "").await.map_err(failed)?;
        } else {
            must(&self.queue.resume().await.map_err(failed)?, &self.is_paused, "whether it was paused")?;
        }
        self.is_paused = stop;
        Ok(())
    }

    async fn close(&mut self, shut: bool) -> Judged {
        if shut {
            self.queue.close("ana", "").await.map_err(failed)?;
        } else {
            must(&self.queue.reopen().await.map_err(failed)?, &self.is_closed, "whether it was closed")?;
        }
        self.is_closed = shut;
        Ok(())
    }
}
