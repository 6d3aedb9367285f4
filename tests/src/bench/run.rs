//! One contestant on a Redis that was emptied for it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::enqueuer::Enqueuer;
use super::protocol::{self, Counts, Mode};
use super::workers::Workers;
use super::{Contestant, Redis, Stage};

/// One contestant on a Redis that was emptied for it.
#[derive(Debug)]
pub struct Run<'a> {
    who: &'a Contestant,
    /// The Redis of the run.
    pub redis: &'a Redis,
    folder: PathBuf,
    env: Vec<(&'static str, String)>,
}

impl<'a> Run<'a> {
    /// Empties the Redis for this contestant.
    ///
    /// # Errors
    /// The Redis is out of reach, or there is no place for files.
    pub fn new(stage: &Stage, redis: &'a Redis, who: &'a Contestant) -> Result<Self> {
        redis.flush()?;
        Ok(Self { who, redis, folder: stage.run_folder()?, env: Vec::new() })
    }

    /// A setting that the programs find in their environment.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.env.push((name, value.to_string()));
        self
    }

    /// Enqueues so many jobs as fast as possible, in bulk or by so many callers, and says how long that took by the
    /// enqueuer's own watch, in seconds.
    ///
    /// # Errors
    /// It fails.
    pub fn enqueue(&self, count: u64, callers: Option<usize>) -> Result<f64> {
        let mode = if callers.is_some() { "callers" } else { "bulk" };
        let mut command = self.enqueuer(count, mode)?;
        command.args(callers.map(|callers| callers.to_string())).stdin(Stdio::null());
        Enqueuer::start(&mut command, self.who.name, self.log())?.finish()
    }

    /// Enqueues so many jobs at so many per second, and says how long that took, in seconds. The time in a job is when
    /// it was pushed, or when it was meant to be.
    ///
    /// # Errors
    /// It fails.
    pub fn enqueue_at(&self, rate: f64, count: u64, is_meant: bool) -> Result<f64> {
        let mut command = self.enqueuer(count, if is_meant { "open" } else { "paced" })?;
        command.stdin(Stdio::piped());
        let mut enqueuer = Enqueuer::start(&mut command, self.who.name, self.log())?;
        enqueuer.pace(rate, count)?;
        enqueuer.finish()
    }

    /// Starts so many worker processes, each with so many jobs at once.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&self, mode: Mode, processes: usize, concurrency: usize) -> Result<Workers> {
        let mut workers = Workers::new(self.folder.clone(), self.log());
        for _ in 0..processes {
            let mut command = self.who.worker(concurrency);
            self.prepare(&mut command, concurrency)?;
            command.env("MODE", mode.word()).stdin(Stdio::piped()).stdout(self.log_file()?);
            workers.start(&mut command).with_context(|| format!("start the worker of {}", self.who.name))?;
        }
        Ok(workers)
    }

    /// What all workers of this run have done, also those that are gone.
    pub fn counts(&self) -> Counts {
        protocol::counts(&self.folder)
    }

    /// How long jobs waited, in µs, the shortest first; without as many of the first ones to run.
    pub fn waits_us(&self, without: usize) -> Vec<u64> {
        protocol::waits_us(&self.folder, without)
    }

    /// When each job was executed, in µs since 1970, by its id; in mode `crash`.
    pub fn executions(&self) -> BTreeMap<u64, Vec<u64>> {
        protocol::executions(&self.folder)
    }

    fn enqueuer(&self, count: u64, mode: &str) -> Result<Command> {
        let mut command = self.who.enqueuer();
        command.arg(count.to_string()).arg(mode);
        self.prepare(&mut command, self.who.concurrency)?;
        Ok(command)
    }

    fn prepare(&self, command: &mut Command, concurrency: usize) -> Result<()> {
        command.env("REDIS_URL", self.redis.url()).env("STATS_DIR", &self.folder);
        command.env("CONC", concurrency.to_string()).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stderr(self.log_file()?);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn log_file(&self) -> Result<File> {
        OpenOptions::new().create(true).append(true).open(self.log()).context("open the log of a run")
    }
}
