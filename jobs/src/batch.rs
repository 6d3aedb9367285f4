//! Kinds whose handler takes many jobs in one call.

use std::sync::Arc;
use std::time::Duration;

use brasa_shared::config::Config;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::catalog::without_values;
use crate::context::JobContext;
use crate::job::Policy;
use crate::verdict::{JobError, JobResult};

/// One job of a batch.
pub struct Item<P> {
    /// Its arguments.
    pub payload: P,
    /// The job itself: its id, its attempt, its stop sign.
    pub ctx: Arc<JobContext>,
}

/// A kind whose handler takes many jobs in one call: a statement for a thousand rows instead of a thousand
/// statements. Every job has its own outcome; those that fail are tried again without the others.
pub trait BatchJob: DeserializeOwned + Send + Sync + 'static {
    /// The name of the kind, `family.verb`.
    const KIND: &'static str;
    /// One line for people.
    const ABOUT: &'static str;
    /// How its jobs are treated.
    const POLICY: Policy;
    /// The newest version of the payload that this build reads.
    const VERSION: u32 = 1;
    /// The most jobs of one call.
    const SIZE_MAX: usize = 100;
    /// How long the first job of a call waits for others.
    const WAIT_MAX: Duration = Duration::from_millis(20);

    /// What is wrong with this payload under this configuration.
    ///
    /// # Errors
    /// A sentence for people.
    #[expect(unused_variables, reason = "the name is what an implementation will see")]
    fn check(&self, config: &Config) -> Result<(), String> {
        Ok(())
    }

    /// Does the work of all of them; one result for each, in their order.
    fn run(items: Vec<Item<Self>>) -> impl Future<Output = Vec<JobResult<Value>>> + Send;
}

/// Jobs of a batch before their arguments are read.
pub type RawItem = (String, Arc<JobContext>);

/// How a kind takes many jobs in one call, as plain values.
#[derive(Clone, Copy)]
pub struct Batching {
    /// The most jobs of one call.
    pub size_max: usize,
    /// How long the first job of a call waits for others.
    pub wait_max: Duration,
    /// Reads the payloads and runs them; one result for each, in their order.
    pub run: fn(Vec<RawItem>) -> futures_util::future::BoxFuture<'static, Vec<JobResult<Value>>>,
}

/// A job whose arguments cannot be read fails alone.
pub(crate) async fn run_all<B: BatchJob>(raw: Vec<RawItem>) -> Vec<JobResult<Value>> {
    let mut results: Vec<Option<JobResult<Value>>> = Vec::with_capacity(raw.len());
    let mut items = Vec::with_capacity(raw.len());
    for (payload, ctx) in raw {
        match serde_json::from_str::<B>(&payload) {
            Ok(payload) => {
                items.push(Item { payload, ctx });
                results.push(None);
            }
            Err(error) => {
                let error = without_values(&error.to_string());
                results.push(Some(Err(JobError::bury(format!("could not read the arguments: {error}")))));
            }
        }
    }
    let mut outcomes = if items.is_empty() { Vec::new() } else { B::run(items).await }.into_iter();
    let missing =
        || Err(JobError::bury("the handler gave fewer results than it had jobs: a mistake in the program"));
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(|| outcomes.next().unwrap_or_else(missing)))
        .collect()
}
