//! Ticks: one instant of one schedule, fired once whoever asks.

use jiff::Timestamp;
use redis::Value;
use serde::Serialize;

use crate::queue::envelope::Envelope;
use crate::queue::lane::lane_of;
use crate::queue::outcome::{Ending, Outcome};
use crate::queue::scripts::{FOLLOW, TICK};
use crate::queue::{Queue, QueueError};

/// Why a job ends that a later tick replaces.
const REPLACED: &str = "replaced by the next tick of its schedule";

/// One instant of one schedule.
#[derive(Debug, Clone)]
pub struct Tick<'a> {
    /// The schedule.
    pub schedule: &'a str,
    /// Its nominal instant.
    pub instant: Timestamp,
    /// `queue`, `skip` or `replace`: what an unfinished job of an earlier tick means.
    pub overlap: &'static str,
    /// The job to enqueue; its id is the tick's.
    pub job: &'a Envelope,
    /// Set where the tick is not to fire, with the verdict to record.
    pub withheld: Option<&'static str>,
    /// Why it is not to fire, in a line; may be empty.
    pub why: &'a str,
}

/// What became of a tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Its job was enqueued.
    Fired,
    /// It had its verdict before.
    Already,
    /// The job of an earlier tick is still there.
    Overlap,
    /// It was not fired, for the reason given.
    Withheld(String),
}

/// One line of the record of ticks.
#[derive(Debug, Clone, Serialize)]
pub struct TickVerdict {
    /// The schedule.
    pub schedule: String,
    /// The nominal instant.
    pub instant: Timestamp,
    /// When it was judged.
    pub judged: Timestamp,
    /// `fired`, `overlap`, `late`, ...
    pub verdict: String,
    /// The job, where there is one.
    pub job: String,
    /// Who kept it from firing and why, where somebody did.
    pub why: String,
}

impl Queue {
    /// Judges one tick, once. Ticks of a schedule must be offered in order.
    ///
    /// # Errors
    /// Redis is out of reach or out of memory; the tick has no verdict yet and is to be offered again.
    pub async fn tick(&self, tick: &Tick<'_>) -> Result<Verdict, QueueError> {
        let (job, record) = self.record(tick.job)?;
        let (k, lane) = (self.keys(), lane_of(&job));
        let call = self
            .calling(&TICK, std::slice::from_ref(&lane))
            .arg(self.clock().for_scripts())
            .arg(&k.wake)
            .arg(&k.control)
            .arg(self.budget().jobs)
            .arg(self.budget().bytes)
            .arg(tick.schedule)
            .arg(tick.instant.as_millisecond())
            .arg(tick.overlap)
            .arg(tick.withheld.unwrap_or_default())
            .arg(&job.id)
            .arg(&lane)
            .arg(job.spec())
            .arg(record)
            .arg(self.replaced())
            .arg(self.inner.keep_done.age_ms)
            .arg(REPLACED)
            .arg(tick.why);
        let answer: String = self.call(&call).await?;
        Ok(match answer.as_str() {
            "fired" => Verdict::Fired,
            "already" => Verdict::Already,
            "overlap" => Verdict::Overlap,
            "closed" => return Err(self.closed(0).await),
            "full" => {
                let counts = self.counts().await?;
                let (queue, budget) = (self.name().to_owned(), self.budget());
                return Err(QueueError::Full {
                    queue,
                    taken: 0,
                    jobs: counts.open(),
                    bytes: counts.bytes,
                    budget,
                });
            }
            other => Verdict::Withheld(other.to_owned()),
        })
    }

    fn replaced(&self) -> String {
        let now = self.clock().now().as_millisecond();
        Outcome::new(Ending::Cancelled, now).because(REPLACED).to_json()
    }

    /// The last instant of a schedule that has a verdict; `first` is recorded and returned where there is
    /// none, so that a schedule's life begins when it is first seen and not at its next restart.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn last_tick(&self, schedule: &str, first: Timestamp) -> Result<Timestamp, QueueError> {
        self.follow(schedule, "", first).await
    }

    /// The same for a schedule whose times are told by `identity`: where they were others before, its life
    /// begins at `first` again, for it has missed nothing.
    ///
    /// The memory is the queue's, so a schedule that moves to another queue begins afresh there. A schedule
    /// that was taken away and comes back with the same times is taken for one that was not fired meanwhile.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn follow(
        &self,
        schedule: &str,
        identity: &str,
        first: Timestamp,
    ) -> Result<Timestamp, QueueError> {
        let call = self.calling(&FOLLOW, &[]).arg(schedule).arg(identity).arg(first.as_millisecond());
        let last: i64 = self.call(&call).await?;
        Ok(Timestamp::from_millisecond(last).unwrap_or(first))
    }

    /// The record of ticks, newest first.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn tick_log(&self, most: usize) -> Result<Vec<TickVerdict>, QueueError> {
        let mut command = redis::cmd("LRANGE");
        command.arg(&self.keys().tick_log).arg(0).arg(most.saturating_sub(1));
        let lines: Vec<String> = self.run("read the record of ticks", &command).await?;
        Ok(lines.iter().filter_map(|line| read_line(line)).collect())
    }

    /// How many ticks have been fired, and when each schedule last had a verdict.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn ticks(&self) -> Result<Vec<(String, Timestamp)>, QueueError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(&self.keys().ticks);
        let pairs: Value = self.run("read the last ticks", &command).await?;
        let pairs: Vec<(String, String)> = redis::from_redis_value(pairs).unwrap_or_default();
        let read = |text: &str| Timestamp::from_millisecond(text.split(' ').next()?.parse().ok()?).ok();
        Ok(pairs.into_iter().filter_map(|(name, text)| Some((name, read(&text)?))).collect())
    }
}

fn read_line(line: &str) -> Option<TickVerdict> {
    let mut fields = line.splitn(6, ' ');
    let mut instant = || Timestamp::from_millisecond(fields.next()?.parse().ok()?).ok();
    let (judged, instant) = (instant()?, instant()?);
    let (verdict, schedule, job) = (fields.next()?, fields.next()?, fields.next()?);
    Some(TickVerdict {
        schedule: schedule.to_owned(),
        instant,
        judged,
        verdict: verdict.to_owned(),
        job: job.to_owned(),
        why: fields.next().unwrap_or_default().to_owned(),
    })
}
