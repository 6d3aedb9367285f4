//! `db.observe`: a look at what the database counted since the last one.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::look::{LookError, Looked, look};
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

/// Looks at the primary and the replica that the configuration names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observe {}

impl Job for Observe {
    const KIND: &'static str = "db.observe";
    const ABOUT: &'static str =
        "Keeps what the database counted since the last look: uses of indexes, costs of statements";
    // A look that is late is as good as the next one.
    const POLICY: Policy = Policy::new()
        .attempts(2)
        .timeout(Duration::from_mins(1))
        .backoff(Duration::from_secs(5), Duration::from_secs(30));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let mut connection = ctx.connection().await?;
        let looked = look(&mut connection, ctx.reach.replica.as_ref(), ctx.reach.clock.now()).await;
        match looked {
            Ok(looked) => {
                connection.give_back();
                Ok(told(&looked))
            }
            Err(LookError::Postgres(doing, error)) => Err(judge(error, doing)),
            Err(error @ LookError::NoTables) => Err(JobError::bury(error.to_string())),
            Err(error @ LookError::InRecovery) => Err(JobError::retry(error.to_string())),
        }
    }
}

fn told(looked: &Looked) -> Value {
    if looked.is_somebody_elses {
        return json!({ "skipped": "somebody else looks at this moment" });
    }
    let nodes = looked.nodes.iter().map(|node| {
        let (indexes, tables, began) = (node.indexes, node.tables, node.began.as_deref());
        json!({ "node": node.node, "indexes": indexes, "tables": tables, "began_anew": began })
    });
    let statements = &looked.statements;
    json!({
        "nodes": nodes.collect::<Vec<_>>(),
        "statements": statements.known,
        "calls": statements.calls,
        "restarts": statements.restarts,
        "texts": statements.texts,
        "evictions": statements.evictions,
        "problems": looked.problems,
        "parts_made": looked.parts.0,
        "parts_dropped": looked.parts.1,
        "took_ms": looked.took.as_millis(),
    })
}
