//! `aggregate.refresh`: moves what changed into the groups now, and publishes it.

use std::time::Duration;

use brasa_shared::boards::Boards;
use brasa_shared::config::Config;
use brasa_shared::db::aggregates::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{aggregate, failed, kept};
use crate::aggregates::fault::Fault;
use crate::aggregates::fold::{Folding, fold, waiting};
use crate::aggregates::publish::{MOST, PublishError, publish};
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::verdict::{JobError, JobResult};

/// How many rows of the log go into the groups in one transaction.
const ROWS: usize = 20_000;
/// How long a job waits for somebody else who is at it.
const WAIT: Duration = Duration::from_millis(50);

/// Moves what changed into the groups of an aggregate, and publishes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    name: String,
}

impl Job for Refresh {
    const KIND: &'static str = "aggregate.refresh";
    const ABOUT: &'static str = "Moves what changed into an aggregate now, and publishes it";
    const POLICY: Policy = Policy::new().attempts(5).backoff(Duration::from_secs(1), Duration::from_mins(1));

    fn check(&self, config: &Config) -> Result<(), String> {
        aggregate(config, &self.name).map(drop)
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let aggregate = aggregate(&ctx.reach.config, &self.name).map_err(JobError::bury)?;
        let mut connection = ctx.connection().await?;
        let (mut rows, mut published) = (0, 0);
        let folding =
            Folding { most: ROWS, publish: aggregate.publish.as_ref(), frozen_after: aggregate.frozen_after };
        for version in kept(&mut connection, &self.name).await? {
            // What comes meanwhile is for the next one.
            let mut left = waiting(&mut connection, &version).await.map_err(failed)?.0;
            loop {
                ctx.go_on()?;
                match fold(&mut connection, &version, folding).await {
                    Ok(folded) if folded.rows == 0 => break,
                    Ok(folded) => {
                        (rows, left) = (rows + folded.rows, left - folded.rows);
                        if left <= 0 {
                            break;
                        }
                    }
                    Err(Fault::Busy) => tokio::time::sleep(WAIT).await,
                    Err(Fault::Gone) => break,
                    Err(fault) => return Err(failed(fault)),
                }
            }
            let (Some(what), State::Live) = (&aggregate.publish, version.state) else { continue };
            let boards = Boards::new(ctx.reach.cache.clone(), &ctx.reach.config.redis.prefix);
            loop {
                ctx.go_on()?;
                match publish(&mut connection, &boards, &version, what).await {
                    Ok(count) => {
                        published += count;
                        if count < MOST {
                            break;
                        }
                    }
                    Err(PublishError::Database(fault)) => return Err(failed(fault)),
                    Err(error) => return Err(JobError::retry(anyhow::Error::new(error))),
                }
            }
        }
        connection.give_back();
        Ok(json!({ "rows": rows, "published": published }))
    }
}
