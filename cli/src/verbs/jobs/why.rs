//! `brasa jobs why`: why a job is not running.

use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain, when};
use crate::verbs::jobs::{known, past, state};

/// Say why a job is not running
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The job
    id: String,
}

impl Why {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let Some((queue, view)) = known(app, &self.id).await? else {
            return past::why(app, &self.id, out).await;
        };
        let workers = app.fleet().live_workers().await?;
        let Some(why) = queue.why(&self.id, &workers).await? else {
            return Err(Failure::environment(format!("job {} has gone meanwhile", plain(&self.id))));
        };
        out.line(format!("{} ({}, {}): {}", view.id, view.kind, state(&view), plain(&why.text)))?;
        if why.reason == "delayed" {
            out.line(format!("  due: {}", when(view.state_ms, app.clock.now())))?;
        }
        if !why.help.is_empty() {
            out.line(format!("  help: {}", why.help))?;
        }
        out.value(&json!({ "id": view.id, "queue": view.queue, "state": view.state, "reason": why.reason,
            "text": why.text, "help": why.help, "state_ms": view.state_ms }))
    }
}
