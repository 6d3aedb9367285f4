//! From Postgres to Redis.
//!
//! A batch is a short transaction: rows are locked, pushed, marked. Whoever dies in it lets its rows wait again,
//! at once; what was pushed by then is known to Redis, and is not pushed a second time. Other relays pass over
//! locked rows, so any number of them share the work, and those who enqueue never meet a lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brasa_shared::db::outbox::{OutboxRow, OutboxTable, Relayed};
use brasa_shared::queue::{BATCH_MAX, Enqueued, Envelope, Queue, QueueError};
use brasa_shared::store::Fault;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use rand::seq::SliceRandom as _;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::outbox::{Settings, Trouble, ask};

/// How long Redis may take for a batch: for so long a transaction may stay open.
const PUSH_WITHIN: Duration = Duration::from_secs(3);
/// The first and the longest pause after a fault.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long the outcome of a job is kept at least, in ms: long enough for reconciliation to come by many times.
const KEEP_MS: u64 = 10 * 60_000;

/// Relays rows into queues.
pub(super) struct Relay {
    table: OutboxTable,
    queues: HashMap<String, Queue>,
    poll: Duration,
    wake: Arc<Notify>,
    /// Queues that took nothing: until when they are left alone, and for how long that is.
    resting: HashMap<String, (Instant, Duration)>,
}

impl Relay {
    pub(super) fn new(settings: &Settings, wake: Arc<Notify>) -> Self {
        let queues = settings.queues.iter().map(|queue| (queue.name().to_owned(), queue.clone()));
        let (table, poll) = (settings.table.clone(), settings.pace.poll);
        Self { table, queues: queues.collect(), poll, wake, resting: HashMap::new() }
    }

    /// Relays for ever, whatever Postgres and Redis do.
    pub(super) async fn run(mut self) {
        let mut pause = None;
        loop {
            let Err(error) = self.round(pause.is_some()).await else {
                pause = None;
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(self.poll) => {}
                }
                continue;
            };
            metrics::redis_faults_total("outbox").increment(u64::from(error.is_of_redis()));
            tracing::warn!(error = %chain(&error), "cannot relay the outbox; its rows wait");
            let this = pause.unwrap_or(PAUSE.0);
            // Not to be woken: while writers write, there would be no pause.
            tokio::time::sleep(this.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            pause = Some((this * 2).min(PAUSE.1));
        }
    }

    /// Relays until nothing waits.
    async fn round(&mut self, after_a_fault: bool) -> Result<(), Trouble> {
        if after_a_fault && let Some(queue) = self.queues.values().next() {
            // No rows are locked for a Redis that is still away.
            queue.paused().await?;
        }
        while self.batch().await? == BATCH_MAX {}
        Ok(())
    }

    /// Relays one batch; returns how many rows it had.
    async fn batch(&mut self) -> Result<usize, Trouble> {
        let now = Instant::now();
        let is_awake = |name: &&String| self.resting.get(*name).is_none_or(|(until, _)| *until <= now);
        let mut names: Vec<String> = self.queues.keys().filter(is_awake).cloned().collect();
        if names.is_empty() {
            return Ok(0);
        }
        // No queue keeps the others waiting with its backlog: each comes first as often as any other.
        names.shuffle(&mut rand::rng());
        let taken = ask(self.table.take(&names, BATCH_MAX)).await?;
        let count = taken.rows.len();
        if count == 0 {
            return Ok(0);
        }
        let until = tokio::time::Instant::now() + PUSH_WITHIN;
        let (mut relayed, mut lags) = (Relayed::default(), Vec::with_capacity(count));
        for rows in taken.rows.chunk_by(|one, next| one.queue == next.queue) {
            let Some(queue) = rows.first().and_then(|row| self.queues.get(&row.queue)).cloned() else {
                continue;
            };
            let pushing = Instant::now();
            let pushed = tokio::time::timeout_at(until, push(&queue, rows, &mut relayed)).await;
            match pushed.map_err(|_| Trouble::RedisLate)? {
                Ok(()) => drop(self.resting.remove(queue.name())),
                Err(error) if error.fault().is_some_and(Fault::passes) => return Err(error.into()),
                Err(error) => {
                    self.rest(&queue, &error);
                    continue;
                }
            }
            let (took, waited) = (pushing.elapsed(), |row: &OutboxRow| row.waited_ms.max(0).unsigned_abs());
            lags.extend(rows.iter().map(|row| Duration::from_millis(waited(row)) + took));
        }
        ask(taken.record(&relayed)).await?;
        metrics::outbox_relayed_total().increment(relayed.pushed.len() as u64);
        for lag in lags {
            metrics::outbox_relay_lag_seconds().record(lag);
        }
        Ok(count)
    }

    /// Leaves a queue alone that takes nothing, such as one of a full Redis; the others go on.
    fn rest(&mut self, queue: &Queue, error: &QueueError) {
        metrics::redis_faults_total("outbox").increment(1);
        tracing::warn!(error = %chain(error), "a queue does not take what is in the outbox; its rows wait");
        let pause = self.resting.get(queue.name()).map_or(PAUSE.0, |(_, last)| (*last * 2).min(PAUSE.1));
        self.resting.insert(queue.name().to_owned(), (Instant::now() + pause, pause));
    }
}

/// Pushes the jobs of rows of one queue, and writes down what became of each. Where it fails, nothing is
/// written down, and the rows wait.
async fn push(queue: &Queue, rows: &[OutboxRow], relayed: &mut Relayed) -> Result<(), QueueError> {
    let mut jobs = Vec::with_capacity(rows.len());
    let mut refused = Vec::new();
    for row in rows {
        match envelope(queue, row) {
            Ok(job) => jobs.push(job),
            Err(reason) => refused.push((row.id.clone(), reason)),
        }
    }
    // A job that cannot be put into words is told before anything is sent, one at a time.
    let answers = loop {
        match queue.enqueue_all(&jobs).await {
            Err(QueueError::Envelope { id, source, .. }) => {
                jobs.retain(|job| job.id != id);
                refused.push((id, source.to_string()));
            }
            answers => break answers?,
        }
    };
    for (id, reason) in &refused {
        tracing::error!(job.id = id, queue = queue.name(), reason, "a row of the outbox cannot become a job");
    }
    relayed.refused.append(&mut refused);
    for (job, answer) in jobs.into_iter().zip(answers) {
        match answer {
            Enqueued::New | Enqueued::Known => relayed.pushed.push(job.id),
            Enqueued::Held { by } | Enqueued::Merged { into: by } => {
                tracing::info!(job.id, queue = queue.name(), by, "not run: another job has its unique key");
                relayed.settled.push(job.id);
            }
        }
    }
    Ok(())
}

fn envelope(queue: &Queue, row: &OutboxRow) -> Result<Envelope, String> {
    let args = RawValue::from_string(row.args.clone()).map_err(|error| error.to_string())?;
    let mut job = Envelope::of(&row.id, &row.kind, args, row.enqueued_ms);
    job.kv = u32::try_from(row.kv).unwrap_or(0);
    job.due = row.run_ms;
    job.keep_ms = Some(KEEP_MS.max(queue.keep_done().age_ms));
    job.unique.clone_from(&row.unique);
    job.trace.clone_from(&row.trace);
    job.priority = u8::try_from(row.priority).unwrap_or(0);
    job.outbox = true;
    Ok(job)
}
