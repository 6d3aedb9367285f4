//! What a server writes, and the end of it for error messages.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

use super::{Scratch, ServersError};

/// The name of the file in the scratch folder.
const NAME: &str = "log";

/// How much of the end of the log an error message shows.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 8 * 1024;

/// The log of one server. It stays open, so that nobody can put another file in its place.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Where the present run of the server begins.
    begin: u64,
}

impl Log {
    /// Begins an empty log.
    pub(super) fn create(scratch: &Scratch) -> Result<Self, ServersError> {
        Ok(Self { file: scratch.create(NAME)?, begin: 0 })
    }

    /// From here on a new run of the server writes.
    pub(super) fn turn_page(&mut self) -> Result<(), ServersError> {
        self.begin = self.length().map_err(ServersError::doing("read a server's log"))?;
        Ok(())
    }

    /// The end of a child's standard output or error.
    pub(super) fn output(&self) -> Result<Stdio, ServersError> {
        self.file.try_clone().map(Stdio::from).map_err(ServersError::doing("share a server's log"))
    }

    /// The last lines of the present run. It goes into an error, so it never fails.
    pub(super) fn tail(&self) -> String {
        self.read_tail().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_tail(&self) -> io::Result<String> {
        let end = self.length()?;
        let begin = self.begin.max(end.saturating_sub(TAIL_BYTES));
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(begin)).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, begin)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_tail_is_of_the_present_run_and_short() {
        let scratch = Scratch::new().unwrap();
        let mut log = Log::create(&scratch).unwrap();
        writeln!(log.file, "an earlier run").unwrap();
        log.turn_page().unwrap();
        for line in 0..50 {
            writeln!(log.file, "line {line}").unwrap();
        }

        let tail = log.tail();

        assert!(tail.starts_with("line 30\n"), "{tail}");
        assert!(tail.ends_with("\nline 49"), "{tail}");
    }
}
