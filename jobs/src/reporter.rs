//! How a running job says how far it is, and what it has to say about itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brasa_shared::queue::outcome::cut;
use brasa_shared::queue::{Held, LOG_MAX, Note, Queue};
use brasa_shared::telemetry::logs::chain;

/// What was said is sent at most this often.
const SEND_EVERY: Duration = Duration::from_millis(200);

/// Keeps what a running job says beside the job, bounded and only while the job is its holder's.
#[derive(Debug, Default)]
pub struct Reporter {
    to: Option<(Queue, Held)>,
    unsent: Mutex<Unsent>,
}

#[derive(Debug, Default)]
struct Unsent {
    note: Option<Note>,
    lines: String,
    sent: Option<Instant>,
}

impl Reporter {
    /// For a job of a queue.
    pub fn of(queue: Queue, held: Held) -> Self {
        Self { to: Some((queue, held)), unsent: Mutex::default() }
    }

    /// For a job that nobody watches.
    pub fn silent() -> Self {
        Self::default()
    }

    /// Says that this share of the work is done, between 0 and 1, and what it is at.
    pub async fn progress(&self, share: f64, text: &str) {
        let Some((queue, _)) = &self.to else { return };
        let at = queue.clock().now().as_millisecond();
        self.unsent().note = Some(Note { share: share.clamp(0.0, 1.0), text: text.to_owned(), at });
        self.send_if_due().await;
    }

    /// Adds a line to the log that is kept with the job; only the latest [`LOG_MAX`] bytes are, and of a line
    /// the first 2,000.
    pub async fn log(&self, line: &str) {
        let Some((queue, _)) = &self.to else { return };
        let line = format!("{} {}\n", queue.clock().now(), cut(line.replace('\n', " ")));
        {
            let mut unsent = self.unsent();
            unsent.lines.push_str(&line);
            while unsent.lines.len() > LOG_MAX {
                // The oldest line goes; a byte of a line feed is never part of another character.
                let end = unsent.lines.find('\n').map_or(unsent.lines.len(), |end| end + 1);
                unsent.lines.drain(..end);
            }
        }
        self.send_if_due().await;
    }

    /// Sends what was not sent yet.
    pub async fn flush(&self) {
        let (note, lines) = {
            let mut unsent = self.unsent();
            unsent.sent = Some(Instant::now());
            (unsent.note.take(), std::mem::take(&mut unsent.lines))
        };
        let Some((queue, held)) = &self.to else { return };
        if note.is_none() && lines.is_empty() {
            return;
        }
        // What a job says about itself is not worth a failure of the job.
        // Boxed, for every job waits here and few have said anything.
        if let Err(error) = Box::pin(queue.note(held, note, &lines)).await {
            tracing::debug!(error = %chain(&error), "what the job said about itself was not kept");
        }
    }

    async fn send_if_due(&self) {
        let due = self.unsent().sent.is_none_or(|sent| sent.elapsed() >= SEND_EVERY);
        if due {
            self.flush().await;
        }
    }

    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
