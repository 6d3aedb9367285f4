//! What became of jobs is written down: one worker of all takes it out of Redis, a queue after the other.
//!
//! Whoever has it writes what waits and takes it away once it is written. Where he is killed in between, the next one
//! writes the same again, which changes nothing; so does one who has lost it meanwhile and does not know yet.

use std::time::Duration;

use brasa_jobs::history::{Book, BookError};
use brasa_shared::clock::Clock;
use brasa_shared::queue::{ENTRIES_MAX, Ended, Queue, QueueError};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a queue's history is somebody's at most, unless he says so again.
const TERM: Duration = Duration::from_secs(15);
/// How often to look where nothing waited.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest pause after a fault.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long to wait after a refusal that only a person can mend.
const DENIED_PAUSE: Duration = Duration::from_mins(1);
/// How many entries are read at first, and how many bytes of them are enough.
const FIRST: usize = 16;
const BYTES_ENOUGH: u64 = 2 << 20;
/// How long a worker that ends may write down what is left; the next one goes on with it.
const LAST: Duration = Duration::from_secs(1);
/// How long a worker that starts waits for Redis to hear that somebody wants to know.
const BEGIN: Duration = Duration::from_secs(1);

/// What is needed to write down what became of jobs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The application's Postgres, through a pool of its own: jobs that hold all connections must not hold it up.
    pub pool: PgPool,
    /// For how long it is kept.
    pub keep: Duration,
    /// How many bytes of a queue may wait in Redis.
    pub room: u64,
}

/// Writes down what became of jobs.
pub(crate) struct Historian {
    pub(crate) settings: Settings,
    pub(crate) queues: Vec<Queue>,
    pub(crate) worker: String,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
}

/// Why nothing is written down at the moment.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// How one queue stands.
struct Page {
    queue: Queue,
    /// How many entries are read at once.
    most: usize,
    /// Nothing is tried before.
    rests_until: Instant,
    pause: Duration,
}

impl Historian {
    /// Says that it is wanted, before any job ends here.
    pub(crate) async fn begin(&self) {
        let said = async {
            for queue in &self.queues {
                if let Err(error) = queue.bid_for_history(&self.worker, TERM, self.settings.room).await {
                    tracing::debug!(error = %chain(&error), "could not say that somebody writes down what ends");
                }
            }
        };
        drop(tokio::time::timeout(BEGIN, said).await);
    }

    /// Writes until told to stop, and then what is left, within a moment.
    pub(crate) async fn run(self) {
        let mut book = Book::keeping(self.settings.keep);
        let page = |queue: &Queue| Page {
            queue: queue.clone(),
            most: FIRST,
            rests_until: Instant::now(),
            pause: LOOK_EVERY,
        };
        let mut pages: Vec<Page> = self.queues.iter().map(page).collect();
        while !self.stop.is_cancelled() {
            let mut is_more = false;
            for page in pages.iter_mut().filter(|page| page.rests_until <= Instant::now()) {
                is_more |= self.turn(&mut book, page).await;
            }
            if !is_more {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY.mul_f64(0.75 + rand::random::<f64>() / 2.0)) => {}
                    () = self.stop.cancelled() => {}
                }
            }
        }
        if tokio::time::timeout(LAST, self.finish(&mut book, &mut pages)).await.is_err() {
            tracing::debug!("what became of some jobs is left to the next worker to write down");
        }
    }

    /// Writes a batch of a queue, and outlives whatever comes of it; true if there is more.
    async fn turn(&self, book: &mut Book, page: &mut Page) -> bool {
        match self.write(book, page).await {
            Ok(is_more) => {
                page.pause = LOOK_EVERY;
                is_more
            }
            Err(trouble) => {
                tell(page, &trouble);
                // What had to go meanwhile is known all the same.
                if !matches!(trouble, Trouble::Queue(_))
                    && let Ok(dropped) = page.queue.history_written(&[]).await
                {
                    count_lost(&page.queue, "dropped", dropped);
                }
                false
            }
        }
    }

    async fn write(&self, book: &mut Book, page: &mut Page) -> Result<bool, Trouble> {
        let queue = &page.queue;
        if !queue.bid_for_history(&self.worker, TERM, self.settings.room).await? {
            return Ok(false);
        }
        let mut waiting = queue.history_waiting(page.most).await?;
        if waiting.is_empty() && !book.is_to_tend() {
            return Ok(false);
        }
        let now = self.clock.now();
        let mut connection = self.settings.pool.acquire().await.map_err(BookError::from)?;
        book.tend(&mut connection, now).await?;
        if waiting.is_empty() {
            return Ok(false);
        }
        let ended: Vec<Ended> = waiting.iter_mut().flat_map(|entry| entry.ended.drain(..)).collect();
        let written = book.write(&mut connection, queue.name(), &ended, now).await?;
        drop(connection);
        let unreadable: u64 = waiting.iter().map(|entry| entry.unreadable).sum();
        metrics::history_rows_total(queue.name()).increment(written.rows);
        count_lost(queue, "refused", written.refused + unreadable);
        count_lost(queue, "untimely", written.untimely);
        count_lost(queue, "dropped", queue.history_written(&waiting).await?);
        let is_more = waiting.len() >= page.most;
        let bytes: u64 = waiting.iter().map(|entry| entry.bytes).sum();
        page.most = match bytes {
            bytes if bytes > BYTES_ENOUGH => (page.most / 2).max(1),
            bytes if bytes < BYTES_ENOUGH / 2 && is_more => (page.most * 2).min(ENTRIES_MAX),
            _ => page.most,
        };
        Ok(is_more)
    }

    async fn finish(&self, book: &mut Book, pages: &mut [Page]) {
        for page in pages {
            while matches!(self.write(book, page).await, Ok(true)) {}
            // Whoever looks next need not wait for the term to end.
            if let Ok(true) = page.queue.bid_for_history(&self.worker, TERM, self.settings.room).await {
                let resigned = page.queue.bid_for_history(&self.worker, Duration::ZERO, self.settings.room);
                drop(resigned.await);
            }
        }
    }
}

/// Says why nothing is written down, and has the queue rest.
fn tell(page: &mut Page, trouble: &Trouble) {
    let queue = page.queue.name();
    let rest = match trouble {
        Trouble::Book(BookError::Denied(_)) => {
            tracing::error!(queue, error = %chain(trouble), "what became of jobs is not written down; jobs go on");
            DENIED_PAUSE
        }
        Trouble::Book(BookError::Held) => {
            tracing::debug!(queue, error = %chain(trouble), "what became of jobs has to wait");
            LOOK_EVERY
        }
        trouble => {
            tracing::warn!(queue, error = %chain(trouble), "what became of jobs has to wait; jobs go on");
            page.pause = (page.pause * 2).min(PAUSE_MAX);
            page.pause
        }
    };
    page.rests_until = Instant::now() + rest.mul_f64(0.5 + rand::random::<f64>() / 2.0);
}

fn count_lost(queue: &Queue, why: &'static str, jobs: u64) {
    if jobs == 0 {
        return;
    }
    metrics::history_lost_total(queue.name(), why).increment(jobs);
    if why == "dropped" {
        tracing::warn!(
            queue = queue.name(),
            jobs,
            "what became of jobs was forgotten before it was written down: there is no room for more; see [history]"
        );
    }
}
