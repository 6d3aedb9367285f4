//! The processes that work.

use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::child::{end, tail};
use super::pause;
use super::protocol::{self, Counts};
use super::usage::{self, Memory};

/// How often it is looked whether the first job has run: what processes cost is counted from then on.
const LOOK_FIRST: Duration = Duration::from_millis(2);
/// How often it is looked how many have; looking costs something too.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long nothing may happen before a run is given up.
const PATIENCE: Duration = Duration::from_secs(45);

/// Worker processes. Dropping them kills them.
#[derive(Debug)]
pub struct Workers {
    children: Vec<Child>,
    /// Workers end when these do, so none is left behind by a bench that was killed.
    inputs: Vec<ChildStdin>,
    folder: PathBuf,
    log: PathBuf,
}

impl Workers {
    /// Nobody yet; what they do will be written into this folder, and what they say into this file.
    pub(super) fn new(folder: PathBuf, log: PathBuf) -> Self {
        Self { children: Vec::new(), inputs: Vec::new(), folder, log }
    }

    /// Starts one more.
    pub(super) fn start(&mut self, command: &mut Command) -> io::Result<()> {
        let mut child = command.spawn()?;
        self.inputs.extend(child.stdin.take());
        self.children.push(child);
        Ok(())
    }

    /// Waits until so many jobs have run, and says what was done then.
    ///
    /// # Errors
    /// The workers ended, or nothing happens any more.
    pub fn until(&mut self, count: u64) -> Result<Counts> {
        let (mut last, mut since) = (Counts::default(), Instant::now());
        loop {
            let counts = protocol::counts(&self.folder);
            if counts.count >= count {
                return Ok(counts);
            }
            if counts.count != last.count {
                (last, since) = (counts, Instant::now());
            }
            self.check()?;
            ensure!(since.elapsed() < PATIENCE, "stood still after {} of {count} jobs", last.count);
            pause(if count > 1 { LOOK_EVERY } else { LOOK_FIRST });
        }
    }

    /// Whether all of them still run.
    ///
    /// # Errors
    /// One does not; with what it said.
    pub fn check(&mut self) -> Result<()> {
        for child in &mut self.children {
            if let Some(status) = child.try_wait().context("look after a worker")? {
                bail!("a worker ended by itself ({status}): {}", tail(&self.log));
            }
        }
        Ok(())
    }

    /// Their processor time so far, in µs.
    pub fn cpu_us(&self) -> f64 {
        usage::cpu_us(&self.pids())
    }

    /// Their memory in MB, all together.
    pub fn memory_mb(&self, which: Memory) -> f64 {
        usage::memory_mb(&self.pids(), which)
    }

    /// Kills them as `kill -9` does, and waits until they are gone.
    pub fn kill(self) {
        drop(self);
    }

    fn pids(&self) -> Vec<u32> {
        usage::trees(&self.children.iter().map(Child::id).collect::<Vec<_>>())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.inputs.clear();
        self.children.iter_mut().for_each(end);
    }
}
