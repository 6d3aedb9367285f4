//! Who is measured.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// Stands for the number of jobs at once, among the arguments of a program that is told it there.
const CONCURRENCY: &str = "{concurrency}";

/// Somebody who can enqueue jobs and work on them, by programs that follow [`protocol`](super::protocol).
#[derive(Debug, Clone)]
pub struct Contestant {
    /// How people know it.
    pub name: &'static str,
    /// The folder that its programs are started in.
    pub folder: PathBuf,
    /// What enqueues, without what and how much.
    pub enqueue: Vec<OsString>,
    /// What works.
    pub worker: Vec<OsString>,
    /// Jobs at once with which it is at its best.
    pub concurrency: usize,
}

impl Contestant {
    pub(super) fn enqueuer(&self) -> Command {
        self.command(&self.enqueue, self.concurrency)
    }

    pub(super) fn worker(&self, concurrency: usize) -> Command {
        self.command(&self.worker, concurrency)
    }

    fn command(&self, line: &[OsString], concurrency: usize) -> Command {
        let mut words = line.iter();
        let mut command = Command::new(words.next().expect("a contestant has programs"));
        for word in words {
            if word == CONCURRENCY {
                command.arg(concurrency.to_string())
            } else {
                command.arg(word)
            };
        }
        command.current_dir(&self.folder);
        command
    }
}
