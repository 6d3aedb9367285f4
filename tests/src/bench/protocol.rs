//! What the processes of a contestant and the bench tell one another, in files and the environment, so that every
//! language can take part.
//!
//! The environment has `REDIS_URL`, `STATS_DIR` (a folder of the run), `CONC` (jobs at once) and `MODE`.
//!
//! A worker writes `PID.stat` every 20 ms once it has run a job: `count first_us last_us`, how many jobs, and when the
//! first began and the last ended, in µs since 1970. In mode `lat` it appends a line per job to `PID.lat`: µs from the
//! time in the job to the begin of the handler. In mode `crash` each execution appends `id us` to `ids` before the
//! handler returns, which outlives a kill. It ends when its standard input does.
//!
//! An enqueuer is called with a count, a mode and, in mode `callers`, how many there are. A job is `{"id", "ts", "pad"}`,
//! about 100 bytes; `ts` is when it was pushed. In modes `bulk` and `callers` it goes as fast as it can. In modes
//! `paced` and `open` it prints `ready` once it is connected, and then reads lines `id meant_us`: each is a job to push
//! at once, whatever became of those before, so that all keep time equally well. In mode `open`, `ts` is when the job was
//! meant to be pushed. At the end it prints `enqueued COUNT in SECONDS`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, io, process, thread};

use anyhow::{Context as _, Result};
use brasa_shared::clock::Clock;

/// How often a worker says what it has done.
const WRITE_EVERY: Duration = Duration::from_millis(20);

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Noop,
    /// It says how long it has waited.
    Latency,
    /// It sleeps for 10 ms.
    Sleep,
    /// It sleeps for 1 ms, and says durably that it ran.
    Crash,
}

impl Mode {
    /// Its word in the environment.
    pub fn word(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Latency => "lat",
            Self::Sleep => "sleep10",
            Self::Crash => "crash",
        }
    }

    fn from_word(word: &str) -> Result<Self> {
        let all = [Self::Noop, Self::Latency, Self::Sleep, Self::Crash];
        all.into_iter().find(|mode| mode.word() == word).with_context(|| format!("no mode {word}"))
    }
}

/// Now, in µs since 1970.
pub fn now_us() -> u64 {
    u64::try_from(Clock::System.now().as_microsecond()).unwrap_or_default()
}

/// A setting from the environment.
///
/// # Errors
/// It is not there, or no such thing.
pub fn setting<T: std::str::FromStr>(name: &str) -> Result<T> {
    let value = env::var(name).with_context(|| format!("{name} is not set"))?;
    value.parse().ok().with_context(|| format!("{name} is no good: {value}"))
}

/// What a worker of ours has done.
#[derive(Debug)]
pub struct Tally {
    mode: Mode,
    stat: PathBuf,
    count: AtomicU64,
    first_us: AtomicU64,
    last_us: AtomicU64,
    waits_us: Mutex<Vec<u64>>,
    ids: File,
}

impl Tally {
    /// As the environment says; a thread writes the files, and ends the process when its input ends.
    ///
    /// # Errors
    /// The environment is not that of a run.
    pub fn start() -> Result<&'static Self> {
        let folder: PathBuf = setting("STATS_DIR")?;
        let ids = OpenOptions::new().create(true).append(true).open(folder.join("ids"))?;
        let tally = Self {
            mode: Mode::from_word(&setting::<String>("MODE")?)?,
            stat: folder.join(format!("{}.stat", process::id())),
            count: AtomicU64::new(0),
            first_us: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
            waits_us: Mutex::default(),
            ids,
        };
        let tally: &'static Self = Box::leak(Box::new(tally));
        thread::spawn(|| {
            loop {
                super::pause(WRITE_EVERY);
                tally.write().expect("the folder of the run");
            }
        });
        thread::spawn(|| {
            // Whatever ends it: whoever started us is gone.
            io::stdin().read_to_end(&mut Vec::new()).map_or_else(drop, drop);
            process::exit(0)
        });
        Ok(tally)
    }

    /// Does one job.
    pub async fn job(&self, id: u64, ts: u64) {
        let begun = now_us();
        if self.first_us.load(Ordering::Relaxed) == 0 {
            // Of two first ones either will do: they are µs apart.
            self.first_us.store(begun, Ordering::Relaxed);
        }
        match self.mode {
            Mode::Noop => {}
            Mode::Latency => self.waits_us.lock().expect("no panic in here").push(begun.saturating_sub(ts)),
            Mode::Sleep => super::nap::nap(Duration::from_millis(10)).await,
            Mode::Crash => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let line = format!("{id} {}\n", now_us());
                (&self.ids).write_all(line.as_bytes()).expect("the folder of the run");
            }
        }
        self.last_us.fetch_max(now_us(), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn write(&self) -> io::Result<()> {
        let count = self.count.load(Ordering::Relaxed);
        if count == 0 {
            return Ok(());
        }
        let [first, last] = [&self.first_us, &self.last_us].map(|time| time.load(Ordering::Relaxed));
        let half_written = self.stat.with_extension("tmp");
        fs::write(&half_written, format!("{count} {first} {last}\n"))?;
        fs::rename(&half_written, &self.stat)?;
        let waits = std::mem::take(&mut *self.waits_us.lock().expect("no panic in here"));
        if waits.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = waits.iter().map(ToString::to_string).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(self.stat.with_extension("lat"))?;
        writeln!(file, "{}", lines.join("\n"))
    }
}

/// What all workers of a run have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs that ran.
    pub count: u64,
    /// When the first began.
    pub first_us: u64,
    /// When the last ended.
    pub last_us: u64,
}

impl Counts {
    /// From the first begin to the last end.
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.last_us.saturating_sub(self.first_us))
    }
}

/// Adds up what the workers of a run have written.
pub(super) fn counts(folder: &Path) -> Counts {
    let mut sum = Counts { first_us: u64::MAX, ..Counts::default() };
    for text in texts(folder, "stat") {
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        if let [count, first, last] = numbers[..] {
            sum.count += count;
            sum.first_us = sum.first_us.min(first);
            sum.last_us = sum.last_us.max(last);
        }
    }
    sum
}

/// The waits of a run of one worker, in µs, the shortest first; without as many of the first ones to run.
pub(super) fn waits_us(folder: &Path, without: usize) -> Vec<u64> {
    let texts = texts(folder, "lat");
    let mut waits: Vec<u64> = texts.iter().flat_map(|text| numbers(text)).skip(without).collect();
    waits.sort_unstable();
    waits
}

/// When each job was executed, in µs since 1970, by its id.
pub(super) fn executions(folder: &Path) -> BTreeMap<u64, Vec<u64>> {
    let text = fs::read_to_string(folder.join("ids")).unwrap_or_default();
    let mut executions: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    // A line that is being written has no end yet.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        if let [id, at] = numbers(line).collect::<Vec<_>>()[..] {
            executions.entry(id).or_default().push(at);
        }
    }
    executions
}

fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split_whitespace().filter_map(|number| number.parse().ok())
}

fn texts(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let paths = entries.filter(|path| path.extension().is_some_and(|found| found == ending));
    paths.filter_map(|path| fs::read_to_string(path).ok()).collect()
}
