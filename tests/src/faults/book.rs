//! A file in which jobs write down what they do, a line at a time. What is in it outlives whoever wrote it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::{env, io};

use brasa_jobs::ThisJob;

/// Where processes are told which file it is.
pub(super) const BOOK: &str = "TEAM_BOOK";

/// An execution begins.
pub(super) fn begin(job: &ThisJob) {
    write("begin", job);
}

/// An execution has had its effect.
pub(super) fn end(job: &ThisJob) {
    write("end", job);
}

/// One line by one write: the kernel appends it as a whole, beside everybody else's.
fn write(what: &str, job: &ThisJob) {
    let path = env::var_os(BOOK).expect("the file that jobs write into is in the environment");
    let line = format!("{what} {} {} {}\n", job.id, job.attempt, job.nonce);
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("a line is appended");
}

/// What the file says, by job: the attempts that began, and those that ended.
#[derive(Debug, Default)]
pub(super) struct Book {
    begun: BTreeMap<String, Vec<u32>>,
    ended: BTreeMap<String, Vec<u32>>,
}

impl Book {
    /// Reads it; one that nobody has written into is empty.
    pub(super) fn read(path: &Path) -> Self {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.expect("the file that jobs write into is read"),
        };
        let mut book = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, id, attempt, _] = words[..] else { continue };
            let attempt = attempt.parse().expect("an attempt is a number");
            let runs = if what == "begin" { &mut book.begun } else { &mut book.ended };
            runs.entry(id.to_owned()).or_default().push(attempt);
        }
        book
    }

    /// The attempts of a job that began, in order.
    pub(super) fn begun(&self, id: &str) -> &[u32] {
        self.begun.get(id).map_or(&[], Vec::as_slice)
    }

    /// Those that had their effect.
    pub(super) fn ended(&self, id: &str) -> &[u32] {
        self.ended.get(id).map_or(&[], Vec::as_slice)
    }

    /// How many executions had their effect.
    pub(super) fn executions(&self) -> usize {
        self.ended.values().map(Vec::len).sum()
    }

    /// How many jobs had their effect more than once.
    pub(super) fn repeated(&self) -> usize {
        self.ended.values().filter(|runs| runs.len() > 1).count()
    }

    /// Every job that anybody began.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &str> {
        self.begun.keys().map(String::as_str)
    }
}
