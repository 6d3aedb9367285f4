//! Signals to other processes, by way of the shell: the standard library only knows how to kill.

use std::process::{Command, Stdio};

use super::ServersError;

/// A signal that another process can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The terminal is gone.
    Hangup,
    /// What Ctrl-C sends.
    Interrupt,
    /// Stop at once; for Postgres the immediate shutdown.
    Quit,
    /// Please stop.
    Terminate,
    /// Cannot be refused.
    Kill,
}

impl Signal {
    /// The name as `kill` knows it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "HUP",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
        }
    }

    /// Sends this signal to one process. Whether there is such a process is the answer.
    pub fn send(self, pid: u32) -> Result<bool, ServersError> {
        Command::new("sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "signal", self.name(), &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map(|status| status.success())
            .map_err(ServersError::doing(format!("send SIG{} to process {pid}", self.name())))
    }
}
