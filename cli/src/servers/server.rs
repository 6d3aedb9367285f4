//! What the servers have in common: a folder, a log and a process that comes and goes.

use super::log::Log;
use super::process::{Process, Program};
use super::{Scratch, ServersError};

/// One server's folder, log and process. They go in this order: the process, then the folder.
#[derive(Debug)]
pub(super) struct Server {
    process: Option<Process>,
    pid: u32,
    log: Log,
    scratch: Scratch,
}

impl Server {
    /// A server that does not run yet.
    pub(super) fn new(scratch: Scratch) -> Result<Self, ServersError> {
        Ok(Self { process: None, pid: 0, log: Log::create(&scratch)?, scratch })
    }

    /// The folder of everything it writes.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The process, or the last one.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Starts the program and waits until it is ready; `is_ready` is told the number of the process.
    pub(super) fn run(
        &mut self,
        program: &Program,
        is_ready: impl Fn(u32) -> bool,
    ) -> Result<(), ServersError> {
        self.log.turn_page()?;
        let mut process = Process::start(program, &self.scratch, &self.log)?;
        process.until_ready(&self.log, is_ready)?;
        self.pid = process.pid();
        self.process = Some(process);
        Ok(())
    }

    /// Runs a program on the same folder, and waits until it is done.
    pub(super) fn prepare(&mut self, program: &Program) -> Result<(), ServersError> {
        self.log.turn_page()?;
        Process::start(program, &self.scratch, &self.log)?.until_done(&self.log)
    }

    /// Lets the process stop, if it runs.
    pub(super) fn stop(&mut self) -> Result<(), ServersError> {
        self.process.take().map_or(Ok(()), Process::stop)
    }

    /// Kills the process, if it runs.
    pub(super) fn kill(&mut self) -> Result<(), ServersError> {
        self.process.take().map_or(Ok(()), Process::kill)
    }
}
