//! A process that enqueues.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::child::{end, tail};
use super::pace::open_loop;
use super::protocol::now_us;

/// A process that enqueues. Dropping it kills it.
pub(super) struct Enqueuer {
    child: Child,
    output: BufReader<ChildStdout>,
    log: PathBuf,
    who: &'static str,
}

impl Enqueuer {
    /// Starts it.
    pub(super) fn start(command: &mut Command, who: &'static str, log: PathBuf) -> Result<Self> {
        let mut child =
            command.stdout(Stdio::piped()).spawn().with_context(|| format!("start the enqueuer of {who}"))?;
        let output = BufReader::new(child.stdout.take().context("hear the enqueuer")?);
        Ok(Self { child, output, log, who })
    }

    /// Once it is ready, tells it when to push.
    pub(super) fn pace(&mut self, rate: f64, count: u64) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("hear the enqueuer")?;
        ensure!(line.trim() == "ready", "the enqueuer of {} did not start: {}", self.who, tail(&self.log));
        let mut input = self.child.stdin.take().context("speak to the enqueuer")?;
        let begun_us = u128::from(now_us());
        let told = open_loop(count, rate, |id, meant| {
            input.write_all(format!("{id} {}\n", begun_us + meant.as_micros()).as_bytes())
        });
        told.with_context(|| format!("{} stopped enqueuing: {}", self.who, tail(&self.log)))
    }

    /// Waits until it is done, and says how long it took by its own watch, in seconds.
    pub(super) fn finish(mut self) -> Result<f64> {
        let mut said = String::new();
        self.output.read_to_string(&mut said).context("hear the enqueuer")?;
        let line = said.lines().find(|line| line.starts_with("enqueued "));
        let seconds = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        seconds.with_context(|| format!("{} enqueued nothing: {}", self.who, tail(&self.log)))
    }
}

impl Drop for Enqueuer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
