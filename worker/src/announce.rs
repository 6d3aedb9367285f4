//! A worker that runs suspects tells its parent which job it begins, so that the parent knows whose fault it
//! was when it dies.

use std::io::Write as _;

use crate::job::Job;

/// Tells on standard output, or nobody.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Announce(pub(crate) bool);

impl Announce {
    /// A job begins.
    pub(crate) fn begin(self, job: &Job) {
        if self.0 {
            let claimed = &job.claimed;
            tell(&format!("begin {} {} {}", job.queue.name(), claimed.id, claimed.nonce));
        }
    }

    /// It has ended, whichever way.
    pub(crate) fn end(self) {
        if self.0 {
            tell("end");
        }
    }
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone does not have to know.
    let _told = writeln!(out, "{line}").and_then(|()| out.flush());
}
