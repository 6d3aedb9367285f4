//! Looking after rows that are on their way: what Redis has lost is pushed again, and rows whose end nobody
//! recorded are deleted.
//!
//! A job that ended may be forgotten by Redis (`keep_done`) before its row is deleted, and then looks as if it
//! were lost. So a job counts as lost only if it is unknown twice, some seconds apart, and its row is still
//! there: a worker that lives has deleted it by then.

use std::collections::HashMap;
use std::sync::Arc;

use brasa_shared::db::outbox::{OnItsWay, OutboxTable};
use brasa_shared::queue::{Queue, Standing};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use tokio::sync::Notify;

use crate::outbox::{Pace, Settings, Trouble, ask};

/// Rows per look.
const PAGE: usize = 512;
/// Looks per round; the next round goes on where this one ended.
const PAGES_MAX: usize = 256;

/// Looks after rows, in turn with those of other workers.
pub(super) struct Reconciler {
    table: OutboxTable,
    queues: HashMap<String, Queue>,
    pace: Pace,
    wake: Arc<Notify>,
    /// The id behind which the next round begins.
    after: String,
}

impl Reconciler {
    pub(super) fn new(settings: &Settings, wake: Arc<Notify>) -> Self {
        let queues = settings.queues.iter().map(|queue| (queue.name().to_owned(), queue.clone()));
        let (table, pace) = (settings.table.clone(), settings.pace);
        Self { table, queues: queues.collect(), pace, wake, after: String::new() }
    }

    /// Looks after rows for ever, whatever Postgres and Redis do.
    pub(super) async fn run(mut self) {
        loop {
            // Jitter, so that a fleet does not ask whose turn it is all at once.
            let pause = self.pace.reconcile_every.mul_f64(0.25 + rand::random::<f64>() / 4.0);
            tokio::time::sleep(pause).await;
            if let Err(error) = self.round().await {
                tracing::warn!(error = %chain(&error), "cannot look after the outbox; trying again");
            }
        }
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        if !ask(self.table.turn(self.pace.reconcile_every)).await? {
            return Ok(());
        }
        let mut unknown = Vec::new();
        for _ in 0..PAGES_MAX {
            let age = self.pace.reconcile_after;
            let page = ask(self.table.on_their_way(&self.after, age, PAGE)).await?;
            let is_last = page.len() < PAGE;
            let after = page.last().map(|row| row.id.clone()).unwrap_or_default();
            let (ended, missing) = self.look(page).await?;
            if !ended.is_empty() {
                let count = ask(self.table.delete_seen(&ended)).await?;
                metrics::outbox_reconciled_total("ended").increment(count);
            }
            unknown.extend(missing);
            self.after = if is_last { String::new() } else { after };
            if is_last {
                break;
            }
        }
        self.push_again(unknown).await
    }

    /// Those of these rows whose jobs have ended, and those whose jobs Redis does not know.
    async fn look(&self, rows: Vec<OnItsWay>) -> Result<(Vec<OnItsWay>, Vec<OnItsWay>), Trouble> {
        let (mut ended, mut unknown) = (Vec::new(), Vec::new());
        let mut by_queue: HashMap<String, Vec<OnItsWay>> = HashMap::new();
        for row in rows {
            by_queue.entry(row.queue.clone()).or_default().push(row);
        }
        for (name, rows) in by_queue {
            // Whoever relayed it knows the queue, and looks after it when it is their turn.
            let Some(queue) = self.queues.get(&name) else { continue };
            let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
            for (row, standing) in rows.into_iter().zip(queue.standings(&ids).await?) {
                match standing {
                    Standing::Open => {}
                    Standing::Ended => ended.push(row),
                    Standing::Unknown => unknown.push(row),
                }
            }
        }
        Ok((ended, unknown))
    }

    /// Lets rows wait again whose jobs are still unknown after a while.
    async fn push_again(&self, rows: Vec<OnItsWay>) -> Result<(), Trouble> {
        if rows.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(self.pace.second_look).await;
        let mut count = 0;
        for rows in rows.chunks(PAGE) {
            let (ended, unknown) = self.look(rows.to_vec()).await?;
            let deleted = ask(self.table.delete_seen(&ended)).await?;
            metrics::outbox_reconciled_total("ended").increment(deleted);
            count += ask(self.table.push_again(&unknown)).await?;
        }
        if count > 0 {
            metrics::outbox_reconciled_total("lost").increment(count);
            tracing::warn!(count, "Redis has lost jobs that came through the outbox; they are pushed again");
            self.wake.notify_one();
        }
        Ok(())
    }
}
