//! Saying what became of jobs, many at a time.
//!
//! While one batch is on its way the next one gathers, so the size of a batch follows the load by itself.
//! Every job gets its own answer, and its lease is kept until it has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use brasa_shared::queue::{
    BATCH_MAX, Burial, Ending, Finish, HandBack, Held, Outcome, Queue, QueueError, Retry, Settled,
};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::leases::Watch;
use crate::meters::{Meters, Told};
use crate::outbox::Outbox;

/// How long an outcome is held on to while Redis is out of reach. By then the lease has long run out, and
/// the job will run again.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is to be said about one job.
#[derive(Debug)]
pub(crate) enum Word {
    Finish(Finish),
    Retry(Retry),
    Bury(Burial),
    HandBack(HandBack),
}

/// A word about a job, with what is to be done once it was accepted.
pub(crate) struct Said {
    pub(crate) queue: Queue,
    pub(crate) word: Word,
    /// What it counts as.
    pub(crate) told: Told,
    /// The kind, as metrics know it.
    pub(crate) kind: &'static str,
    /// Whether it came through the outbox, which waits to hear of its end.
    pub(crate) outbox: bool,
    /// Its lease, which is kept until the word is accepted.
    pub(crate) watch: Watch,
}

/// Where dispatch says what became of a job.
#[derive(Clone)]
pub(crate) struct Settler(mpsc::Sender<Said>);

impl Settler {
    /// A settler, and the task that does its work; the task ends when the last clone is gone.
    pub(crate) fn start(capacity: usize, worker: &str, ledger: Ledger) -> Self {
        let (send, receive) = mpsc::channel(capacity.max(1));
        tokio::spawn(run(receive, worker.to_owned(), ledger));
        Self(send)
    }

    /// Says it. The answer is seen to; it is waited for only where words gather faster than Redis takes them.
    pub(crate) async fn say(&self, said: Said) {
        if self.0.send(said).await.is_err() {
            tracing::debug!("the worker ends; the lease brings the job back");
        }
    }
}

/// Who is told what became of a job, once that is certain.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) meters: Arc<Meters>,
    pub(crate) outbox: Outbox,
}

async fn run(mut words: mpsc::Receiver<Said>, worker: String, ledger: Ledger) {
    let mut gathered = Vec::with_capacity(BATCH_MAX);
    let mut voices: HashMap<String, Queue> = HashMap::new();
    while words.recv_many(&mut gathered, BATCH_MAX).await > 0 {
        let mut batches: HashMap<String, Batch> = HashMap::new();
        for said in gathered.drain(..) {
            let name = said.queue.name();
            if let Some(batch) = batches.get_mut(name) {
                batch.add(said);
                continue;
            }
            let voice = voices.entry(name.to_owned()).or_insert_with(|| {
                said.queue.clone().as_voice(&worker).over(said.queue.store().clone().with_patience(PATIENCE))
            });
            let mut batch = Batch::new(voice.clone());
            let name = name.to_owned();
            batch.add(said);
            batches.insert(name, batch);
        }
        join_all(batches.into_values().map(|batch| batch.send(&ledger))).await;
    }
}

/// Who waits for the answer to a word.
struct Waiting {
    held: Held,
    told: Told,
    kind: &'static str,
    outbox: bool,
    _watch: Watch,
}

/// The words of one kind, each with the one who waits for its answer.
struct Words<W> {
    words: Vec<W>,
    waiting: Vec<Waiting>,
}

impl<W> Default for Words<W> {
    fn default() -> Self {
        Self { words: Vec::new(), waiting: Vec::new() }
    }
}

/// The words for one queue, by verb.
struct Batch {
    queue: Queue,
    finish: Words<Finish>,
    retry: Words<Retry>,
    bury: Words<Burial>,
    hand_back: Words<HandBack>,
}

impl<W> Words<W> {
    fn add(&mut self, word: W, waiting: Waiting) {
        self.words.push(word);
        self.waiting.push(waiting);
    }
}

impl Batch {
    fn new(queue: Queue) -> Self {
        let (finish, retry, bury, hand_back) = Default::default();
        Self { queue, finish, retry, bury, hand_back }
    }

    fn add(&mut self, said: Said) {
        let Said { word, told, kind, outbox, watch, .. } = said;
        let waiting = |held: &Held| Waiting { held: held.clone(), told, kind, outbox, _watch: watch };
        match word {
            Word::Finish(word) => {
                let waiting = waiting(&word.held);
                self.finish.add(word, waiting);
            }
            Word::Retry(word) => {
                let waiting = waiting(&word.held);
                self.retry.add(word, waiting);
            }
            Word::Bury(word) => {
                let waiting = waiting(&word.held);
                self.bury.add(word, waiting);
            }
            Word::HandBack(word) => {
                let waiting = waiting(&word.held);
                self.hand_back.add(word, waiting);
            }
        }
    }

    async fn send(self, ledger: &Ledger) {
        let Self { queue, finish, retry, bury, hand_back } = self;
        let queue = &queue;
        tokio::join!(
            tell(queue, ledger, finish, async |words| queue.finish(words).await),
            tell(queue, ledger, retry, async |words| queue.retry(words).await),
            tell(queue, ledger, bury, async |words| queue.bury(words).await),
            tell(queue, ledger, hand_back, async |words| queue.hand_back(words).await),
        );
    }
}

async fn tell<W>(
    queue: &Queue,
    ledger: &Ledger,
    said: Words<W>,
    call: impl AsyncFnOnce(&[W]) -> Result<Vec<Settled>, QueueError>,
) {
    if said.words.is_empty() {
        return;
    }
    match call(&said.words).await {
        Ok(answers) => {
            for (waiting, answer) in said.waiting.into_iter().zip(answers) {
                conclude(queue, ledger, waiting, answer).await;
            }
        }
        Err(error) => {
            metrics::redis_faults_total("settle").increment(1);
            tracing::error!(
                error = %chain(&error),
                "outcomes could not be recorded; those jobs will run again"
            );
            said.waiting.iter().for_each(|waiting| ledger.meters.count(waiting.kind, Told::Lost));
        }
    }
}

async fn conclude(queue: &Queue, ledger: &Ledger, waiting: Waiting, answer: Settled) {
    let told = match answer {
        Settled::Accepted => waiting.told,
        Settled::Refused => Told::Lost,
        Settled::CancelFirst => match cancel(queue, &waiting.held).await {
            Ok(Settled::Accepted) => Told::Cancelled,
            Ok(_) => Told::Lost,
            Err(error) => {
                tracing::error!(error = %chain(&error), "a cancelled job could not be recorded");
                Told::Lost
            }
        },
    };
    if told == Told::Lost {
        tracing::warn!(
            job.id = waiting.held.id,
            job.queue = queue.name(),
            "the outcome of a job was not accepted; it runs again elsewhere"
        );
    }
    ledger.meters.count(waiting.kind, told);
    if waiting.outbox && told.is_final() {
        ledger.outbox.ended(&waiting.held.id);
    }
}

/// A job that was to run again was cancelled first.
async fn cancel(queue: &Queue, held: &Held) -> Result<Settled, QueueError> {
    let envelope = queue.envelope(&held.id).await?.and_then(Result::ok);
    let outcome = Outcome::new(Ending::Cancelled, queue.clock().now().as_millisecond());
    let outcome = outcome.because("cancelled before it could run again");
    let finish = Finish {
        held: held.clone(),
        unique: envelope.as_ref().and_then(|job| job.unique.clone()),
        keep_ms: envelope.as_ref().and_then(|job| job.keep_ms),
        envelope_bytes: envelope
            .as_ref()
            .and_then(|job| job.to_record().ok())
            .map_or(0, |record| record.len()),
        line: queue.line_of(&held.id, envelope.as_ref(), 0, &outcome),
        next: envelope.map(|job| job.next).unwrap_or_default(),
        outcome,
    };
    let answers = queue.finish(&[finish]).await?;
    Ok(answers.into_iter().next().unwrap_or(Settled::Refused))
}
