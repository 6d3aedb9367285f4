//! `brasa db history`: what was done to the database.

use brasa_jobs::database::ledger::{Action, actions};
use clap::Args;
use serde_json::{Value, json};

use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::{Output, bytes, short, when};

/// Say what was done to the database
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only this table or index
    name: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

impl History {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = app.pool_needed()?;
        greet_postgres(&pool).await?;
        let found = actions(&pool, self.limit, self.name.as_deref()).await?;
        let now = app.clock.now();
        let rows = found.iter().map(|action| row(action, when(action.started_ms, now))).collect();
        let heads = ["WHEN", "WHAT", "TO", "CAME TO", "TOOK", "SIZE", "BY"];
        out.table(heads, rows, "nothing has been done yet")?;
        out.value(&json!({ "actions": found.iter().map(value).collect::<Vec<_>>() }))
    }
}

fn row(action: &Action, when: String) -> [String; 7] {
    let state = match &action.error {
        Some(error) => format!("{}: {}", action.state, short(error, 60)),
        None => action.state.clone(),
    };
    let size = match action.bytes {
        (Some(before), Some(after)) => {
            format!("{} -> {}", bytes(before.unsigned_abs()), bytes(after.unsigned_abs()))
        }
        _ => "-".to_owned(),
    };
    let took = action.took_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    [when, action.kind.clone(), action.object.clone(), state, took, size, action.actor.clone()]
}

fn value(action: &Action) -> Value {
    json!({
        "kind": action.kind,
        "object": action.object,
        "why": action.why,
        "actor": action.actor,
        "state": action.state,
        "bytes_before": action.bytes.0,
        "bytes_after": action.bytes.1,
        "error": action.error,
        "started_ms": action.started_ms,
        "took_ms": action.took_ms,
    })
}
