//! `brasa queues`: what waits where; pause and resume, drain and open.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, when};

mod top;

/// How often a drain that is waited for looks.
const DRAIN_LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Subcommand)]
pub(crate) enum Queues {
    /// List queues and how many jobs are where
    List,
    /// Stop handing out jobs of a queue; running ones go on
    Pause(Pause),
    /// Hand out jobs of a queue again
    Resume(Resume),
    /// Take no new jobs into a queue, and let what is there come to its end
    Drain(Drain),
    /// Take new jobs into a queue again
    Open(Resume),
    /// Show queues as they change, until you stop it
    Top(top::Top),
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The queue
    queue: String,
    /// Why, for those who are refused
    #[arg(long, default_value = "")]
    reason: String,
    /// Wait until nothing is waiting, delayed or running
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// The queue
    queue: String,
    /// Why, for those who wonder
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The queue
    queue: String,
}

impl Queues {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        app.greet_redis().await?;
        match self {
            Self::List => list(app, out).await,
            Self::Pause(Pause { queue, reason }) => {
                for queue in app.chosen_queues(Some(&queue)).await?.values() {
                    let paused = queue.pause(&actor(), &reason).await?;
                    out.line(format!("queue {} is paused; `brasa queues resume {0}` ends it", queue.name()))?;
                    out.value(&json!({ "queue": queue.name(), "paused": paused }))?;
                }
                Ok(())
            }
            Self::Resume(Resume { queue }) => {
                for queue in app.chosen_queues(Some(&queue)).await?.values() {
                    let was = queue.resume().await?;
                    let said = if was { "goes on" } else { "was not paused" };
                    out.line(format!("queue {} {said}", queue.name()))?;
                    out.value(&json!({ "queue": queue.name(), "was_paused": was }))?;
                }
                Ok(())
            }
            Self::Drain(verb) => drain(verb, app, out).await,
            Self::Open(Resume { queue }) => {
                for queue in app.chosen_queues(Some(&queue)).await?.values() {
                    let was = queue.reopen().await?;
                    let said = if was { "takes new jobs again" } else { "was open" };
                    out.line(format!("queue {} {said}", queue.name()))?;
                    out.value(&json!({ "queue": queue.name(), "was_closed": was }))?;
                }
                Ok(())
            }
            Self::Top(verb) => verb.obey(app, out).await,
        }
    }
}

async fn drain(verb: Drain, app: &App, out: &mut Output) -> Result<(), Failure> {
    for queue in app.chosen_queues(Some(&verb.queue)).await?.values() {
        let closed = queue.close(&actor(), &verb.reason).await?;
        let name = queue.name();
        out.line(format!("queue {name} takes no new jobs; `brasa queues open {name}` ends that"))?;
        let mut counts = queue.counts().await?;
        while verb.wait && counts.open() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
            counts = queue.counts().await?;
        }
        out.line(format!("{} job(s) are left", counts.open()))?;
        out.value(&json!({ "queue": name, "closed": closed, "left": counts.open() }))?;
    }
    Ok(())
}

async fn list(app: &App, out: &mut Output) -> Result<(), Failure> {
    let now = app.clock.now();
    let mut all = BTreeMap::new();
    let mut rows = Vec::new();
    for (name, queue) in app.all_queues().await? {
        let counts = queue.counts().await?;
        let state = match &counts.paused {
            Some(paused) => format!("paused by {} {}", paused.by, paused.reason),
            None => "runs".to_owned(),
        };
        let state = match &counts.closed {
            Some(closed) => format!("{state}; closed by {} {}", closed.by, closed.reason),
            None => state,
        };
        let oldest = counts.oldest_ms.map_or_else(|| "-".to_owned(), |ms| when(ms, now));
        let numbers = [counts.waiting, counts.delayed, counts.running, counts.done, counts.dead];
        let [waiting, delayed, running, done, dead] = numbers.map(|n| n.to_string());
        rows.push([name.clone(), waiting, delayed, running, done, dead, oldest, state.trim().to_owned()]);
        all.insert(name, counts);
    }
    let header = ["QUEUE", "WAITING", "DELAYED", "RUNNING", "DONE (kept)", "DEAD", "OLDEST", "STATE"];
    out.table(header, rows, "no queues")?;
    out.value(&all)
}

/// Who does it, for the record.
pub(crate) fn actor() -> String {
    let user = crate::app::env("SUDO_USER").or_else(|| crate::app::env("USER"));
    format!("{} (command line)", user.unwrap_or_else(|| "somebody".to_owned()))
}
