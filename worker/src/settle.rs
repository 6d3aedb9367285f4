//! Saying what became of jobs, many at a time.
//!
//! While one batch is on its way the next one gathers, so the size of a batch follows the load by itself.
//! Every job gets its own answer.

use std::collections::HashMap;
use std::time::Duration;

use brasa_shared::queue::{BATCH_MAX, Burial, Finish, HandBack, Queue, QueueError, Retry, Settled};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

/// How long an outcome is held on to while Redis is out of reach. By then the lease has long run out, and
/// the job will run again.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is to be said about one job.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Finish(Finish),
    Retry(Retry),
    Bury(Burial),
    HandBack(HandBack),
}

struct Said {
    queue: Queue,
    word: Word,
    answer: oneshot::Sender<Option<Settled>>,
}

/// Where dispatch says what became of a job.
#[derive(Clone)]
pub(crate) struct Settler(mpsc::Sender<Said>);

impl Settler {
    /// A settler, and the task that does its work; the task ends when the last clone is gone.
    pub(crate) fn start(capacity: usize) -> Self {
        let (send, receive) = mpsc::channel(capacity.max(1));
        tokio::spawn(run(receive));
        Self(send)
    }

    /// Says it and waits for the answer: none if Redis could not be reached in time.
    pub(crate) async fn say(&self, queue: &Queue, word: Word) -> Option<Settled> {
        let (answer, answered) = oneshot::channel();
        let said = Said { queue: queue.clone(), word, answer };
        if self.0.send(said).await.is_err() {
            return None;
        }
        answered.await.unwrap_or(None)
    }
}

/// The words for one queue, by verb, each with the one who waits for the answer.
struct Batch {
    queue: Queue,
    finish: Vec<Finish>,
    retry: Vec<Retry>,
    bury: Vec<Burial>,
    hand_back: Vec<HandBack>,
    waiting: [Vec<oneshot::Sender<Option<Settled>>>; 4],
}

async fn run(mut words: mpsc::Receiver<Said>) {
    let mut gathered = Vec::with_capacity(BATCH_MAX);
    while words.recv_many(&mut gathered, BATCH_MAX).await > 0 {
        let mut batches: HashMap<String, Batch> = HashMap::new();
        for said in gathered.drain(..) {
            let entry = batches.entry(said.queue.name().to_owned());
            entry.or_insert_with(|| Batch::new(&said.queue)).add(said.word, said.answer);
        }
        join_all(batches.into_values().map(Batch::send)).await;
    }
}

impl Batch {
    fn new(queue: &Queue) -> Self {
        let queue = queue.clone().over(queue.store().clone().with_patience(PATIENCE));
        let (finish, retry, bury, hand_back) = Default::default();
        Self { queue, finish, retry, bury, hand_back, waiting: Default::default() }
    }

    fn add(&mut self, word: Word, answer: oneshot::Sender<Option<Settled>>) {
        let place = match word {
            Word::Finish(finish) => {
                self.finish.push(finish);
                0
            }
            Word::Retry(retry) => {
                self.retry.push(retry);
                1
            }
            Word::Bury(burial) => {
                self.bury.push(burial);
                2
            }
            Word::HandBack(hand_back) => {
                self.hand_back.push(hand_back);
                3
            }
        };
        self.waiting[place].push(answer);
    }

    async fn send(self) {
        let Self { queue, finish, retry, bury, hand_back, waiting } = self;
        let [finished, retried, buried, handed_back] = waiting;
        tokio::join!(
            tell(finished, !finish.is_empty(), queue.finish(&finish)),
            tell(retried, !retry.is_empty(), queue.retry(&retry)),
            tell(buried, !bury.is_empty(), queue.bury(&bury)),
            tell(handed_back, !hand_back.is_empty(), queue.hand_back(&hand_back)),
        );
    }
}

async fn tell(
    waiting: Vec<oneshot::Sender<Option<Settled>>>,
    any: bool,
    call: impl Future<Output = Result<Vec<Settled>, QueueError>>,
) {
    if !any {
        return;
    }
    match call.await {
        Ok(answers) => {
            for (waiting, answer) in waiting.into_iter().zip(answers) {
                // Nobody waits any more where the worker was told to end at once.
                let _nobody_waits = waiting.send(Some(answer));
            }
        }
        Err(error) => {
            metrics::redis_faults_total("settle").increment(1);
            tracing::error!(
                error = %chain(&error),
                "outcomes could not be recorded; those jobs will run again"
            );
        }
    }
}
