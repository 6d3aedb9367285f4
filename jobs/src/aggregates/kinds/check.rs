//! `aggregate.check`: compares an aggregate with its source.

use std::time::Duration;

use brasa_shared::config::Config;
use brasa_shared::db::aggregates::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{aggregate, failed, kept};
use crate::aggregates::check;
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::verdict::{JobError, JobResult};

/// Compares an aggregate with its source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    name: String,
    /// Whether groups that are wrong are computed again.
    #[serde(default)]
    repair: bool,
}

impl Job for Check {
    const KIND: &'static str = "aggregate.check";
    const ABOUT: &'static str = "Compares an aggregate with its source, and repairs it where that is said";
    const POLICY: Policy = Policy::new()
        .attempts(3)
        .timeout(Duration::from_hours(4))
        .backoff(Duration::from_mins(1), Duration::from_mins(15));

    fn check(&self, config: &Config) -> Result<(), String> {
        aggregate(config, &self.name).map(drop)
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let mut connection = ctx.connection().await?;
        let versions = kept(&mut connection, &self.name).await?;
        let Some(version) = versions.iter().find(|version| version.state == State::Live) else {
            return Err(JobError::retry(format!("aggregate `{}` is still being built", self.name)));
        };
        let goes_on = |_: &str, _: &check::Checked| !ctx.stop.is_cancelled();
        let checked = check::check(&mut connection, version, self.repair, goes_on).await.map_err(failed)?;
        connection.give_back();
        ctx.go_on()?;
        if checked.wrong > 0 {
            for example in &checked.examples {
                ctx.log(example).await;
            }
            tracing::error!(
                aggregate = self.name,
                wrong = checked.wrong,
                is_repaired = checked.is_repaired,
                examples = ?checked.examples,
                "groups are not what the source says: rows changed behind the triggers' backs"
            );
        }
        Ok(json!({
            "compared": checked.compared,
            "wrong": checked.wrong,
            "examples": checked.examples,
            "is_repaired": checked.is_repaired,
        }))
    }
}
