//! Which jobs a verb is about: those named, or all that a filter finds.

use brasa_shared::queue::{JobView, Queue, State};
use clap::Args;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::jobs::{Filter, Place, find};

/// Jobs by name, or all of a filter.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The jobs
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All jobs of the filter
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// With --all: only jobs in this state
    #[arg(long, requires = "all")]
    state: Option<Place>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Chosen {
    /// Whether a filter is to find them.
    pub(crate) fn is_bulk(&self) -> bool {
        self.all
    }

    /// The jobs, with their queues. Of these states, where the filter says nothing else.
    pub(crate) async fn find(
        &self,
        app: &App,
        states: &[State],
        out: &mut Output,
    ) -> Result<Vec<(Queue, JobView)>, Failure> {
        self.filter.belongs_to_all(self.all, false)?;
        let mut found = Vec::new();
        if !self.all {
            for id in &self.ids {
                found.push(find(app, id).await?);
            }
            return Ok(found);
        }
        let states = self.state.map_or_else(|| states.to_vec(), |state| vec![state.into()]);
        for view in self.filter.find_all(app, &states, out).await? {
            found.push((app.queue(&view.queue), view));
        }
        Ok(found)
    }
}
