//! Deciding about jobs that are held: renew, finish, retry, bury, hand back.
//!
//! Every call takes many jobs and answers for each; one refusal never concerns the others.

use std::sync::Arc;
use std::time::Duration;

use crate::queue::claim::fresh_nonce;
use crate::queue::envelope::Link;
use crate::queue::outcome::Outcome;
use crate::queue::scripts::{BURY, FINISH, HAND_BACK, RENEW, RETRY};
use crate::queue::{BATCH_MAX, Call, Ending, Lanes, Queue, QueueError};
use crate::script::Lua;

/// The part of a claim that proves it.
#[derive(Debug, Clone)]
pub struct Held {
    /// The job.
    pub id: String,
    /// The claim's nonce.
    pub nonce: Arc<str>,
}

/// What came of renewing one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It lasts longer now.
    Renewed,
    /// The job is somebody else's; stop it.
    Lost,
    /// It lasts longer, and somebody asked for the job to be stopped.
    StopAsked,
}

/// What came of settling one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was accepted, now or when it was first sent.
    Accepted,
    /// The claim was lost to another worker; nothing was changed.
    Refused,
    /// Only for a retry: a cancel came first, and the job is still held.
    CancelFirst,
}

/// A job that has ended, done or cancelled.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Whose claim.
    pub held: Held,
    /// Its unique key, to be freed.
    pub unique: Option<String>,
    /// How long the outcome is kept, ms, instead of the queue's own time.
    pub keep_ms: Option<u64>,
    /// Bytes of its envelope, as it was handed out.
    pub envelope_bytes: usize,
    /// The jobs that wait for it.
    pub next: Vec<Link>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the history is told of it, by [`Queue::line_of`].
    pub line: String,
}

/// A job that is to be tried again later.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Whose claim.
    pub held: Held,
    /// How much later, by the server's clock.
    pub delay: Duration,
    /// True where the attempt does not count.
    pub snooze: bool,
    /// One line for the trail of the job.
    pub note: String,
}

/// A job that is given up.
#[derive(Debug, Clone)]
pub struct Burial {
    /// Whose claim.
    pub held: Held,
    /// Its unique key, to be freed.
    pub unique: Option<String>,
    /// Why.
    pub outcome: Outcome,
    /// The jobs that wait for it.
    pub next: Vec<Link>,
    /// What the history is told of it, by [`Queue::line_of`].
    pub line: String,
}

/// A job that did not run and goes back to its place.
#[derive(Debug, Clone)]
pub struct HandBack {
    /// Whose claim.
    pub held: Held,
    /// The lane that it came from.
    pub lane: String,
    /// Its share key.
    pub share: Option<String>,
}

impl Queue {
    /// Lengthens leases by `lease` from now.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn renew(&self, held: &[Held], lease: Duration) -> Result<Vec<Renewal>, QueueError> {
        let mut answers = Vec::with_capacity(held.len());
        for batch in held.chunks(BATCH_MAX) {
            let mut call = self
                .calling(&RENEW, &[])
                .arg(self.clock().for_scripts())
                .arg(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
            for held in batch {
                call.push_held(held);
            }
            let said: Vec<u8> = self.call(&call).await?;
            answers.extend(said.into_iter().map(|code| match code {
                1 => Renewal::Renewed,
                3 => Renewal::StopAsked,
                _ => Renewal::Lost,
            }));
        }
        Ok(answers)
    }

    /// Records jobs as done or cancelled.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn finish(&self, jobs: &[Finish]) -> Result<Vec<Settled>, QueueError> {
        let mut answers = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH_MAX) {
            let mut order: Vec<usize> = (0..batch.len()).collect();
            order.sort_by_key(|&place| (&batch[place].held.nonce, &batch[place].held.id));
            // Said twice in one breath, it is heard once.
            order.dedup_by_key(|place| (&batch[*place].held.nonce, &batch[*place].held.id));
            let sorted: Vec<&Finish> = order.iter().map(|&place| &batch[place]).collect();
            let said = read(&self.call::<String>(&self.finishing(&sorted)).await?);
            let mut heard = vec![Settled::Refused; batch.len()];
            order.into_iter().zip(said).for_each(|(place, answer)| heard[place] = answer);
            answers.extend(heard);
        }
        Ok(answers)
    }

    /// The call for jobs that come claim after claim.
    fn finishing(&self, batch: &[&Finish]) -> Call {
        let keep = self.inner.keep_done;
        let mut lanes = Lanes::default();
        let links: Vec<_> = batch.iter().map(|item| places(&item.next, &mut lanes)).collect();
        let mut call = self
            .saying(&FINISH, &lanes.0)
            .arg(keep.count)
            .arg(keep.bytes)
            .arg(keep.age_ms)
            .arg(&self.keys().wake)
            .arg(&self.keys().ended)
            .arg(batch.iter().map(|item| item.envelope_bytes).sum::<usize>())
            .arg(batch.len());
        // What nobody keeps need not be sent.
        let is_kept = keep.count > 0 || batch.iter().any(|item| item.keep_ms.is_some());
        let claims: Vec<_> = batch.chunk_by(|one, next| one.held.nonce == next.held.nonce).collect();
        call = call.arg(u8::from(is_kept)).arg(lines(batch.iter().map(|item| &item.line))).arg(claims.len());
        for jobs in claims {
            call.push(&*jobs[0].held.nonce);
            call.push(jobs.len());
        }
        for item in batch {
            call.push(&item.held.id);
        }
        if is_kept {
            for item in batch {
                call.push(self.seal_outcome(&item.held.id, &item.outcome));
            }
        }
        for (place, (item, links)) in batch.iter().zip(links).enumerate() {
            let mut particular = |what: &str, value: &str| {
                call.push(place + 1);
                call.push(what);
                call.push(value);
            };
            if let Some(key) = &item.unique {
                particular("u", key);
            }
            if let Some(keep_ms) = item.keep_ms {
                particular("k", &keep_ms.to_string());
            }
            if item.outcome.ending != Ending::Done {
                particular("c", "");
            }
            for (always, link) in links {
                particular(if always { "?" } else { "!" }, &link);
            }
        }
        call
    }

    /// Puts jobs into the delayed set.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn retry(&self, jobs: &[Retry]) -> Result<Vec<Settled>, QueueError> {
        let mut answers = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH_MAX) {
            let mut call = self.saying(&RETRY, &[]).arg(&self.keys().wake);
            for item in batch {
                call.push_held(&item.held);
                call.push(u64::try_from(item.delay.as_millis()).unwrap_or(u64::MAX));
                call.push(u8::from(item.snooze));
                call.push(&item.note);
            }
            answers.extend(read(&self.call::<String>(&call).await?));
        }
        Ok(answers)
    }

    /// Puts jobs into the dead letter.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn bury(&self, jobs: &[Burial]) -> Result<Vec<Settled>, QueueError> {
        let keep = self.inner.keep_dead;
        let mut answers = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH_MAX) {
            let mut lanes = Lanes::default();
            let links: Vec<_> = batch.iter().map(|item| places(&item.next, &mut lanes)).collect();
            let mut call = self
                .saying(&BURY, &lanes.0)
                .arg(keep.count)
                .arg(keep.bytes)
                .arg(keep.age_ms)
                .arg(&self.keys().wake)
                .arg(&self.keys().ended)
                .arg(batch.len())
                .arg(lines(batch.iter().map(|item| &item.line)));
            for item in batch {
                call.push_held(&item.held);
                call.push(item.unique.as_deref().unwrap_or_default());
                call.push(item.outcome.to_json());
            }
            for (place, links) in links.into_iter().enumerate() {
                for (_, link) in links.into_iter().filter(|(always, _)| *always) {
                    call.push(place + 1);
                    call.push(link);
                }
            }
            answers.extend(read(&self.call::<String>(&call).await?));
        }
        Ok(answers)
    }

    /// Returns jobs that did not run, without using an attempt.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn hand_back(&self, batch: &[HandBack]) -> Result<Vec<Settled>, QueueError> {
        let mut answers = Vec::with_capacity(batch.len());
        for batch in batch.chunks(BATCH_MAX) {
            let mut lanes = Lanes::default();
            let places: Vec<_> = batch.iter().map(|item| lanes.place(item.lane.clone())).collect();
            let mut call = self.saying(&HAND_BACK, &lanes.0).arg(&self.keys().wake);
            for (item, place) in batch.iter().zip(places) {
                call.push_held(&item.held);
                call.push(place);
                call.push(item.share.as_deref().unwrap_or_default());
            }
            answers.extend(read(&self.call::<String>(&call).await?));
        }
        Ok(answers)
    }

    /// A call whose answers are remembered: one that is sent twice, for its answer was lost, changes nothing
    /// the second time and is answered the same.
    fn saying(&self, lua: &'static Lua, lanes: &[String]) -> Call {
        // One word of a kind after the other: each kind has a memory of its own.
        let voice = format!("{}:{}", self.inner.voice, lua.name);
        self.calling(lua, lanes).arg(self.clock().for_scripts()).arg(voice).arg(fresh_nonce())
    }
}

/// The jobs that wait for one, as scripts take them, each with whether it waits for any end.
pub(crate) fn places(next: &[Link], lanes: &mut Lanes) -> Vec<(bool, String)> {
    let word = |link: &Link, place: usize| {
        format!("{} {place} {}", link.id, link.share.as_deref().unwrap_or_default()).trim_end().to_owned()
    };
    next.iter().map(|link| (link.always, word(link, lanes.place(link.lane.clone())))).collect()
}

/// A line per job; nothing where the history is told nothing of any.
fn lines<'l>(lines: impl Iterator<Item = &'l String>) -> String {
    let mut all = String::new();
    for (place, line) in lines.enumerate() {
        if place > 0 {
            all.push('\n');
        }
        all.push_str(line);
    }
    if all.bytes().all(|byte| byte == b'\n') { String::new() } else { all }
}

impl Call {
    fn push_held(&mut self, held: &Held) {
        self.push(&held.id);
        self.push(&*held.nonce);
    }
}

/// A digit per job.
fn read(digits: &str) -> Vec<Settled> {
    digits
        .bytes()
        .map(|digit| match digit {
            b'1' => Settled::Accepted,
            b'3' => Settled::CancelFirst,
            _ => Settled::Refused,
        })
        .collect()
}
