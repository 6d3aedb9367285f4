//! `aggregate.backfill`: computes what is from before an aggregate was installed.

use std::time::Duration;

use brasa_shared::config::Config;
use brasa_shared::db::aggregates::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{aggregate, failed, kept};
use crate::aggregates::build::{Pace, build};
use crate::aggregates::fault::Fault;
use crate::aggregates::install::switch;
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::verdict::{JobError, JobResult};

/// How long a job waits for somebody else who is at it.
const WAIT: Duration = Duration::from_millis(100);

/// Computes what is from before an aggregate was installed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    name: String,
}

impl Job for Backfill {
    const KIND: &'static str = "aggregate.backfill";
    const ABOUT: &'static str = "Computes what is from before an aggregate was installed, newest first";
    const POLICY: Policy = Policy::new()
        .attempts(10)
        .timeout(Duration::from_hours(12))
        .backoff(Duration::from_secs(5), Duration::from_mins(5));

    fn check(&self, config: &Config) -> Result<(), String> {
        aggregate(config, &self.name).map(drop)
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let aggregate = aggregate(&ctx.reach.config, &self.name).map_err(JobError::bury)?;
        let mut connection = ctx.connection().await?;
        let versions = kept(&mut connection, &self.name).await?;
        let (mut groups, mut pace) = (0, Pace::default());
        for version in versions.into_iter().filter(|version| version.state == State::Building) {
            loop {
                ctx.go_on()?;
                match build(&mut connection, &version, pace).await {
                    Ok(built) if built.is_done => break,
                    Ok(built) => {
                        groups += built.groups;
                        pace = pace.after(built.computing);
                        ctx.progress(0.0, &format!("everything since {} is there", built.from)).await;
                    }
                    Err(Fault::Busy) => tokio::time::sleep(WAIT).await,
                    Err(Fault::Gone) => break,
                    Err(fault) => return Err(failed(fault)),
                }
            }
            loop {
                ctx.go_on()?;
                match switch(&mut connection, &version, aggregate.publish.as_ref()).await {
                    // A worker may have done it.
                    Ok(()) | Err(Fault::Gone) => break,
                    Err(Fault::Busy) => tokio::time::sleep(WAIT).await,
                    Err(fault) => return Err(failed(fault)),
                }
            }
        }
        connection.give_back();
        Ok(json!({ "groups": groups }))
    }
}
