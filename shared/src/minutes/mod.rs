//! What happened lately, step by step, as all processes tell it: what workers did and how long it took, and how
//! machines are. For charts; nothing that must be right rests on it.
//!
//! Workers add up in memory and tell every few seconds, whatever they do. What there can be in Redis is bounded: 62
//! minutes and 98 quarters of an hour of 218 counters at most, and 62 minutes of [`PROCESSES_MAX`] processes; then it
//! expires by itself. A step has the counters of the times that occurred in it: some tens, in a few hundred bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::script::Call;
use crate::store::{Store, StoreError};

mod histogram;
mod keys;
mod scripts;

pub use histogram::{BUCKETS, ERROR, Histogram, bucket_of};
pub use scripts::script_named;
use scripts::{COUNT, TELL};

/// How many processes may tell how they are, of all machines.
pub const PROCESSES_MAX: usize = 128;

/// How much of a name of a machine is kept.
const HOST_MAX: usize = 60;

/// How far back, and so in which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// An hour, minute by minute.
    Hour,
    /// A day, by quarters of an hour.
    Day,
}

/// What was done in one step of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// When the step begins, ms since 1970.
    pub at_ms: i64,
    /// Jobs that were done.
    pub done: u64,
    /// Attempts that failed, whether the job is tried again or is dead.
    pub failed: u64,
    /// How long runs took, of any end.
    pub ran: Histogram,
    /// How long jobs waited from when they could start, at their first attempt.
    pub waited: Histogram,
}

/// How a process and its machine were in a minute. Shares are from 0 to 1; what the system does not tell is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Which share of the minute the machine's processors were busy.
    pub cpu: Option<f64>,
    /// Which share of the memory is in use, of the machine or of the container's limit, whichever is more.
    pub memory: Option<f64>,
    /// Which share of the fullest file system is in use.
    pub disk: Option<f64>,
    /// Which share of the connections of the process' busiest pool for Postgres was in use, at most.
    pub pool: Option<f64>,
    /// Which share of the machine's processors this process used.
    pub own_cpu: Option<f64>,
    /// How much memory this process holds, in bytes.
    pub own_memory: Option<u64>,
    /// How much memory Redis uses, in bytes.
    pub redis: Option<u64>,
    /// How much it may use, in bytes; 0 where it has no limit of its own.
    pub redis_max: Option<u64>,
}

/// What happened lately.
#[derive(Debug, Clone)]
pub struct Minutes {
    store: Store,
    prefix: String,
    clock: Clock,
}

impl Span {
    /// How long a step is, in seconds.
    pub fn step_s(self) -> i64 {
        match self {
            Self::Hour => 60,
            Self::Day => 900,
        }
    }

    /// How many steps there are, with the one that goes on.
    pub fn steps(self) -> usize {
        match self {
            Self::Hour => 61,
            Self::Day => 97,
        }
    }

    fn number(self, at_ms: i64) -> i64 {
        at_ms.div_euclid(self.step_s() * 1_000)
    }

    /// One step longer than it is shown.
    fn kept(self) -> Duration {
        let steps = u64::try_from(self.steps()).unwrap_or(0) + 1;
        Duration::from_secs(self.step_s().unsigned_abs() * steps)
    }
}

impl Work {
    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.done == 0 && self.failed == 0 && self.ran.total() == 0 && self.waited.total() == 0
    }

    fn counters(&self) -> impl Iterator<Item = (String, u64)> {
        let counts =
            [("done", self.done), ("failed", self.failed)].into_iter().filter(|(_, count)| *count > 0);
        let ran = self.ran.buckets().map(|(bucket, times)| (format!("r{bucket}"), times));
        let waited = self.waited.buckets().map(|(bucket, times)| (format!("w{bucket}"), times));
        counts.map(|(name, count)| (name.to_owned(), count)).chain(ran).chain(waited)
    }

    fn read(at_ms: i64, counters: &BTreeMap<String, u64>) -> Self {
        let mut work = Self { at_ms, ..Self::default() };
        for (name, count) in counters {
            let bucket = |of: char| name.strip_prefix(of).and_then(|bucket| bucket.parse::<usize>().ok());
            match name.as_str() {
                "done" => work.done = *count,
                "failed" => work.failed = *count,
                _ => match (bucket('r'), bucket('w')) {
                    (Some(bucket), _) => work.ran.add(bucket, *count),
                    (_, Some(bucket)) => work.waited.add(bucket, *count),
                    _ => {}
                },
            }
        }
        work
    }
}

impl Vitals {
    /// Whether it is that process' on that machine.
    pub fn is_of(&self, host: &str, pid: u32) -> bool {
        self.pid == pid && self.host == kept(host)
    }
}

impl Minutes {
    /// What happened under `prefix`.
    pub fn new(store: Store, prefix: &str, clock: Clock) -> Self {
        Self { store, prefix: prefix.to_owned(), clock }
    }

    /// The minute that goes on, counted since 1970.
    pub fn minute(&self) -> i64 {
        Span::Hour.number(self.clock.now().as_millisecond())
    }

    /// Adds what a worker did since it told last, to the present step (`at_ms` does not count). It is sent once: where
    /// no answer comes it is counted, or it is not; never twice.
    ///
    /// # Errors
    /// Redis is out of reach. Whether it was counted is not known then, and it must not be told again.
    pub async fn count(&self, work: &Work) -> Result<(), StoreError> {
        if work.is_empty() {
            return Ok(());
        }
        let now_ms = self.clock.now().as_millisecond();
        let of = |span: Span| keys::work(&self.prefix, span.step_s(), span.number(now_ms));
        let (minute, quarter) = (of(Span::Hour), of(Span::Day));
        let mut call = Call::new(&COUNT, [minute.as_str(), quarter.as_str()].into_iter(), std::iter::empty())
            .arg(ms(Span::Hour.kept()))
            .arg(ms(Span::Day.kept()));
        for (name, count) in work.counters() {
            call.push(name);
            call.push(count);
        }
        let store = self.store.clone().with_patience(Duration::ZERO);
        store.run_script("count what was done", &call.command, COUNT.code()).await
    }

    /// What was done, a step after the other, the oldest first and the present one last.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn work(&self, span: Span) -> Result<Vec<Work>, StoreError> {
        let numbers = self.numbers(span);
        let mut pipe = redis::pipe();
        for number in &numbers {
            pipe.cmd("HGETALL").arg(keys::work(&self.prefix, span.step_s(), *number));
        }
        let found: Vec<BTreeMap<String, u64>> = self.store.run_all("see what was done lately", &pipe).await?;
        let at_ms = |number: i64| number * span.step_s() * 1_000;
        Ok(numbers.into_iter().zip(&found).map(|(number, found)| Work::read(at_ms(number), found)).collect())
    }

    /// Says how a process and its machine are, in the place of what it said before in this minute. Where too many do,
    /// it is left out.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn tell(&self, vitals: &Vitals) -> Result<(), StoreError> {
        let vitals = Vitals { host: kept(&vitals.host).to_owned(), ..vitals.clone() };
        let key = keys::vitals(&self.prefix, self.minute());
        let call = Call::new(&TELL, [key.as_str()].into_iter(), std::iter::empty())
            .arg(format!("{} {}", vitals.host, vitals.pid))
            .arg(serde_json::to_string(&vitals).unwrap_or_default())
            .arg(ms(Span::Hour.kept()))
            .arg(PROCESSES_MAX);
        self.store.run_script("say how a process is", &call.command, TELL.code()).await
    }

    /// How processes and machines were, a minute after the other, the oldest first; with when the minute begins, ms
    /// since 1970.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn vitals(&self) -> Result<Vec<(i64, Vec<Vitals>)>, StoreError> {
        self.vitals_of(self.numbers(Span::Hour)).await
    }

    /// How processes are that said so within the last minute or two, each once.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn vitals_now(&self) -> Result<Vec<Vitals>, StoreError> {
        let minute = self.minute();
        let told = self.vitals_of(vec![minute, minute - 1]).await?;
        let mut now: Vec<Vitals> = Vec::new();
        for vitals in told.into_iter().flat_map(|(_, told)| told) {
            if !now.iter().any(|known| known.is_of(&vitals.host, vitals.pid)) {
                now.push(vitals);
            }
        }
        Ok(now)
    }

    async fn vitals_of(&self, numbers: Vec<i64>) -> Result<Vec<(i64, Vec<Vitals>)>, StoreError> {
        let mut pipe = redis::pipe();
        for number in &numbers {
            pipe.cmd("HVALS").arg(keys::vitals(&self.prefix, *number));
        }
        let found: Vec<Vec<String>> = self.store.run_all("see how processes were lately", &pipe).await?;
        // What another build wrote and we cannot read is left out.
        let read =
            |texts: &Vec<String>| texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        Ok(numbers.into_iter().map(|number| number * 60_000).zip(found.iter().map(read)).collect())
    }

    fn numbers(&self, span: Span) -> Vec<i64> {
        let last = span.number(self.clock.now().as_millisecond());
        let steps = i64::try_from(span.steps()).unwrap_or(0);
        (last - steps + 1..=last).collect()
    }
}

/// What is kept of the name of a machine.
fn kept(host: &str) -> &str {
    host.char_indices().nth(HOST_MAX).map_or(host, |(end, _)| &host[..end])
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_read_as_it_was_told() {
        let mut work = Work { at_ms: 60_000, done: 7, failed: 1, ..Work::default() };
        work.ran.add(3, 2);
        work.waited.add(BUCKETS - 1, 5);
        let told: BTreeMap<String, u64> = work.counters().collect();
        assert_eq!(told.keys().collect::<Vec<_>>(), ["done", "failed", "r3", "w107"]);
        assert_eq!(Work::read(60_000, &told), work);
        assert!(Work::default().is_empty() && !work.is_empty());
    }

    #[test]
    fn steps_begin_where_the_clock_on_the_wall_does() {
        assert_eq!((Span::Hour.number(119_999), Span::Day.number(900_000)), (1, 1));
        assert_eq!(Span::Hour.kept(), Duration::from_mins(62));
        assert_eq!(Span::Day.kept(), Duration::from_mins(98 * 15));
    }
}
