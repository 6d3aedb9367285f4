//! Deleting the rows of jobs whose outcome is recorded, many at a time. While one batch is on its way the next
//! one gathers, so the size of a batch follows the load by itself.

use std::time::Duration;

use brasa_shared::db::outbox::OutboxTable;
use brasa_shared::telemetry::logs::chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::outbox::ask;

/// Rows per statement.
const BATCH: usize = 512;
/// The first and the longest pause between two tries while Postgres is away.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How long a worker that ends may take to record what it has been told.
const CLOSING_WITHIN: Duration = Duration::from_secs(3);

/// Records until `closing`, and then what is left, for a moment.
pub(super) async fn run(table: OutboxTable, mut ended: mpsc::Receiver<String>, closing: CancellationToken) {
    let mut ids = Vec::with_capacity(BATCH);
    let recording = async {
        loop {
            // Whatever is here is kept over a cancelled wait: ids are taken away below only.
            if ids.is_empty() && ended.recv_many(&mut ids, BATCH).await == 0 {
                return;
            }
            delete(&table, &mut ids).await;
        }
    };
    tokio::select! {
        () = recording => return,
        () = closing.cancelled() => {}
    }
    ended.close();
    let rest = async {
        while !ids.is_empty() || ended.recv_many(&mut ids, BATCH).await > 0 {
            delete(&table, &mut ids).await;
        }
    };
    if tokio::time::timeout(CLOSING_WITHIN, rest).await.is_err() {
        tracing::warn!(
            "the ends of some jobs could not be recorded in the outbox; its reconciliation does it"
        );
    }
}

/// Deletes the rows, however often it has to be tried.
async fn delete(table: &OutboxTable, ids: &mut Vec<String>) {
    let mut pause = PAUSE.0;
    while let Err(error) = ask(table.delete(ids)).await {
        if pause == PAUSE.0 {
            tracing::warn!(error = %chain(&error), "cannot record the end of jobs in the outbox; trying again");
        }
        tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    ids.clear();
}
