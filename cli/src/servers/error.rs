//! Why a private server could not be had.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a private server could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// A program that we need is not on this machine.
    #[error("`{program}` is not installed here; {advice}")]
    Missing {
        /// The name of the program.
        program: &'static str,
        /// How to install it.
        advice: &'static str,
    },
    /// The operating system refused.
    #[error("could not {action}")]
    System {
        /// What was being done, and to what.
        action: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No folder for temporary files could be used.
    #[error("could not make a scratch folder (set TMPDIR to a folder that everybody may write to):\n{said}")]
    NoScratch {
        /// What was said of each folder that was tried.
        said: String,
    },
    /// Every port that was tried is in use.
    #[error("found no free port on 127.0.0.1 between {first} and {last}")]
    NoPort {
        /// The first port of the range.
        first: u16,
        /// The last port of the range.
        last: u16,
    },
    /// A server ended before it was ready.
    #[error("{program} ended while it was starting ({status}); the end of its log:\n{log}")]
    Died {
        /// The program's name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// A server runs but does not answer.
    #[error("{program} was not ready within {} s; the end of its log:\n{log}", limit.as_secs())]
    Late {
        /// The program's name.
        program: String,
        /// How long we waited.
        limit: Duration,
        /// The last lines that it wrote.
        log: String,
    },
    /// A process outlived SIGKILL.
    #[error("process group {group} does not end, not even when killed")]
    Stuck {
        /// The process group.
        group: u32,
    },
}

impl ServersError {
    /// Names what was being done when the system refused.
    pub(super) fn doing(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        |source| Self::System { action, source }
    }

    /// Did `initdb` end because this system lacks the locale?
    pub(super) fn is_locale_unknown(&self) -> bool {
        self.has_logged("invalid locale")
    }

    /// Did the server end because somebody else took its port in the meantime?
    pub(super) fn is_port_taken(&self) -> bool {
        self.has_logged("Address already in use")
    }

    /// Did Postgres end because processes of its last run, whose first was killed, are not gone yet?
    pub(super) fn is_memory_in_use(&self) -> bool {
        self.has_logged("pre-existing shared memory block")
    }

    fn has_logged(&self, words: &str) -> bool {
        matches!(self, Self::Died { log, .. } if log.contains(words))
    }
}
