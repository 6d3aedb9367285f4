//! Jobs of kinds whose handler takes many at once gather here, and go to it together.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use brasa_jobs::{Batching, Catalog, JobContext, JobError, JobResult, Kind, RawItem};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A job that waits for its batch, and who waits for its result.
struct Joining {
    item: RawItem,
    result: oneshot::Sender<JobResult<Value>>,
}

/// One gatherer for every kind that takes many jobs at once.
#[derive(Clone, Default)]
pub(crate) struct Gatherers(Arc<HashMap<&'static str, mpsc::Sender<Joining>>>);

impl Gatherers {
    /// Starts them; they end with the last clone.
    pub(crate) fn start(catalog: &Catalog) -> Self {
        let gatherer = |kind: &Kind| {
            let batching = kind.batching?;
            let (send, receive) = mpsc::channel(batching.size_max);
            tokio::spawn(gather(receive, batching));
            Some((kind.name, send))
        };
        Self(Arc::new(catalog.kinds().filter_map(gatherer).collect()))
    }

    /// Runs a job: alone, or in the next batch of its kind.
    pub(crate) async fn run(
        &self,
        catalog: &Catalog,
        kind: &Kind,
        payload: String,
        ctx: Arc<JobContext>,
    ) -> JobResult<Value> {
        let Some(gatherer) = self.0.get(kind.name) else { return catalog.run(kind, payload, ctx).await };
        // What is around handlers is around each job, and may end it before it joins.
        let join = |payload, ctx| join(gatherer.clone(), (payload, ctx)).boxed();
        catalog.run_by(&join, kind, payload, ctx).await
    }
}

/// Joins the next batch and waits for its result.
async fn join(gatherer: mpsc::Sender<Joining>, item: RawItem) -> JobResult<Value> {
    let (result, told) = oneshot::channel();
    let broken = || JobError::retry("the batch that the job was in broke off");
    gatherer.send(Joining { item, result }).await.map_err(|_| broken())?;
    told.await.unwrap_or_else(|_| Err(broken()))
}

async fn gather(mut joining: mpsc::Receiver<Joining>, batching: Batching) {
    while let Some(first) = joining.recv().await {
        let until = Instant::now() + batching.wait_max;
        let mut batch = vec![first];
        while batch.len() < batching.size_max {
            match tokio::time::timeout_at(until, joining.recv()).await {
                Ok(Some(next)) => batch.push(next),
                Ok(None) | Err(_) => break,
            }
        }
        // The next batch gathers while this one runs.
        tokio::spawn(run(batch, batching));
    }
}

async fn run(batch: Vec<Joining>, batching: Batching) {
    // Those that were stopped while they gathered do not begin.
    let (items, results): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .filter(|joining| !joining.result.is_closed())
        .map(|joining| (joining.item, joining.result))
        .unzip();
    if items.is_empty() {
        return;
    }
    let outcomes = AssertUnwindSafe((batching.run)(items)).catch_unwind().await;
    let mut outcomes = outcomes.unwrap_or_default().into_iter();
    for result in results {
        let panicked = || Err(JobError::retry("the handler of the batch panicked"));
        // Whoever was stopped meanwhile does not wait any more.
        drop(result.send(outcomes.next().unwrap_or_else(panicked)));
    }
}
