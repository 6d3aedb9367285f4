//! `brasa aggregates backfill`: builds what is from before, in the foreground.

use std::time::{Duration, Instant};

use brasa_jobs::aggregates::{Fault, Pace, build, switch};
use brasa_shared::db::aggregates::State;
use clap::Args;
use serde_json::json;

use super::{aggregate, failed, live, open, version};
use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

/// How long it waits for a worker that is at it.
const WAIT: Duration = Duration::from_millis(100);

/// Compute what is from before it was installed, and wait for it
#[derive(Debug, Args)]
pub(crate) struct Backfill {
    /// The name of `[aggregates.NAME]`
    name: String,
}

impl Backfill {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let (name, wanted) = (&self.name, aggregate(app, &self.name)?);
        let mut connection = open(app).await?.acquire().await?;
        let (mut groups, mut longest, mut pace) = (0, Duration::ZERO, Pace::default());
        let began = Instant::now();
        while let Some(building) = version(&mut connection, name, State::Building).await? {
            match build(&mut connection, &building, pace).await {
                Ok(built) if built.is_done => {
                    match switch(&mut connection, &building, wanted.publish.as_ref()).await {
                        Ok(()) | Err(Fault::Gone) => {}
                        Err(Fault::Busy) => tokio::time::sleep(WAIT).await,
                        Err(fault) => return Err(failed(&fault)),
                    }
                }
                Ok(built) => {
                    groups += built.groups;
                    longest = longest.max(built.took);
                    pace = pace.after(built.computing);
                    out.progress(|| format!("{name}: everything since {} is there", built.from))?;
                }
                Err(Fault::Busy) => tokio::time::sleep(WAIT).await,
                Err(Fault::Gone) => {}
                Err(fault) => return Err(failed(&fault)),
            }
        }
        let shown = live(&mut connection, name).await?;
        out.line(format!("{name}: everything is there, and shown as version {}", shown.version))?;
        out.value(&json!({
            "name": name,
            "version": shown.version,
            "groups": groups,
            "took_ms": began.elapsed().as_millis(),
            "longest_transaction_ms": longest.as_millis(),
        }))
    }
}
