//! `brasa outbox`: what was enqueued in SQL and is not in Redis yet, and what was refused.

use brasa_shared::db::outbox::{OutboxTable, RefusedRow};
use brasa_shared::jiff::SignedDuration;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::{Output, lasting, short};

#[derive(Debug, Subcommand)]
pub(crate) enum Outbox {
    /// Say how many rows wait, are in Redis, or were refused, and why
    Status(Status),
    /// Let refused rows wait again
    Retry(Chosen),
    /// Delete refused rows for good
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// List at most this many refused rows
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The rows
    #[arg(required = true)]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    chosen: Chosen,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Outbox {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if matches!(self, Self::Delete(Delete { yes: false, .. })) {
            let help = "it cannot be undone; add --yes";
            return Err(Failure::usage(format!("this deletes rows for good\n  help: {help}")));
        }
        let table = open(app).await?;
        match self {
            Self::Status(Status { limit }) => status(&table, limit, out).await,
            Self::Retry(Chosen { ids }) => {
                let changed = table.retry_refused(&ids).await?;
                tell(&ids, &changed, ("retry", "waiting again"), out)
            }
            Self::Delete(Delete { chosen: Chosen { ids }, .. }) => {
                let changed = table.delete_refused(&ids).await?;
                tell(&ids, &changed, ("delete", "deleted"), out)
            }
        }
    }
}

async fn open(app: &App) -> Result<OutboxTable, Failure> {
    let pool = app.pool_needed()?;
    greet_postgres(&pool).await?;
    let table = OutboxTable::of(pool);
    if table.exists().await? {
        Ok(table)
    } else {
        Err(Failure::environment("this database has no outbox\n  help: run `brasa migrate`"))
    }
}

async fn status(table: &OutboxTable, limit: u32, out: &mut Output) -> Result<(), Failure> {
    let status = table.status().await?;
    let waiting = table.waiting().await?;
    let refused = table.refused(limit).await?;
    let oldest = status
        .oldest_ms
        .map_or(String::new(), |ms| format!(", the oldest for {}", lasting(SignedDuration::from_millis(ms))));
    out.line(format!("{} row(s) wait to be pushed into Redis{oldest}", status.waiting))?;
    for (queue, count) in &waiting {
        out.line(format!("  {queue}: {count}"))?;
    }
    out.line(format!("{} row(s) are in Redis, and their jobs have not ended", status.open))?;
    out.line(format!("{} row(s) were refused", status.refused))?;
    if !refused.is_empty() {
        let row = |row: &RefusedRow| {
            [row.id.clone(), short(&row.kind, 40), row.queue.clone(), short(&row.reason, 100)]
        };
        out.table(["ID", "KIND", "QUEUE", "REASON"], refused.iter().map(row).collect(), "")?;
    }
    let waiting: serde_json::Map<_, _> =
        waiting.into_iter().map(|(queue, count)| (queue, json!(count))).collect();
    out.value(&json!({
        "waiting": status.waiting,
        "open": status.open,
        "refused": status.refused,
        "oldest_waiting_ms": status.oldest_ms,
        "waiting_by_queue": waiting,
        "refused_rows": refused,
    }))
}

fn tell(
    ids: &[String],
    changed: &[String],
    (verb, past): (&str, &str),
    out: &mut Output,
) -> Result<(), Failure> {
    let unchanged: Vec<_> = ids.iter().filter(|id| !changed.contains(id)).collect();
    out.line(format!("{} row(s) {past}", changed.len()))?;
    for id in &unchanged {
        out.line(format!("{id} was left as it is: no row with this id was refused"))?;
    }
    out.value(&json!({ verb: changed, "unchanged": unchanged }))?;
    if unchanged.is_empty() { Ok(()) } else { Err(Failure::silent(1)) }
}
