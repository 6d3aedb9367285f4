//! Jobs that were lost with more than one worker run apart from others: one at a time, in a process of their
//! own. Where that dies too it is certain whose fault it was, and nobody else is harmed.
//!
//! The child is a worker like any other, with its own claims and leases. It says on its standard output which
//! job it begins; its parent reads that, and when the child dies, takes the job back at once. Its standard input
//! ends with its parent: nobody would witness what it dies of then, so it hands back what it runs, and ends.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use brasa_shared::queue::{Claimant, Company, Held, Queue, QueueError, Witnessed};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// How often to look for suspects.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to wait after a child that could not be started.
const FAULT_PAUSE: Duration = Duration::from_secs(5);

/// How a worker for suspects is started.
#[derive(Debug, Clone)]
pub struct Isolation {
    /// The program.
    pub program: PathBuf,
    /// What it is told: to run suspects until there are none, and to announce them.
    pub args: Vec<OsString>,
}

/// Runs suspects in a child, as long as there are any.
pub(crate) struct Isolator {
    pub(crate) isolation: Isolation,
    pub(crate) queues: Vec<Queue>,
    pub(crate) claimant: Claimant,
    pub(crate) crashes_max: u32,
    pub(crate) stop: CancellationToken,
}

/// A job that the child has begun.
struct Begun {
    queue: String,
    held: Held,
}

impl Isolator {
    /// Looks for suspects and runs them until told to stop. A child that runs then ends with this process.
    pub(crate) async fn run(self) {
        let suspects = Claimant { company: Company::Suspects, ..self.claimant.clone() };
        loop {
            let pause = match self.are_there(&suspects).await {
                Ok(true) => match self.run_child().await {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::error!(%error, program = %self.isolation.program.display(), "cannot run suspects apart");
                        FAULT_PAUSE
                    }
                },
                Ok(false) => LOOK_EVERY,
                Err(error) => {
                    tracing::debug!(error = %chain(&error), "cannot look for suspects");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn are_there(&self, suspects: &Claimant) -> Result<bool, QueueError> {
        for queue in &self.queues {
            if queue.any_in(&queue.lanes_for(suspects).await?).await? && queue.paused().await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn run_child(&self) -> std::io::Result<()> {
        let mut command = Command::new(&self.isolation.program);
        command.args(&self.isolation.args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        // Nothing is said through it. It is held until the child is gone, by waiting for which it would be closed.
        let _tie = child.stdin.take();
        tracing::warn!(pid = child.id(), "running jobs apart that were lost with more than one worker");
        let begun = follow(&mut child).await;
        let status = child.wait().await?;
        if status.success() {
            return Ok(());
        }
        let how = in_words(status);
        let Some(Begun { queue, held }) = begun else {
            return Err(std::io::Error::other(format!("the process ended before it began a job: {how}")));
        };
        tracing::error!(job.id = held.id, job.queue = queue, how, "a job took its process down");
        self.take_back(&queue, Witnessed { held, how }).await;
        Ok(())
    }

    async fn take_back(&self, queue: &str, seen: Witnessed) {
        let Some(queue) = self.queues.iter().find(|known| known.name() == queue) else { return };
        match queue.reclaim_witnessed(self.crashes_max, seen).await {
            Ok(found) => {
                metrics::jobs_reclaimed_total(queue.name()).increment(found.returned);
                metrics::jobs_quarantined_total(queue.name()).increment(found.quarantined);
            }
            // Then its lease brings it back, and nobody knows for certain.
            Err(error) => tracing::warn!(error = %chain(&error), "could not take a crashed job back"),
        }
    }
}

/// Reads what the child announces until it is silent for good; returns the job that it had begun last.
async fn follow(child: &mut Child) -> Option<Begun> {
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    let mut begun = None;
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = line.split(' ');
        begun = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("begin"), Some(queue), Some(id), Some(nonce)) => {
                Some(Begun { queue: queue.to_owned(), held: Held { id: id.to_owned(), nonce: nonce.into() } })
            }
            _ => None,
        };
    }
    begun
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(signal) => format!("its process was ended by signal {signal} ({})", name(signal)),
        None => format!("its process ended with exit code {}", status.code().unwrap_or(-1)),
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        4 => "illegal instruction",
        6 => "abort",
        7 => "bus error",
        8 => "arithmetic error",
        9 => "killed, as the system does when memory is short",
        11 => "segmentation fault or stack overflow",
        15 => "asked to end",
        _ => "see signal(7)",
    }
}
