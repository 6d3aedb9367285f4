//! A program as a child of ours, in a process group of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, io};

use tracing::warn;

use super::log::Log;
use super::{Scratch, ServersError, Signal, wait};

/// Takes a ticket, then becomes the program.
///
/// The ticket is empty; its name says everything, so there is no moment in which half of it is written. Once the
/// warden has renamed the folder of the tickets, taking one fails, and the program never starts.
const LAUNCH: &str = r#": >"$1.$$" && shift && exec "$@""#;

/// Ends a process group with a signal.
const END: &str = concat!(include_str!("end.sh"), "\n", r#"end "$1" "$2""#);

/// How long a program may take to be ready, or to be done. A Redis that loads a large file needs a while.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to run.
#[derive(Debug)]
pub(super) struct Program {
    /// The file.
    pub(super) path: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<OsString>,
    /// What makes it stop and leave nothing behind.
    pub(super) farewell: Signal,
}

/// A program that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    farewell: Signal,
    ticket: PathBuf,
    is_reaped: bool,
}

impl Process {
    /// Starts a program on a folder, as the folder's user.
    pub(super) fn start(program: &Program, scratch: &Scratch, log: &Log) -> Result<Self, ServersError> {
        let name = program.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ticket = scratch.tickets().join(program.farewell.name());
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "launch"]).arg(&ticket).arg(&program.path).args(&program.args);
        command.current_dir(scratch.path()).process_group(0);
        command.stdin(Stdio::null()).stdout(log.output()?).stderr(log.output()?);
        // Messages that we look for are in English, the clock is everybody's, and what somebody set for their own
        // Postgres stays there.
        command.env("LC_ALL", "C").env("TZ", "UTC");
        for (key, _) in env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("PG")) {
            command.env_remove(key);
        }
        if let Some(user) = scratch.user() {
            command.uid(user.uid).gid(user.gid);
        }
        let child = command.spawn().map_err(ServersError::doing(format!("start {name}")))?;
        let ticket = ticket.with_extension(child.id().to_string());
        Ok(Self { name, child, farewell: program.farewell, ticket, is_reaped: false })
    }

    /// The number of the process, which is that of its group too.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the program, which is told its number, is ready.
    pub(super) fn until_ready(
        &mut self,
        log: &Log,
        is_ready: impl Fn(u32) -> bool,
    ) -> Result<(), ServersError> {
        let pid = self.pid();
        let ready = wait::until(PATIENCE, || match self.ended()? {
            Some(status) => Err(self.died(status, log)),
            None => Ok(is_ready(pid).then_some(())),
        })?;
        ready.ok_or_else(|| self.late(log))
    }

    /// Waits until the program is done, and is content only when it was successful.
    pub(super) fn until_done(&mut self, log: &Log) -> Result<(), ServersError> {
        match wait::until(PATIENCE, || self.ended())? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.died(status, log)),
            None => Err(self.late(log)),
        }
    }

    /// Asks the program to stop, and waits until all of its group is gone.
    pub(super) fn stop(self) -> Result<(), ServersError> {
        let farewell = self.farewell;
        self.end(farewell)
    }

    /// Kills the program and all of its group, and waits until they are gone.
    pub(super) fn kill(self) -> Result<(), ServersError> {
        self.end(Signal::Kill)
    }

    fn end(mut self, signal: Signal) -> Result<(), ServersError> {
        self.end_group(signal)
    }

    fn end_group(&mut self, signal: Signal) -> Result<(), ServersError> {
        let group = self.pid();
        let ended = Command::new("sh")
            .args(["-c", r#"eval "$BRASA_END""#, "end", signal.name(), &group.to_string()])
            .env("BRASA_END", END)
            .stdin(Stdio::null())
            .process_group(0)
            .status()
            .map_err(ServersError::doing(format!("end {}", self.name)))?;
        if !ended.success() {
            return Err(ServersError::Stuck { group });
        }
        self.child.wait().map_err(ServersError::doing(format!("wait for {}", self.name)))?;
        self.reaped()
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, ServersError> {
        let doing = ServersError::doing(format!("wait for {}", self.name));
        let status = self.child.try_wait().map_err(doing)?;
        if status.is_some() {
            self.reaped()?;
        }
        Ok(status)
    }

    /// From now on the number may be somebody else's: the ticket must go.
    fn reaped(&mut self) -> Result<(), ServersError> {
        self.is_reaped = true;
        match fs::remove_file(&self.ticket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ServersError::doing(format!("remove {}", self.ticket.display()))(error))
            }
            _ => Ok(()),
        }
    }

    fn died(&self, status: ExitStatus, log: &Log) -> ServersError {
        ServersError::Died { program: self.name.clone(), status, log: log.tail() }
    }

    fn late(&self, log: &Log) -> ServersError {
        ServersError::Late { program: self.name.clone(), limit: PATIENCE, log: log.tail() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_reaped {
            return;
        }
        if let Err(error) = self.end_group(self.farewell) {
            warn!(program = self.name, %error, "a private server could not be ended");
        }
    }
}
