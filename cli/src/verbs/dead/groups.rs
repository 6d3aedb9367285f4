//! `brasa dead groups`: what jobs died of; and one of a group as a canary for the others.

use std::time::Duration;

use brasa_shared::queue::{Ending, Grave, Queue, State};
use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain, short, when};

/// Group dead jobs by what they died of, the largest group first
#[derive(Debug, Args)]
pub(crate) struct Groups {
    /// Only this queue
    #[arg(long)]
    queue: Option<String>,
}

impl Groups {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let mut graves: Vec<Grave> = Vec::new();
        for queue in app.chosen_queues(self.queue.as_deref()).await?.values() {
            graves.extend(queue.graves().await?);
        }
        graves.sort_by_key(|grave| std::cmp::Reverse(grave.count));
        let now = app.clock.now();
        let rows = graves.iter().map(|grave| {
            [
                grave.signature.clone(),
                grave.count.to_string(),
                grave.kind.clone(),
                grave.queue.clone(),
                when(grave.first_ms, now),
                when(grave.last_ms, now),
                short(&grave.message, 70),
            ]
        });
        let header = ["GROUP", "JOBS", "KIND", "QUEUE", "FIRST", "LAST", "REASON"];
        out.table(header, rows.collect(), "no dead jobs")?;
        if !graves.is_empty() {
            out.line("\n`brasa dead retry --group GROUP --canary` tries one of a group, and the others if it is done")?;
        }
        out.value(&graves)
    }
}

/// The queues that have this group, and its jobs there.
pub(super) async fn members(
    app: &App,
    queue: Option<&str>,
    signature: &str,
) -> Result<Vec<(Queue, Vec<String>)>, Failure> {
    let mut found = Vec::new();
    for queue in app.chosen_queues(queue).await?.into_values() {
        let ids = queue.buried_in(signature).await?;
        if !ids.is_empty() {
            found.push((queue, ids));
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let help = "`brasa dead groups` lists them";
    Err(Failure::environment(format!("no dead jobs are in a group `{}`\n  help: {help}", plain(signature))))
}

/// Runs one of a group; whether it was done within `at_most`.
pub(super) async fn canary(
    queue: &Queue,
    id: &str,
    at_most: Duration,
    out: &mut Output,
) -> Result<bool, Failure> {
    if queue.revive(&[id.to_owned()]).await? != [true] {
        out.line(format!(
            "{id} could not be started again: it cannot be read, or another has its unique key"
        ))?;
        return Ok(false);
    }
    out.line(format!("{id} goes first; waiting for its end"))?;
    let view = queue.wait_for_end(id, at_most).await?;
    let ending = view.as_ref().and_then(|view| view.outcome.as_ref()).map(|outcome| outcome.ending);
    let done = ending == Some(Ending::Done);
    let said = match (&view, done) {
        (Some(_), true) => format!("{id} is done"),
        (Some(view), false) if view.state == State::Dead => {
            let why = view.outcome.as_ref().and_then(|outcome| outcome.reason.clone()).unwrap_or_default();
            format!("{id} died again: {}", plain(&why))
        }
        (Some(view), false) => {
            let last = view.trail.last().cloned().unwrap_or_default();
            format!("{id} is not through after {at_most:?}: {}", plain(&last))
        }
        (None, _) => format!("{id} is gone"),
    };
    out.line(&said)?;
    if !done {
        out.value(&json!({ "canary": id, "done": false, "said": said, "retried": 0 }))?;
    }
    Ok(done)
}
