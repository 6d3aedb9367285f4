//! Which jobs a verb is about: those named, or all that a filter finds.

use brasa_shared::queue::{JobView, Queue, State};
use clap::Args;

use crate::app::App;
use crate::failure::Failure;
use crate::verbs::jobs::{Place, find};

/// The most jobs of a queue and state that one bulk verb looks at.
const BULK_MAX: usize = 1_000_000;

/// Jobs by name, or all of a filter.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The jobs
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All jobs of the filter
    #[arg(long)]
    all: bool,
    /// With --all: only this queue
    #[arg(long, requires = "all")]
    queue: Option<String>,
    /// With --all: only this kind
    #[arg(long, requires = "all")]
    kind: Option<String>,
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
    pub(crate) async fn find(&self, app: &App, states: &[State]) -> Result<Vec<(Queue, JobView)>, Failure> {
        let mut found = Vec::new();
        if !self.all {
            for id in &self.ids {
                found.push(find(app, id).await?);
            }
            return Ok(found);
        }
        let states = self.state.map_or_else(|| states.to_vec(), |state| vec![state.into()]);
        for queue in app.chosen_queues(self.queue.as_deref()).await?.values() {
            for state in &states {
                let views = queue.list(*state, BULK_MAX).await?;
                let wanted =
                    views.into_iter().filter(|view| self.kind.as_ref().is_none_or(|kind| view.kind == *kind));
                found.extend(wanted.map(|view| (queue.clone(), view)));
            }
        }
        Ok(found)
    }
}
